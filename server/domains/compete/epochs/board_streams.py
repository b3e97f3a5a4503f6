"""Boards that are watched, each kept up to date from the day's log by one task.

A version is given under the day's lock, so versions are committed in order, and whoever reads
the events after the last one read has them all. That is the same for what this node and what
another one wrote. What this node wrote wakes the task at once; what another one wrote wakes it
when the broker says so, or when the database is polled.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from persistence.broker import NO_NUMBER, Notice
from persistence.epochs.store import EpochStore
from protocol.epochs import EVENTS_MAX, FOLLOWED_MAX
from protocol.errors import Overloaded, PlayhallError
from protocol.ids import EpochId
from server.core.clock import Clock
from server.core.containment import log_failure
from server.core.subscriptions import PollPolicy, Subscriptions, TooManySubscribers, Topic
from server.core.tasks import Tasks
from server.domains.compete.epochs.board import LiveEpochState
from server.gateway.session.sessions import Session
from server.gateway.transport.framing import text_frame

log = logging.getLogger(__name__)

# For what other nodes wrote: with a broker that brings their notices, and without.
POLL: Final = PollPolicy(live_s=2.0, alone_s=0.05)
LOOK_AGAIN_S: Final = 1.0  # after the database did not answer, and for what is seldom new
REST_MAX_S: Final = 0.1  # between two changes that are sent
IDLE_S: Final = 10.0
PAST_MAX: Final = 64  # of days that are archived; the few that are not may always be watched

_PREFIX: Final = b'{"type":"epoch.event",'


@dataclass(slots=True)
class WatchedEpoch:
    """A board, what wakes the task that keeps it, and who may send what is new."""

    board: LiveEpochState
    topic: Topic[Session]
    sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    looked_at: float = 0.0

    @property
    def is_past(self) -> bool:
        """Whether nothing is to be expected any more."""
        return self.board.phase == "archive"


class EpochStreams:
    """Who watches which day on this node. The source of the topics of days."""

    def __init__(
        self, store: EpochStore, subscriptions: Subscriptions, *, tasks: Tasks, clock: Clock
    ) -> None:
        self._store = store
        self._days = subscriptions.kind("epoch", source=self, poll=POLL)
        self._tasks = tasks
        self._clock = clock
        self._boards: dict[EpochId, WatchedEpoch] = {}
        self._opening = asyncio.Lock()
        self.events_total = 0

    def __len__(self) -> int:
        """Count the days that are watched."""
        return len(self._boards)

    @property
    def watchers(self) -> int:
        """Count the watchers of all days."""
        return sum(len(watched.topic) for watched in self._boards.values())

    async def watch(
        self, session: Session, epoch_id: EpochId, after: int | None
    ) -> dict[str, object]:
        """Give a snapshot, or what came after a version; all else follows by itself.

        Nothing is awaited between the answer and following, so nothing is missed or sent twice.
        """
        now = await self._store.now()
        watched = await self._board(epoch_id)
        if after is not None and after > watched.board.version:  # it comes from a node ahead
            await self._catch_up(epoch_id, watched)
            watched = await self._board(epoch_id)
        board = watched.board
        missed = None if after is None else board.since(after)
        self._follow(session, epoch_id)
        answer: dict[str, object] = {"epoch_id": epoch_id, "version": board.version}
        if missed is None:
            answer |= {"snapshot": board.snapshot(now), "events": []}
        else:
            answer |= {"snapshot": None, "events": [orjson.Fragment(event) for event in missed]}
        return answer

    def unwatch(self, session: Session, epoch_id: EpochId) -> None:
        """Follow a day no more; harmless if it is not followed."""
        session.unfollow(_key(epoch_id))

    def publish_committed(self, epoch_id: EpochId, version: int = NO_NUMBER) -> None:
        """Look at once, here and on other nodes, since something was committed here."""
        watched = self._boards.get(epoch_id)
        if watched is not None:
            watched.woken.set()
        self._days.notify(epoch_id, number=version)

    def on_notice(self, _: Topic[Session], __: Notice) -> bool:
        """Have the day read; its notices only say how far it is."""
        return False

    async def deliver_missed(self, topics: Sequence[Topic[Session]]) -> None:
        """Wake the tasks that keep these boards; of past days not each time that it is polled."""
        before = self._clock.monotonic() - LOOK_AGAIN_S
        for topic in topics:
            watched = self._boards.get(EpochId(topic.key))
            if watched is not None and not (watched.is_past and watched.looked_at > before):
                watched.woken.set()

    # ------------------------------------------------------------------ details

    def _follow(self, session: Session, epoch_id: EpochId) -> None:
        if session.socket.closing:
            return
        session.unfollow(_key(epoch_id))
        if session.following("epoch") >= FOLLOWED_MAX:
            raise Overloaded(f"You are following {FOLLOWED_MAX} epochs; use epoch.unwatch first.")
        try:
            stop = self._days.subscribe(epoch_id, session, session.socket.send)
        except TooManySubscribers:
            raise Overloaded(
                "Too many clients are following this; send epoch.watch later."
            ) from None
        session.follow(_key(epoch_id), stop)

    async def _board(self, epoch_id: EpochId) -> WatchedEpoch:
        async with self._opening:
            if (watched := self._boards.get(epoch_id)) is not None:
                return watched
            # Held before it is read: a notice of what is committed meanwhile wakes the task.
            topic = self._days.hold(epoch_id)
            try:
                watched = WatchedEpoch(await self._read(epoch_id), topic)
                self._require_room(watched)
            except BaseException:
                topic.release()
                raise
            topic.note_delivered(watched.board.version)
            watched.woken.set()
            self._boards[epoch_id] = watched
            self._tasks.start_work(self._keep(epoch_id, watched), name="epoch board")
            return watched

    def _require_room(self, watched: WatchedEpoch) -> None:
        if watched.is_past and sum(one.is_past for one in self._boards.values()) >= PAST_MAX:
            raise Overloaded("Too many past epochs are being watched; try again later.")

    async def _read(self, epoch_id: EpochId) -> LiveEpochState:
        day = await self._store.read_day(epoch_id)
        version, phase, slots = await self._store.read_slots(epoch_id)
        return LiveEpochState(day, phase, version, slots)

    async def _keep(self, epoch_id: EpochId, watched: WatchedEpoch) -> None:
        try:
            idle_since = self._clock.monotonic()
            while self._clock.monotonic() - idle_since < IDLE_S:
                if await _is_woken(watched):
                    await self._look(epoch_id, watched)
                if len(watched.topic):
                    idle_since = self._clock.monotonic()
        finally:
            del self._boards[epoch_id]
            watched.topic.release()

    async def _look(self, epoch_id: EpochId, watched: WatchedEpoch) -> None:
        """Send what is new; what cannot be read now is read later."""
        watched.looked_at = self._clock.monotonic()
        try:
            await self._catch_up(epoch_id, watched)
        except PlayhallError as error:
            log.warning("the events of an epoch could not be read: %s", error.message)
            await _look_again(watched)
        except Exception:
            # A bug of ours: logged with its trace, and the watchers hear the rest all the same.
            log_failure("notifying the watchers of an epoch")
            await _look_again(watched)

    async def _catch_up(self, epoch_id: EpochId, watched: WatchedEpoch) -> None:
        """Send all that is new; one at a time, since sending takes turns of the loop."""
        async with watched.sending:
            board = watched.board
            read = await self._store.read_events(epoch_id, after=board.version, limit=EVENTS_MAX)
            if read:
                frames = [text_frame(_PREFIX + board.apply(event)[1:]) for event in read]
                self.events_total += len(frames)
                await self._send(watched.topic, b"".join(frames))
                watched.topic.note_delivered(board.version)
            if len(read) == EVENTS_MAX:
                watched.woken.set()  # there may be more

    async def _send(self, topic: Topic[Session], frames: bytes) -> None:
        """Send to all watchers; then rest for half as long as that took.

        So changes come together where there are thousands of watchers: to write two at once
        costs what one does. With few watchers it is no rest at all.
        """
        began = self._clock.monotonic()
        await topic.send_gradually(frames)
        took_s = self._clock.monotonic() - began
        await asyncio.sleep(min(took_s / 2, REST_MAX_S))


async def _is_woken(watched: WatchedEpoch) -> bool:
    """Wait until a board is woken; False after a while in which it was not."""
    try:
        async with asyncio.timeout(LOOK_AGAIN_S):
            await watched.woken.wait()
    except TimeoutError:
        return False
    watched.woken.clear()
    return True


async def _look_again(watched: WatchedEpoch) -> None:
    await asyncio.sleep(LOOK_AGAIN_S)
    watched.woken.set()


def _key(epoch_id: EpochId) -> tuple[str, EpochId]:
    return ("epoch", epoch_id)
