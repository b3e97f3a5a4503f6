"""Boards that are watched, each kept up to date from the day's log by one task.

A version is given under the day's lock, so versions are committed in order, and whoever reads
the events after the last one read has them all. That is the same for what this node and what
another one wrote; what this node wrote only wakes the task sooner.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Final

import orjson

from persistence.broker.memory import Bus, TooManyFollowers
from persistence.epochs.store import EpochStore
from protocol.epochs import EVENTS_MAX, FOLLOWED_MAX
from protocol.errors import Overloaded, PlayhallError
from protocol.ids import EpochId
from server.core.clock import Clock
from server.core.containment import failed
from server.core.tasks import Tasks
from server.domains.compete.epochs.board import Board
from server.gateway.session.sessions import Session
from server.gateway.transport.framing import text_frame

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.05  # for what other nodes wrote
LOOK_AGAIN_S: Final = 1.0  # after the database did not answer, and for what is seldom new
REST_MAX_S: Final = 0.1  # between two changes that are told
IDLE_S: Final = 10.0
PAST_MAX: Final = 64  # of days that are archived; the few that are not may always be watched

_PREFIX: Final = b'{"type":"epoch.event",'


@dataclass(slots=True)
class Watched:
    """A board, what wakes the task that keeps it, and who may tell what is new."""

    board: Board
    telling: asyncio.Lock = field(default_factory=asyncio.Lock)
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_past(self) -> bool:
        """Whether nothing is to be expected any more."""
        return self.board.phase == "archive"


class Following:
    """Who watches which day on this node."""

    def __init__(self, store: EpochStore, bus: Bus, *, tasks: Tasks, clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._tasks = tasks
        self._clock = clock
        self._boards: dict[EpochId, Watched] = {}
        self._opening = asyncio.Lock()
        self.events_total = 0

    def __len__(self) -> int:
        """Count the days that are watched."""
        return len(self._boards)

    @property
    def watchers(self) -> int:
        """Count the watchers of all days."""
        return sum(self._bus.count(_topic(epoch_id)) for epoch_id in self._boards)

    async def watch(
        self, session: Session, epoch_id: EpochId, after: int | None
    ) -> dict[str, object]:
        """Give a picture, or what came after a version; all else follows by itself.

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
            answer |= {"picture": board.picture(now), "events": []}
        else:
            answer |= {"picture": None, "events": [orjson.Fragment(event) for event in missed]}
        return answer

    def unwatch(self, session: Session, epoch_id: EpochId) -> None:
        """Follow a day no more; harmless if it is not followed."""
        session.unfollow(_key(epoch_id))

    def wake(self, epoch_id: EpochId) -> None:
        """Look at once, since something was committed here."""
        watched = self._boards.get(epoch_id)
        if watched is not None:
            watched.woken.set()

    # ------------------------------------------------------------------ details

    def _follow(self, session: Session, epoch_id: EpochId) -> None:
        if session.socket.closing:
            return
        session.unfollow(_key(epoch_id))
        if session.following("epoch") >= FOLLOWED_MAX:
            raise Overloaded(f"You are following {FOLLOWED_MAX} epochs; use epoch.unwatch first.")
        try:
            stop = self._bus.follow(_topic(epoch_id), session, session.socket.send)
        except TooManyFollowers:
            raise Overloaded(
                "Too many clients are following this; send epoch.watch later."
            ) from None
        session.follow(_key(epoch_id), stop)

    async def _board(self, epoch_id: EpochId) -> Watched:
        async with self._opening:
            if (watched := self._boards.get(epoch_id)) is not None:
                return watched
            watched = Watched(await self._read(epoch_id))
            if watched.is_past and sum(one.is_past for one in self._boards.values()) >= PAST_MAX:
                raise Overloaded("Too many past epochs are being watched; try again later.")
            self._boards[epoch_id] = watched
            self._tasks.work(self._keep(epoch_id, watched), name="epoch board")
            return watched

    async def _read(self, epoch_id: EpochId) -> Board:
        day = await self._store.read_day(epoch_id)
        version, phase, slots = await self._store.read_slots(epoch_id)
        return Board(day, phase, version, slots)

    async def _keep(self, epoch_id: EpochId, watched: Watched) -> None:
        try:
            idle_since = self._clock.monotonic()
            while self._clock.monotonic() - idle_since < IDLE_S:
                await self._sleep(watched)
                await self._look(epoch_id, watched)
                if self._bus.count(_topic(epoch_id)):
                    idle_since = self._clock.monotonic()
        finally:
            del self._boards[epoch_id]

    async def _sleep(self, watched: Watched) -> None:
        try:
            async with asyncio.timeout(LOOK_AGAIN_S if watched.is_past else LOOK_EVERY_S):
                await watched.woken.wait()
        except TimeoutError:
            pass
        watched.woken.clear()

    async def _look(self, epoch_id: EpochId, watched: Watched) -> None:
        """Tell what is new; what cannot be read now is read later."""
        try:
            await self._catch_up(epoch_id, watched)
        except PlayhallError as error:
            log.warning("the events of an epoch could not be read: %s", error.message)
            await asyncio.sleep(LOOK_AGAIN_S)
        except Exception:
            # A bug of ours: told with its trace, and the watchers hear the rest all the same.
            failed("notifying the watchers of an epoch")
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _catch_up(self, epoch_id: EpochId, watched: Watched) -> None:
        """Tell all that is new; one at a time, since telling takes turns of the loop."""
        async with watched.telling:
            board = watched.board
            read = await self._store.read_events(epoch_id, after=board.version, limit=EVENTS_MAX)
            if read:
                frames = [text_frame(_PREFIX + board.apply(event)[1:]) for event in read]
                self.events_total += len(frames)
                await self._tell(epoch_id, b"".join(frames))

    async def _tell(self, epoch_id: EpochId, frames: bytes) -> None:
        """Tell all watchers; then rest for half as long as that took.

        So changes come together where there are thousands of watchers: to write two at once
        costs what one does. With few watchers it is no rest at all.
        """
        began = self._clock.monotonic()
        await self._bus.spread(_topic(epoch_id), frames)
        took_s = self._clock.monotonic() - began
        await asyncio.sleep(min(took_s / 2, REST_MAX_S))


def _topic(epoch_id: EpochId) -> str:
    return f"epoch:{epoch_id}"


def _key(epoch_id: EpochId) -> tuple[str, EpochId]:
    return ("epoch", epoch_id)
