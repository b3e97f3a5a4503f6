"""What is published to an account's devices, on whichever node they are connected.

A topic for each account, numbered like its stream in the database, which is the truth: whoever
misses a number, or comes back, reads the changes from there. Between reading and following, a
change may be delivered twice; devices ignore numbers that they have.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

import orjson

from persistence.broker import NO_NUMBER, Notice
from persistence.database import Connection
from persistence.saves.changes import READ_AT_ONCE, ChangeRow, ProgressStore
from protocol.errors import Overloaded
from protocol.ids import UserId
from protocol.saves import ProgressChange, Unwatch, Watch, Watching
from server.core.clock import wire_time
from server.core.events import ProgressChanged, ProgressFollowed
from server.core.subscriptions import PollPolicy, Subscriptions, TooManySubscribers, Topic
from server.gateway.session.sessions import CommandRoute, Routes, Session, update_frame

POLL: Final = PollPolicy(live_s=30.0, alone_s=2.0)
KEY: Final = ("progress",)


class ProgressStreams:
    """Follows streams, and tells of changes."""

    def __init__(
        self,
        subscriptions: Subscriptions,
        store: ProgressStore,
        publish: Callable[[object], None],
    ) -> None:
        """`publish` tells other domains of what is committed; see `server.core.events`."""
        self._store = store
        self._publish = publish
        self._accounts = subscriptions.kind("progress", source=self, poll=POLL)

    def __len__(self) -> int:
        """Count the accounts that are followed."""
        return len(self._accounts)

    def routes(self) -> Routes:
        """Say how the commands are carried out."""
        return {
            Watch: CommandRoute(awaited=self._watch, for_companions=True),
            Unwatch: CommandRoute(immediate=self._unwatch, for_companions=True),
        }

    async def append(
        self,
        connection: Connection,
        account_id: UserId,
        kind: str,
        slot_id: str | None,
        data: Mapping[str, object],
    ) -> ChangeRow:
        """Add a change in the caller's transaction."""
        return await self._store.append(connection, account_id, kind, slot_id, data)

    def announce(self, change: ChangeRow) -> None:
        """Tell devices, here and on other nodes, of a change that is committed."""
        frame = update_frame(_view(change))
        after = change.number - 1
        if (topic := self._accounts.get(change.account_id)) is not None:
            self._deliver(topic, change.number, after, frame)
        self._accounts.notify(change.account_id, number=change.number, after=after, payload=frame)
        self._publish(ProgressChanged(change.account_id, change.slot_id, change.kind))

    def followed(self) -> Collection[UserId]:
        """List the accounts that are followed here."""
        return [UserId(topic.key) for topic in self._accounts.topics()]

    # ------------------------------------------------------------------ the source of topics

    def on_notice(self, topic: Topic[Session], notice: Notice) -> bool:
        """Deliver what another node did; it follows what was delivered before."""
        topic.note_delivered(notice.number)
        topic.send(notice.payload)
        return True

    async def deliver_missed(self, topics: Sequence[Topic[Session]]) -> None:
        """Read what each account has beyond what was delivered here."""
        after = {UserId(topic.key): topic.number for topic in topics if topic.number != NO_NUMBER}
        changes = await self._store.read_after(after) if after else []
        for change in changes:
            topic = self._accounts.get(change.account_id)
            if topic is not None and change.number > topic.number:
                topic.note_delivered(change.number)
                topic.send(update_frame(_view(change)))
        if len(changes) == READ_AT_ONCE:
            for topic in topics:
                topic.request_catch_up()

    # ------------------------------------------------------------------ details

    async def _watch(self, session: Session, command: Watch) -> Watching:
        account_id = session.who.user_id
        session.unfollow(KEY)
        try:
            stop = self._accounts.subscribe(account_id, session, session.socket.send)
        except TooManySubscribers:
            raise Overloaded(
                "Too many clients follow changes; send progress.watch later."
            ) from None
        session.follow(KEY, stop)
        number, changes = await self._store.read_changes(account_id, command.after)
        if (topic := self._accounts.get(account_id)) is not None:
            topic.note_read(number)
            topic.request_catch_up()  # what was committed while it was read
        self._publish(ProgressFollowed(account_id))
        after = number if command.after is None else command.after
        is_complete = after <= number and number - after == len(changes)
        return Watching(
            re=command.id,
            number=number,
            is_complete=is_complete,
            changes=[_view(change) for change in changes] if is_complete else [],
        )

    def _unwatch(self, session: Session, command: Unwatch) -> None:
        session.unfollow(KEY)
        session.reply(command.id)

    def _deliver(self, topic: Topic[Any], number: int, after: int, frame: bytes) -> None:
        if topic.number == after:
            topic.note_delivered(number)
            topic.send(frame)
        elif topic.number < number:
            topic.request_catch_up()


def _view(change: ChangeRow) -> ProgressChange:
    return ProgressChange(
        number=change.number,
        kind=change.kind,
        slot_id=change.slot_id,
        data=orjson.loads(change.data),
        at=wire_time(change.at),
    )
