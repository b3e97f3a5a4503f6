"""Turns and timers of one game: deadlines, bots, and the moves of those who are away.

Nothing is played before everything decided earlier is committed, so a table of bots
paces itself by the disk.
"""

import asyncio
import logging
from typing import Final

from protocol.errors import PlayhallError
from server.core.clock import Clock
from server.core.containment import RAISED_BY_RULES
from server.core.rules_watch import CALLING_RULES
from server.domains.play.games.live_game import PLAYING, LiveGame
from server.gamekit.chance import Chance, derive_seed
from server.gamekit.contract import IllegalMove, Payload, Turn

log = logging.getLogger(__name__)

RETRY_MS: Final = 500
# A move that the server cannot make for a seat is tried again, after a pause that doubles, in
# case somebody else's move changes the state; after so many tries the game can never go on.
TRIES_MAX: Final = 5


class TurnTimer:
    """One timer for one game; a timer that fires early looks again.

    After a failure nothing is played for a while, unless the state changes: the rules are pure,
    so at the same state they would only fail again.
    """

    __slots__ = (
        "_bot_pause_ms",
        "_clock",
        "_due_ms",
        "_failures",
        "_game",
        "_loop",
        "_rest_at_index",
        "_rest_until_ms",
        "_timer",
    )

    def __init__(self, game: LiveGame, *, clock: Clock, bot_pause_s: float) -> None:
        self._game = game
        self._clock = clock
        self._bot_pause_ms = int(bot_pause_s * 1000)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due_ms = 0
        self._failures = 0
        self._rest_at_index = -1  # the next index of the state at which to rest
        self._rest_until_ms = 0

    def restart(self) -> None:
        """See to it that the present turn is played in time."""
        try:
            self._rearm()
        except RAISED_BY_RULES as error:  # a turn with seats or times that there are not
            self._game.stop_for_fault("evolve", error)

    def stop(self) -> None:
        """Play nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rearm(self) -> None:
        due_ms = self._next_due_ms()
        if due_ms is None:
            return
        if self._timer is not None:
            if self._due_ms <= due_ms:
                return  # fires early enough, and looks again then
            self._timer.cancel()
        self._due_ms = due_ms
        wait_s = max(0, due_ms - self._clock.now_ms()) / 1000
        self._timer = self._loop.call_later(wait_s, self._fire)

    def _next_due_ms(self) -> int | None:
        fold = self._game.fold
        if self._game.state is not PLAYING:
            return None
        due_ms = None if fold.timer is None else fold.timer.at_ms
        for seat in () if fold.turn is None else fold.turn.seats:
            seat_due_ms = self._seat_due_ms(seat)
            if seat_due_ms is not None and (due_ms is None or seat_due_ms < due_ms):
                due_ms = seat_due_ms
        if due_ms is not None and fold.next_index == self._rest_at_index:
            return max(due_ms, self._rest_until_ms)
        return due_ms

    def _seat_due_ms(self, seat: int) -> int | None:
        fold = self._game.fold
        occupant = fold.table.seats[seat]
        if occupant.bot is not None:
            return fold.turn_at_ms + self._bot_pause_ms
        if not occupant.present:
            return fold.turn_at_ms
        return fold.deadline_ms

    def _fire(self) -> None:
        self._timer = None
        if self._game.state is not PLAYING or not self._game.is_settled:
            return  # the commit of what is under way arms the timer again
        try:
            self._play_due()
        except RAISED_BY_RULES as error:
            self._game.stop_for_fault("evolve", error)
        if self._game.is_settled:
            self.restart()

    def _play_due(self) -> None:
        fold, now_ms = self._game.fold, self._clock.now_ms()
        if fold.timer is not None and fold.timer.at_ms <= now_ms:
            self._fire_timer()
            return  # what is due in the state after it is played after its commit
        turn, failure = fold.turn, None
        for seat in () if turn is None else turn.seats:
            due_ms = self._seat_due_ms(seat)
            is_due = due_ms is not None and due_ms <= now_ms
            if self._game.failures.is_exhausted:
                return  # the game is about to be stopped
            if is_due and turn is not None and _is_still_to_move(fold.turn, turn, seat):
                failure = self._play(seat) or failure
        if failure is not None and not self._game.closed:
            self._failed(failure)

    def _fire_timer(self) -> None:
        try:
            self._game.fire_timer()
        except PlayhallError as error:
            if error.retry:
                log.info(
                    "game %s: a timer waits: %s",
                    self._game.game_id,
                    error,
                    extra={"game_id": self._game.game_id},
                )
                self._rest(RETRY_MS)

    def _play(self, seat: int) -> Exception | None:
        """Play for a seat; gives what the rules did wrong, if no move came of it."""
        try:
            self._game.play_for_seat(seat, self._choose(seat))
        except PlayhallError as error:
            if not error.retry:
                return error
            log.info(
                "game %s: seat %d waits: %s",
                self._game.game_id,
                seat,
                error,
                extra={"game_id": self._game.game_id},
            )
            self._failures = 0
            self._rest(RETRY_MS)
        except IllegalMove as illegal:
            self._game.failures.count(self._game.fold.ruleset.name, "timeout_move", illegal)
            return illegal
        return None

    def _choose(self, seat: int) -> Payload:
        """Choose a bot's move, or the one for somebody away; raise `PlayhallError` without one."""
        fold = self._game.fold
        bot = fold.table.seats[seat].bot
        if bot is not None:
            chance = Chance(derive_seed(fold.origin.seed, "bot", seat, fold.next_index))
            try:
                with CALLING_RULES:
                    move = fold.ruleset.bots[bot](fold.ruleset.view(fold.state, seat), chance)
                    if move is None:
                        raise TypeError(f"the bot {bot} gave no move")
                    fold.ruleset.decide(fold.state, seat, fold.ruleset.read_move(move))
            except RAISED_BY_RULES as error:  # its turn is passed
                self._game.failures.count(fold.ruleset.name, "bot", error)
            else:
                return move
        try:
            with CALLING_RULES:
                return fold.ruleset.timeout_move(fold.state, seat)
        except RAISED_BY_RULES as error:
            self._game.failures.count(fold.ruleset.name, "timeout_move", error)
            raise PlayhallError("The rules gave no move for a seat whose time is up.") from error

    def _failed(self, error: Exception) -> None:
        """Rest before the next try at the same state; give the game up after the last."""
        index = self._game.fold.next_index
        self._failures = self._failures + 1 if index == self._rest_at_index else 1
        log.warning(
            "game %s: no timeout move can be made: %s",
            self._game.game_id,
            error,
            extra={"game_id": self._game.game_id},
        )
        if self._failures >= TRIES_MAX:
            self._game.stop_for_fault("timeout_move", error.__cause__ or error)
        else:
            self._rest(RETRY_MS << (self._failures - 1))

    def _rest(self, pause_ms: int) -> None:
        self._rest_at_index = self._game.fold.next_index
        self._rest_until_ms = self._clock.now_ms() + pause_ms


def _is_still_to_move(now: Turn | None, then: Turn, seat: int) -> bool:
    """Say whether a turn goes on for a seat, after others of its seats have moved."""
    return now is not None and now.number == then.number and seat in now.seats
