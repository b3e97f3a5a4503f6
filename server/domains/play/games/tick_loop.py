"""The pace of a real-time game: when its ticks pass, what bots do in them, when patches leave.

A game's time does not stop while its node is away: the node that takes it lets the missed ticks
pass, so that no viewer sees the game go back. How far a game without inputs was seen is not in its
log. So `live_game.SILENCE_S` bounds how long it has no event, and `CATCH_UP_S`, which is longer,
what is made up.
"""

import asyncio
import logging
from typing import Any, Final

import orjson

from protocol.errors import PlayhallError
from server.core.clock import Clock
from server.core.containment import RAISED_BY_RULES
from server.core.rules_watch import CALLING_RULES
from server.domains.play.games.live_game import PLAYING, LiveGame
from server.gamekit.chance import Chance, derive_seed
from server.gamekit.realtime import RealtimeRuleset

log = logging.getLogger(__name__)

CATCH_UP_S: Final = 60.0
# How long one game may keep the loop while it makes ticks up.
CATCH_UP_TURN_S: Final = 0.005
RETRY_S: Final = 0.05


class TickLoop:
    """One timer for one game; it makes up ticks that it was late for."""

    __slots__ = (
        "_clock",
        "_every",
        "_game",
        "_hz",
        "_loop",
        "_rules",
        "_start",
        "_timer",
    )

    def __init__(
        self,
        game: LiveGame,
        rules: RealtimeRuleset[Any, Any],
        *,
        clock: Clock,
    ) -> None:
        self._game = game
        self._rules = rules
        self._loop = asyncio.get_running_loop()
        self._hz = rules.tick_hz
        self._every = rules.tick_hz // rules.patch_hz
        self._timer: asyncio.TimerHandle | None = None
        # When tick 0 was, by the loop's clock, so that the tick of now is as long after the last
        # event as the clocks say.
        silence_s = (clock.now_ms() - game.fold.at_ms) / 1000
        due = game.fold.tick + int(min(max(silence_s, 0.0), CATCH_UP_S) * self._hz)
        self._start = self._loop.time() - due / self._hz

    def restart(self) -> None:
        """See to it that the next tick passes in time."""
        if self._timer is None and self._game.state is PLAYING:
            at = self._start + (self._game.fold.tick + 1) / self._hz
            self._timer = self._loop.call_at(at, self._fire)

    def stop(self) -> None:
        """Let no more ticks pass."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        game, began = self._game, self._loop.time()
        due = int((began - self._start) * self._hz)
        late = due - game.fold.tick - CATCH_UP_S * self._hz
        if late > 0:  # the node was suspended: what is more than that is not made up
            self._start += late / self._hz
        try:
            while game.fold.tick < due and game.state is PLAYING:
                self._pass_tick()
                if self._loop.time() - began > CATCH_UP_TURN_S:
                    break
        except PlayhallError as error:  # the log is behind, the lease is lost, or the rules failed
            if error.retry:
                log.info(
                    "game %s: its ticks wait: %s",
                    game.game_id,
                    error,
                    extra={"game_id": game.game_id},
                )
                self._timer = self._loop.call_later(RETRY_S, self._fire)
                return
        self.restart()

    def _pass_tick(self) -> None:
        game = self._game
        is_drawn = (game.fold.tick + 1) % self._every == 0
        if is_drawn:
            self._ask_bots()
        game.pass_tick()
        if is_drawn:
            assert game.patches is not None  # as every real-time game has them
            game.patches.publish()

    def _ask_bots(self) -> None:
        fold = self._game.fold
        for seat, occupant in enumerate(fold.table.seats):
            if occupant.bot is None:
                continue
            if self._game.failures.is_exhausted:
                return  # the game is about to be stopped
            chance = Chance(derive_seed(fold.origin.seed, "bot", seat, fold.tick))
            try:
                with CALLING_RULES:
                    view = {**self._rules.view(fold.state, seat), "seat": seat}
                    move = self._rules.bots[occupant.bot](view, chance)
                    if move is not None:
                        self._rules.read_move(move)
                if move is not None:
                    self._game.take_bot_input(seat, move, size=len(orjson.dumps(move)))
            except RAISED_BY_RULES as error:
                self._game.failures.count(self._rules.name, "bot", error)
