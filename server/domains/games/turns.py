"""Turns of one game: deadlines, bots, and the moves of those who are away.

Nothing is played before everything decided earlier is committed, so a table of bots
paces itself by the disk.
"""

import asyncio
import logging

from protocol.errors import PlayhallError
from server.domains.games.host import Host
from server.gamekit.chance import Chance, derive
from server.gamekit.contract import IllegalMove, Payload
from server.kernel.clock import Clock

log = logging.getLogger(__name__)

RETRY_S = 0.5


class Turns:
    """One timer for one game; a timer that fires early looks again."""

    __slots__ = ("_bot_pause_ms", "_clock", "_due_ms", "_host", "_loop", "_timer")

    def __init__(self, host: Host, *, clock: Clock, bot_pause_s: float) -> None:
        self._host = host
        self._clock = clock
        self._bot_pause_ms = int(bot_pause_s * 1000)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due_ms = 0

    def rearm(self) -> None:
        """See to it that the present turn is played in time."""
        due_ms = self._next_due_ms()
        if due_ms is None:
            return
        if self._timer is not None:
            if self._due_ms <= due_ms:
                return  # fires early enough, and looks again then
            self._timer.cancel()
        self._wait_until(due_ms)

    def stop(self) -> None:
        """Play nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait_until(self, due_ms: int) -> None:
        self._due_ms = due_ms
        wait_s = max(0, due_ms - self._clock.now_ms()) / 1000
        self._timer = self._loop.call_later(wait_s, self._fire)

    def _next_due_ms(self) -> int | None:
        turn = self._host.fold.turn
        if turn is None or self._host.closed:
            return None
        dues = [due for seat in turn.seats if (due := self._seat_due_ms(seat)) is not None]
        return min(dues, default=None)

    def _seat_due_ms(self, seat: int) -> int | None:
        fold = self._host.fold
        chair = fold.table.chairs[seat]
        if chair.bot is not None:
            return fold.turn_at_ms + self._bot_pause_ms
        if not chair.present:
            return fold.turn_at_ms
        return fold.deadline_ms

    def _fire(self) -> None:
        self._timer = None
        if self._host.closed or not self._host.is_settled:
            return  # the commit of what is under way arms the timer again
        self._play_due()
        if self._host.is_settled:
            self.rearm()

    def _play_due(self) -> None:
        turn, now_ms = self._host.fold.turn, self._clock.now_ms()
        for seat in turn.seats if turn is not None else ():
            due_ms = self._seat_due_ms(seat)
            if due_ms is not None and due_ms <= now_ms and self._host.fold.turn is turn:
                self._play(seat)

    def _play(self, seat: int) -> None:
        try:
            self._host.play(seat, self._choose(seat))
        except PlayhallError as error:
            log.info("game %s: seat %d waits: %s", self._host.game_id, seat, error)
            if self._timer is None:  # one for all the seats whose turn it is
                self._timer = self._loop.call_later(RETRY_S, self._fire)
        except IllegalMove:
            log.exception("game %s: no move could be made for seat %d", self._host.game_id, seat)

    def _choose(self, seat: int) -> Payload:
        fold = self._host.fold
        chair = fold.table.chairs[seat]
        if chair.bot is None:
            return fold.ruleset.timeout_move(fold.state, seat)
        chance = Chance(derive(fold.origin.seed, "bot", seat, fold.next_index))
        try:
            move = fold.ruleset.bots[chair.bot](fold.ruleset.view(fold.state, seat), chance)
            fold.ruleset.decide(fold.state, seat, fold.ruleset.read_move(move))
        except Exception:
            log.exception("bot %s of %s failed; its turn is passed", chair.bot, fold.ruleset.name)
            return fold.ruleset.timeout_move(fold.state, seat)
        return move
