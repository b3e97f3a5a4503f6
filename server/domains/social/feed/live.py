"""What is new in feeds: between nodes, and to those who watch here."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from persistence.broker import Notice
from persistence.feed.store import FeedStore, FeedViewer
from protocol.errors import Overloaded
from protocol.feed import NewCreationPosted, UnwatchFeed, WatchFeed, WhichFeed
from protocol.ids import CreationId, UserId
from server.core.clock import wire_time
from server.core.containment import contain_failures
from server.core.events import CreationListed, PlayerErased, UserBanned, UserDeactivated
from server.core.periodic import AWAY
from server.core.subscriptions import Subscriptions, Topic
from server.gateway.session.sessions import CommandRoute, Routes, Session, update_frame

log = logging.getLogger(__name__)

WAITING_MAX: Final = 1000  # new creations; of more, watchers are not told
ASKED_AT_ONCE: Final = 1000  # watchers
WATCHERS_MAX: Final = 20_000  # of one node and feed
_CHANGES: Final = "changes"


class LiveFeeds:
    """One topic for all nodes: a notice says which creation is new, or only that lists changed."""

    def __init__(
        self, subscriptions: Subscriptions, store: FeedStore, on_change: Callable[[], None]
    ) -> None:
        """`on_change` is called whenever the public lists may have changed, on any node."""
        self.announced_total = 0
        self._store = store
        self._on_change = on_change
        self._watchers: dict[WhichFeed, dict[Session, UserId]] = {"following": {}, "public": {}}
        self._new: asyncio.Queue[CreationId] = asyncio.Queue(WAITING_MAX)
        self._topics = subscriptions.kind("feed", source=self)
        self._topic: Topic[object] = self._topics.hold(_CHANGES)

    def __len__(self) -> int:
        return sum(map(len, self._watchers.values()))

    def routes(self) -> Routes:
        """Say how the commands are carried out."""
        return {
            WatchFeed: CommandRoute(immediate=self._watch),
            UnwatchFeed: CommandRoute(immediate=self._unwatch),
        }

    def note_change(self, event: CreationListed) -> None:
        """Note that the lists changed here, and notify the other nodes."""
        payload = event.creation_id.encode() if event.is_new and event.creation_id else b""
        self._changed(payload)
        self._topic.notify(payload=payload)

    def forget_pages(self, _: PlayerErased | UserBanned | UserDeactivated) -> None:
        """Note that somebody's creations may be gone; every node hears of this by itself."""
        self._on_change()

    async def run(self) -> None:
        """Tell those who watch here of new creations, until cancelled."""
        while True:
            creation_id = await self._new.get()
            try:
                with contain_failures("announcing a creation", passed=AWAY):
                    await self._announce(creation_id)
            except AWAY:
                log.info("a new creation was not announced: the database is away")

    # ------------------------------------------------------------------ subscriptions call these

    def on_notice(self, _: Topic[object], notice: Notice) -> bool:
        """Take a notice of another node in."""
        self._changed(notice.payload)
        return True

    async def deliver_missed(self, _: Sequence[Topic[object]]) -> None:
        """Note that lists may have changed; which creations are new is not known."""
        self._on_change()

    # ------------------------------------------------------------------ details

    def _changed(self, payload: bytes) -> None:
        self._on_change()
        if payload and len(self) and not self._new.full():
            self._new.put_nowait(CreationId(payload.decode()))

    def _watch(self, session: Session, command: WatchFeed) -> None:
        watchers = self._watchers[command.feed]
        if len(watchers) >= WATCHERS_MAX:
            raise Overloaded
        session.unfollow(("feed", command.feed))
        watchers[session] = session.who.user_id

        def stop() -> None:
            watchers.pop(session, None)

        session.follow(("feed", command.feed), stop)
        session.reply(command.id)

    def _unwatch(self, session: Session, command: UnwatchFeed) -> None:
        session.unfollow(("feed", command.feed))
        session.reply(command.id)

    async def _announce(self, creation_id: CreationId) -> None:
        people = sorted({who for each in self._watchers.values() for who in each.values()})
        for start in range(0, len(people), ASKED_AT_ONCE):
            viewers = await self._store.list_viewers(
                creation_id, people[start : start + ASKED_AT_ONCE]
            )
            self._send(creation_id, {viewer.user_id: viewer for viewer in viewers})

    def _send(self, creation_id: CreationId, viewers: Mapping[UserId, FeedViewer]) -> None:
        for feed, watchers in self._watchers.items():
            frame: bytes | None = None
            for session, user_id in list(watchers.items()):
                viewer = viewers.get(user_id)
                if viewer is None or (feed == "following" and not viewer.follows):
                    continue
                if frame is None:
                    frame = _frame(feed, creation_id, viewer)
                session.socket.send(frame)
                self.announced_total += 1


def _frame(feed: WhichFeed, creation_id: CreationId, viewer: FeedViewer) -> bytes:
    return update_frame(
        NewCreationPosted(
            feed=feed,
            creation_id=creation_id,
            user_id=viewer.author_id,
            title=viewer.title,
            published_at=wire_time(viewer.published_at),
        )
    )
