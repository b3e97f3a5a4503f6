"""Live delivery of notifications to the connections that watch, on whichever node they are.

Any transaction may write notifications, and numbers that are drawn before a commit do not follow
the order of commits. So one node at a time numbers what is committed, a moment later, and tells the
others. There is a topic for each person, and the number is that of the topic: who misses one, or
comes back, reads the database from there. A notification may be delivered twice between reading and
following; clients ignore a `seq` that they have.
"""

from collections.abc import Sequence
from typing import Final

from persistence.broker import NO_NUMBER, Notice
from persistence.notifications.store import (
    NUMBERED_AT_ONCE,
    READ_AT_ONCE,
    NotificationRow,
    NotificationStore,
    NumberedNotification,
)
from protocol.errors import Overloaded
from protocol.ids import UserId
from protocol.notifications import (
    RESUMED_MAX,
    NewNotification,
    UnreadChanged,
    Unwatch,
    Watch,
    WatchingNotifications,
)
from server.core.periodic import repeat_every
from server.core.subscriptions import (
    PollPolicy,
    Subscriptions,
    TooManySubscribers,
    Topic,
    TopicKind,
)
from server.domains.social.notifications import views
from server.gateway.session.sessions import CommandRoute, Routes, Session, update_frame

POLL: Final = PollPolicy(live_s=30.0, alone_s=1.0)
NUMBER_EVERY_S: Final = 0.25
BATCHES_MAX: Final = 20
NEW: Final = ("notifications", "new")
CHANGES: Final = ("notifications", "changes")


class NotificationStreams:
    """Numbers notifications, and delivers them to the connections that watch."""

    def __init__(self, subscriptions: Subscriptions, store: NotificationStore) -> None:
        self._store = store
        self._subscriptions = subscriptions
        self._people = subscriptions.kind("notifications", source=self, poll=POLL)
        self._changes: TopicKind[Session] = subscriptions.kind("notification-changes")
        self.numbered_total = 0
        self.delivered_total = 0

    def __len__(self) -> int:
        """Count the people who watch here."""
        return len(self._people)

    def routes(self) -> Routes:
        """Say how the commands are carried out."""
        return {
            Watch: CommandRoute(awaited=self._watch, for_companions=True),
            Unwatch: CommandRoute(immediate=self._unwatch, for_companions=True),
        }

    # ------------------------------------------------------------------ numbering

    async def run(self) -> None:
        """Number what is committed, until cancelled."""
        await repeat_every(NUMBER_EVERY_S, self.number, "numbering notifications")

    async def number(self) -> None:
        """Number what is committed, up to a bound, and deliver it."""
        for _ in range(BATCHES_MAX):
            numbered = await self._store.number_some()
            self.numbered_total += len(numbered)
            for each in numbered:
                self._announce(each)
            if len(numbered) < NUMBERED_AT_ONCE:
                break

    def _announce(self, numbered: NumberedNotification) -> None:
        row = numbered.row
        topic = self._people.get(row.user_id)
        # What may not be seen is passed over: the next one does not follow it, and is read instead.
        if not numbered.is_visible or (topic is None and not self._subscriptions.has_peers):
            return
        assert row.seq is not None
        frame = _frame(row)
        if topic is not None:
            if topic.number == numbered.after:
                self._deliver(topic, row.seq, frame)
            elif topic.number < row.seq:
                topic.request_catch_up()
        self._people.notify(row.user_id, number=row.seq, after=numbered.after, payload=frame)

    def announce_changes(self, user_id: UserId, unread: int) -> None:
        """Tell a person's connections that notifications were marked or deleted."""
        self._changes.relay(user_id, update_frame(UnreadChanged(unread=unread)))

    # ------------------------------------------------------------------ the source of topics

    def on_notice(self, topic: Topic[Session], notice: Notice) -> bool:
        """Deliver what another node numbered; it follows what was delivered before."""
        self._deliver(topic, notice.number, notice.payload)
        return True

    async def deliver_missed(self, topics: Sequence[Topic[Session]]) -> None:
        """Read what each person has beyond what was delivered here."""
        after = {UserId(topic.key): topic.number for topic in topics if topic.number != NO_NUMBER}
        rows = await self._store.read_after(after) if after else []
        for row in rows:
            topic = self._people.get(row.user_id)
            if topic is not None and row.seq is not None and row.seq > topic.number:
                self._deliver(topic, row.seq, _frame(row))
        if len(rows) == READ_AT_ONCE:
            for topic in topics:
                topic.request_catch_up()

    def _deliver(self, topic: Topic[Session], seq: int, frame: bytes) -> None:
        topic.note_delivered(seq)
        topic.send(frame)
        self.delivered_total += len(topic)

    # ------------------------------------------------------------------ commands

    async def _watch(self, session: Session, command: Watch) -> WatchingNotifications:
        user_id = session.who.user_id
        session.unfollow(NEW)
        try:
            stop = self._people.subscribe(user_id, session, session.socket.send)
            session.follow(NEW, stop)
            stop = self._changes.subscribe(user_id, session, session.socket.send)
            session.follow(CHANGES, stop)
        except TooManySubscribers:
            raise Overloaded(
                "Too many clients follow notifications; send notifications.watch later."
            ) from None
        seq, missed, unread = await self._store.read_missed(
            user_id, command.seq, limit=RESUMED_MAX + 1
        )
        if (topic := self._people.get(user_id)) is not None:
            topic.note_read(seq)
            topic.request_catch_up()  # what was committed while it was read
        is_complete = len(missed) <= RESUMED_MAX
        return WatchingNotifications(
            re=command.id,
            seq=seq,
            is_complete=is_complete,
            notifications=[views.notification(row) for row in missed] if is_complete else [],
            unread=unread,
        )

    def _unwatch(self, session: Session, command: Unwatch) -> None:
        session.unfollow(NEW)
        session.unfollow(CHANGES)
        session.reply(command.id)


def _frame(row: NotificationRow) -> bytes:
    return update_frame(NewNotification(notification=views.notification(row)))
