"""Real-time games as they were some time ago, for spectators who see them late.

The log of a real-time game has the ticks that took inputs, so a delayed spectator cannot be sent
its events as they are: what they did to the game would be missing. Instead the log is folded once
more, that much later, and what the fold shows is sent as a live game's is: a snapshot, then what
changes. Spectators of a game with the same delay share one fold.

Ticks without an event pass by the clock. The log cannot say that nothing more happened in them
until their events must have been committed, so they pass only when they are `SETTLED_S` old. If an
event of a tick that has passed is found all the same, the fold is begun again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import orjson

from persistence.games.store import GameStore
from protocol.errors import Overloaded
from protocol.ids import GameId
from server.core.clock import Clock
from server.core.containment import RAISED_BY_RULES
from server.core.periodic import AWAY
from server.core.rules_watch import CALLING_RULES
from server.core.tasks import Tasks
from server.domains.play.games.live_game import SILENCE_S, LiveGame
from server.domains.play.games.patches import PatchPublisher
from server.domains.play.games.recorder import RecordedEvent
from server.domains.play.games.recovery import decode_row
from server.domains.play.games.ruleset_failures import GameFailures, RulesetFailures
from server.domains.play.games.streams import (
    LOOK_EVERY_S,
    READ_ROWS,
    stop_streams,
)
from server.domains.play.games.subscribers import encode_stopped_frame
from server.domains.play.games.views import build_snapshot
from server.gamekit.contract import Viewer
from server.gamekit.fold import GameFold
from server.gamekit.table import AFTER_TICK, TICK
from server.gateway.session.sessions import Session
from server.gateway.transport.framing import text_frame

log = logging.getLogger(__name__)

SETTLED_S: Final = 2.0
# How long a fold may keep the loop before others go on.
TURN_S: Final = 0.005
TICKS_AT_ONCE: Final = 20
# Of one game. What a lobby imposes is one; spectators may ask for longer ones.
DELAYS_MAX: Final = 4
# On this node; each is folded and drawn for itself.
VIEWS_MAX: Final = 500
SPECTATORS_MAX: Final = 20_000  # of one view, as of any topic

IsStopped = Callable[[GameId], Awaitable[bool]]


class DelayedViews:
    """All that are shown on this node, by the game and the delay."""

    def __init__(
        self, store: GameStore, *, clock: Clock, faults: RulesetFailures, is_stopped: IsStopped
    ) -> None:
        self._store = store
        self._clock = clock
        self._faults = faults
        self._is_stopped = is_stopped
        self._views: dict[tuple[GameId, float], DelayedView] = {}

    def __len__(self) -> int:
        return len(self._views)

    def follow(self, game: LiveGame, session: Session, delay_s: float) -> None:
        """Have a spectator see a game so late; raise `Overloaded` where that is too much."""
        key = (game.game_id, delay_s)
        view = self._views.get(key)
        if view is None:
            self._require_room(game.game_id)
            view = self._views[key] = DelayedView(
                game,
                store=self._store,
                clock=self._clock,
                faults=self._faults,
                delay_s=delay_s,
                is_stopped=self._is_stopped,
            )
            self._start(session.sessions.tasks, key, view)
        view.admit(session)

    def _start(self, tasks: Tasks, key: tuple[GameId, float], view: "DelayedView") -> None:
        async def show() -> None:
            try:
                await view.run()
            finally:
                del self._views[key]
                view.close()

        tasks.start_work(show(), name="delayed spectator")

    def _require_room(self, game_id: GameId) -> None:
        delays = sorted(delay_s for each, delay_s in self._views if each == game_id)
        if len(delays) >= DELAYS_MAX:
            shown = ", ".join(f"{delay_s:g}" for delay_s in delays)
            raise Overloaded(f"This game is watched with {DELAYS_MAX} delays; use one of: {shown}.")
        if len(self._views) >= VIEWS_MAX:
            raise Overloaded


class _FoldedTooFar(Exception):
    """An event of a tick that has passed already was found."""


class DelayedView:
    """One game with one delay: a fold that lags behind, and the spectators who see it."""

    def __init__(
        self,
        game: LiveGame,
        *,
        store: GameStore,
        clock: Clock,
        faults: RulesetFailures,
        delay_s: float,
        is_stopped: IsStopped,
    ) -> None:
        rules = game.fold.realtime
        assert rules is not None
        self._rules = rules
        self._game_id = game.game_id
        self._origin = game.fold.origin
        self._encoder = game.subscribers.encoder
        self._store = store
        self._clock = clock
        self._delay_s = delay_s
        self._is_stopped = is_stopped
        self._sessions: dict[Session, None] = {}
        self._coming: deque[RecordedEvent] = deque()  # read, and not due; READ_ROWS at most
        self._read = -1  # the last event that was read
        self._read_at = float("-inf")
        self._has_nothing = False  # whether the last look found no event
        self._is_over = False
        self._failures = GameFailures(faults, stop=lambda *_: None)
        self._begin()

    def _begin(self) -> None:
        """Begin with nothing of the game, before its first event."""
        self._is_caught_up = False  # whether spectators are shown what is folded
        self._event_tick = 0  # of the last event that was folded
        with CALLING_RULES:
            self._fold = GameFold(self._origin)
        self._coming.clear()
        self._read, self._read_at = -1, float("-inf")
        self._patches = PatchPublisher(
            self._game_id,
            self._fold,
            self._rules,
            subscribers=self,
            when_committed=lambda call: call(self._fold.next_index - 1),
            faults=self._failures,
        )

    # ------------------------------------------------------------------ spectators

    @property
    def viewers(self) -> Mapping[Viewer, int]:
        """Everybody here is a spectator."""
        return {None: len(self._sessions)} if self._sessions else {}

    def send_views(self, frames: Mapping[Viewer, bytes]) -> None:
        """Send a frame to all."""
        if (frame := frames.get(None)) is not None:
            for session in list(self._sessions):
                session.socket.send(frame)

    def admit(self, session: Session) -> None:
        """Show the game to a spectator from now on, as soon as there is something to be seen."""
        if session.socket.closing:
            return
        if len(self._sessions) >= SPECTATORS_MAX:
            raise Overloaded("Too many follow this game; try again in a while.")
        if self._is_caught_up:
            session.socket.send(self._snapshot())
        self._sessions[session] = None
        session.follow(("game", self._game_id), lambda: self._sessions.pop(session, None))

    def close(self) -> None:
        """Send nothing more."""
        for session in list(self._sessions):
            stop_streams(session, self._game_id)

    def _snapshot(self) -> bytes:
        """Draw what those see who have seen nothing; patches go on from there."""
        with CALLING_RULES:
            shown = build_snapshot(self._fold, None)
        view = shown["view"]
        assert isinstance(view, dict)
        self._patches.bring_up_to_date(None, view)
        update = {"type": "game.state", "game_id": self._game_id, **shown, "commitment": None}
        return text_frame(orjson.dumps(update))

    # ------------------------------------------------------------------ time

    async def run(self) -> None:
        """Show the game until its end was seen, or nobody looks any more."""
        try:
            while self._sessions and not self._is_over:
                try:
                    await self._advance()
                    if self._has_nothing and await self._ends_here():
                        return
                except AWAY as error:  # spectators keep what they have
                    log.info(
                        "game %s: its delayed view waits: %s",
                        self._game_id,
                        error,
                        extra={"game_id": self._game_id},
                    )
                    await asyncio.sleep(LOOK_EVERY_S)
                except _FoldedTooFar:
                    log.warning(
                        "game %s: its delayed view is folded again",
                        self._game_id,
                        extra={"game_id": self._game_id},
                    )
                    self._begin()
                    continue
                await asyncio.sleep(1 / self._rules.patch_hz)
        except RAISED_BY_RULES as error:
            if isinstance(error, asyncio.CancelledError):
                raise
            self._failures.count(self._rules.name, "step", error)
            self._send_to_all(encode_stopped_frame(self._game_id))

    async def _ends_here(self) -> bool:
        """Say whether the game was set aside, and everything of it was shown."""
        self._has_nothing = False
        if not await self._is_stopped(self._game_id):
            return False
        self._send_to_all(encode_stopped_frame(self._game_id))
        return True

    async def _advance(self) -> None:
        """Go on to where the game was `delay_s` ago, and show what has changed."""
        now_ms = self._clock.now_ms()
        due_ms = now_ms - int(self._delay_s * 1000)
        settled_ms = now_ms - int(max(self._delay_s, SETTLED_S) * 1000)
        began = asyncio.get_running_loop().time()
        while not self._is_over:
            await self._read_on()
            if self._coming and self._coming[0].event.at_ms <= due_ms:
                is_behind = not self._pass_ticks(self._tick_before(self._coming[0]))
                if not is_behind:
                    self._apply(self._coming.popleft())
            elif not self._fold.next_index:
                return
            else:
                is_behind = not self._pass_ticks(
                    self._tick_at(due_ms if self._coming else settled_ms)
                )
                if not is_behind:
                    break
            if asyncio.get_running_loop().time() - began > TURN_S:
                await asyncio.sleep(0)
                began = asyncio.get_running_loop().time()
        if self._is_over:
            return
        if self._is_caught_up:
            self._patches.publish()
        elif self._fold.next_index:
            self._is_caught_up = True
            self._send_to_all(self._snapshot())

    async def _read_on(self) -> None:
        now = self._clock.monotonic()
        if self._coming or now - self._read_at < LOOK_EVERY_S:
            return
        rows = await self._store.read_events(self._game_id, after=self._read, limit=READ_ROWS)
        self._coming.extend(decode_row(row) for row in rows)
        self._has_nothing = not rows
        if rows:
            self._read = rows[-1].event_index
        if len(rows) < READ_ROWS:
            self._read_at = now

    def _tick_before(self, item: RecordedEvent) -> int:
        """Say after which tick an event is folded."""
        tick: int = item.event.payload[AFTER_TICK]
        return tick - 1 if item.event.type == TICK else tick

    def _tick_at(self, at_ms: int) -> int:
        """Say which tick had passed at a time, as far as the last event tells."""
        # No event for longer: nobody plays the game now.
        since_s = min(max(0, at_ms - self._fold.at_ms) / 1000, SILENCE_S)
        tick = self._event_tick + int(since_s * self._rules.tick_hz)
        if self._coming:
            tick = min(tick, self._tick_before(self._coming[0]))
        return max(tick, self._fold.tick)

    def _pass_ticks(self, until: int) -> bool:
        """Let some ticks pass; say whether it is all of them."""
        if until < self._fold.tick:
            raise _FoldedTooFar
        with CALLING_RULES:
            self._fold.advance_to(min(until, self._fold.tick + TICKS_AT_ONCE))
        return self._fold.tick == until

    def _apply(self, item: RecordedEvent) -> None:
        is_shown = self._is_caught_up and item.event.type != TICK
        if is_shown:  # what came before it first, as its number is beyond that
            self._patches.publish()
        with CALLING_RULES:
            self._fold.apply(item.event)
        self._event_tick = self._fold.tick
        self._is_over = self._fold.table.completed
        if self._is_over and not self._is_caught_up:
            self._send_to_all(self._snapshot())
            is_shown = True
        if is_shown:
            self._send_to_all(self._encoder.frames((item,), None))

    def _send_to_all(self, frame: bytes) -> None:
        for session in list(self._sessions):
            session.socket.send(frame)
