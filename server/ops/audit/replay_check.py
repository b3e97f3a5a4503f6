"""A log played again: every event must be what the rules give.

From the seed, the deal; from each move that the log records, all that came of it; and
around them the table's own events, which the server would have written just so.
"""

from collections.abc import Sequence

from persistence.eventlog.hashchain import canonical_json
from server.domains.play.games.recorder import RecordedEvent
from server.gamekit.commands import PRESENCE, derives_moves
from server.gamekit.contract import Event, IllegalMove
from server.gamekit.fold import GameFold, GameOrigin
from server.gamekit.realtime import tick_event
from server.gamekit.table import (
    AFTER_TICK,
    AT,
    CMD,
    GAME_COMPLETED,
    GAME_CREATED,
    INVALID_ACTION,
    TICK,
    TIMER,
    game_completed_event,
    game_created_event,
    invalid_action_event,
    presence_event,
)
from server.ops.audit.findings import CheckFailed


class ReplayCheck:
    """One log on its way through the rules; `fold` stands where the log was followed to."""

    def __init__(self, origin: GameOrigin, log: Sequence[RecordedEvent]) -> None:
        self.fold = GameFold(origin)
        self._log = log
        # Rules that cannot derive their moves are trusted to have decided; they still fold.
        self.derives_moves = derives_moves(origin.ruleset)

    def run(self) -> GameFold:
        """Follow the whole log; raise `CheckFailed` at the first event that differs."""
        try:
            self._begin()
            while self.fold.next_index < len(self._log):
                self._follow(self._expected(self._log[self.fold.next_index].event))
        except IllegalMove as illegal:
            raise CheckFailed(
                f"{self._here}: the rules refuse this move: {illegal.message}"
            ) from None
        except CheckFailed:
            raise
        except Exception as error:  # whatever rules do with a payload that they never wrote
            raise CheckFailed(f"{self._here} cannot be decided again: {error!r}") from error
        if self.fold.outcome() is not None and not self.fold.table.completed:
            raise CheckFailed(f"the game is over, but event {self.fold.next_index} does not say so")
        return self.fold

    @property
    def _here(self) -> str:
        index = min(self.fold.next_index, len(self._log) - 1)
        return f"event {index} ({self._log[index].event.type})"

    def _begin(self) -> None:
        origin = self.fold.origin
        name, version = origin.ruleset.name, origin.ruleset.version
        found = self._log[0].event.payload
        # Which way the game ends is settled in event 0, like its configuration.
        rule = found.get("leavers_rank_last")
        if rule is not None and rule is not origin.ruleset.leavers_rank_last:
            raise CheckFailed("event 0 is not what the rules give: leavers_rank_last differs")
        self._follow(
            [
                game_created_event(
                    name,
                    version,
                    origin.players,
                    found["config"],
                    origin.seed,
                    leavers_rank_last=rule,
                )
            ]
        )
        self._follow(origin.ruleset.setup(self.fold.state))

    def _follow(self, expected: Sequence[Event]) -> None:
        """Compare the next events with those that should be there, and fold them."""
        for event in expected:
            index = self.fold.next_index
            if index == len(self._log):
                raise CheckFailed(f"event {index} is missing: the rules give {event.type}")
            found = self._log[index]
            if self.fold.ruleset.reads_time:
                event.payload[AT] = self._time_of(found.event)
            if self.fold.realtime is not None:
                event.payload[AFTER_TICK] = found.event.payload.get(AFTER_TICK)
            if found.event.type != event.type:
                raise CheckFailed(f"{self._here} is not what the rules give, which is {event.type}")
            if found.payload != canonical_json(event.payload):
                wrong = ", ".join(_differing(found.event, event))
                raise CheckFailed(f"{self._here} is not what the rules give: {wrong} differs")
            self.fold.apply(found.event)

    def _time_of(self, found: Event) -> int:
        """Give the time of an event, which must not be before that of the last one."""
        if found.payload.get(AT) != found.at_ms:
            raise CheckFailed(f"{self._here} names a time at which it was not written")
        if found.at_ms < self.fold.at_ms:
            raise CheckFailed(f"{self._here} is from before the event before it")
        return found.at_ms

    def _expected(self, found: Event) -> list[Event]:
        """Decide again what the next event, and those that come of it, should be."""
        if self.fold.realtime is not None:
            self.fold.advance_to(found.payload[AFTER_TICK] - (found.type == TICK))
        outcome = self.fold.outcome()
        if self.fold.table.completed:
            raise CheckFailed(f"{self._here} comes after the end of the game")
        if found.type == GAME_COMPLETED and outcome is not None:
            return [game_completed_event(self.fold.table, outcome, self.fold.origin.seed)]
        if outcome is not None and self.derives_moves:
            raise CheckFailed(f"{self._here} comes where the game is over")
        if found.type in (GAME_CREATED, GAME_COMPLETED):
            raise CheckFailed(f"{self._here} comes in the middle of the game")
        if found.type in PRESENCE:
            return [presence_event(found.type, self.fold.table, self._seat_in(found))]
        if found.type == INVALID_ACTION:
            return self._refused(found)
        if found.type == TICK:
            return self._ticked(found)
        if TIMER in found.payload:
            return self._fired(found)
        return self._decided(found) if self.derives_moves else [found]

    def _refused(self, found: Event) -> list[Event]:
        """A refused move is not kept; that it was a numbered command of its seat is."""
        seat, payload = self._seat_in(found), found.payload
        made = invalid_action_event(self.fold.table, seat, payload["code"], payload["message"])
        return self._commanded([made], seat=seat, command=payload[CMD])

    def _seat_in(self, found: Event) -> int:
        return self.fold.table.seat_by_player[found.payload["player_id"]]

    def _ticked(self, found: Event) -> list[Event]:
        """Check that what a tick took can be read, and that nothing is missing or doubled."""
        last = {seat: each.cmd_no for seat, each in enumerate(self.fold.table.seats)}
        for seat, cmd_no, move in found.payload["inputs"]:
            self.fold.ruleset.read_move(move)
            if cmd_no is None and self.fold.table.seats[seat].bot is None:
                raise CheckFailed(f"{self._here} has an input of seat {seat} without a number")
            if cmd_no is not None:
                last[seat] += 1
                if cmd_no != last[seat]:
                    raise CheckFailed(
                        f"{self._here} has input {cmd_no}, where {last[seat]} is next"
                    )
        return [
            tick_event([(seat, cmd_no, move) for seat, cmd_no, move in found.payload["inputs"]])
        ]

    def _fired(self, found: Event) -> list[Event]:
        timer = self.fold.timer
        if timer is None or found.payload[TIMER] != list(timer):
            raise CheckFailed(f"{self._here} comes of a timer that is not the next one: {timer}")
        if found.at_ms < timer.at_ms:
            raise CheckFailed(f"{self._here} is from before its timer went off")
        events = self.fold.ruleset.decide_timer(self.fold.state, timer)
        events[0].payload[TIMER] = list(timer)
        return events

    def _decided(self, found: Event) -> list[Event]:
        ruleset, state = self.fold.ruleset, self.fold.state
        moved = ruleset.move_of(state, found)
        if moved is None:
            raise CheckFailed(f"{self._here} comes of no move")
        seat, move = moved
        command = found.payload.get(CMD)
        if command is None and self.fold.table.seats[seat].bot is None:
            move = ruleset.timeout_move(state, seat)  # all that the server may play for a person
        events = ruleset.decide(state, seat, ruleset.read_move(move))
        return events if command is None else self._commanded(events, seat=seat, command=command)

    def _commanded(self, events: list[Event], *, seat: int, command: object) -> list[Event]:
        """Name the command on its first event, as the server does; numbers skip nothing."""
        following = [seat, self.fold.table.seats[seat].cmd_no + 1]
        if command != following:
            raise CheckFailed(f"{self._here} names command {command}, where {following} comes next")
        events[0].payload[CMD] = following
        return events


def _differing(found: Event, expected: Event) -> list[str]:
    one, other = found.payload, expected.payload
    return [key for key in sorted({*one, *other}) if one.get(key) != other.get(key)] or ["a number"]
