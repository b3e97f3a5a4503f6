"""A game as the fold of its log: the table, the ruleset's state, and whose turn it is."""

from typing import Any, NamedTuple, TypeAlias

from server.gamekit.contract import Event, Outcome, RulesetConfig, Setup, Timer, Turn
from server.gamekit.contract import Ruleset as _Ruleset
from server.gamekit.realtime import GAME_S_MAX, SILENCE_S_MAX, PlayerInput, RealtimeRuleset
from server.gamekit.table import (
    AFTER_TICK,
    INVALID_ACTION,
    TICK,
    SeatedPlayer,
    SeatTable,
    rank_absent_last,
)

# A ruleset whose state and move types are its own business.
AnyRuleset: TypeAlias = _Ruleset[Any, Any]


class GameOrigin(NamedTuple):
    """What a fold starts from: who plays what, with which configuration and seed."""

    ruleset: AnyRuleset
    players: tuple[SeatedPlayer, ...]
    config: RulesetConfig
    seed: str


class GameFold:
    """The state of one game at one index.

    `next_index` is the index that the next event gets, `at_ms` when the last one happened.
    `turn_at_ms` is when the present turn began. Both are milliseconds since 1970, from the
    events, so that a deadline is the same whoever folds the log, and whenever. `realtime` is the
    ruleset if it is played in ticks, of which `tick` have passed.
    """

    __slots__ = (
        "_has_timers",
        "at_ms",
        "next_index",
        "origin",
        "realtime",
        "ruleset",
        "state",
        "table",
        "tick",
        "timer",
        "turn",
        "turn_at_ms",
    )

    def __init__(self, origin: GameOrigin) -> None:
        self.origin = origin
        self.ruleset = origin.ruleset
        self.table = SeatTable(origin.players)
        players = [player.player_id for player in origin.players]
        self.state: Any = origin.ruleset.initial(Setup(origin.config, players, origin.seed))
        self.next_index = 0
        self.at_ms = 0
        self.turn: Turn | None = None
        self.turn_at_ms = 0
        rules = origin.ruleset
        self.realtime: RealtimeRuleset[Any, Any] | None = (
            rules if isinstance(rules, RealtimeRuleset) else None
        )
        self.tick = 0
        self.timer: Timer | None = None  # the one that goes off next
        self._has_timers = type(origin.ruleset).next_timer is not _Ruleset.next_timer

    def apply(self, event: Event) -> None:
        """Fold the next event."""
        self.table.evolve(self.next_index, event)
        self.next_index += 1
        self.at_ms = event.at_ms
        if event.type == INVALID_ACTION:
            return
        if self.realtime is not None:
            self._apply_in_time(self.realtime, event)
            return
        self.ruleset.evolve(self.state, event)
        turn = None if self.table.completed else self.ruleset.to_act(self.state)
        if turn != self.turn:
            # A turn of several seats goes on, with its deadline, when one of them has moved.
            if turn is None or self.turn is None or turn.number != self.turn.number:
                self.turn_at_ms = event.at_ms
            self.turn = turn
        if self._has_timers:
            is_over = self.table.completed
            self.timer = None if is_over else self.ruleset.next_timer(self.state)

    def advance_to(self, tick: int) -> None:
        """Let ticks without inputs pass; raise `ValueError` where no log has so many."""
        rules = self.realtime
        assert rules is not None
        if not self.tick <= tick <= self.tick + SILENCE_S_MAX * rules.tick_hz:
            raise ValueError(f"tick {tick} does not follow tick {self.tick}")
        if tick > GAME_S_MAX * rules.tick_hz:
            raise ValueError(f"the game has not ended after {GAME_S_MAX} s")
        while self.tick < tick:
            rules.step(self.state, ())
            self.tick += 1

    def _apply_in_time(self, rules: RealtimeRuleset[Any, Any], event: Event) -> None:
        at = event.payload[AFTER_TICK]
        if event.type != TICK:
            self.advance_to(at)
            rules.evolve(self.state, event)
            return
        self.advance_to(at - 1)
        inputs = [
            PlayerInput(seat, rules.read_move(move)) for seat, _, move in event.payload["inputs"]
        ]
        rules.step(self.state, inputs)
        self.tick = at

    @property
    def deadline_ms(self) -> int | None:
        """When the present turn's time is up; None where no time runs."""
        if self.turn is None or self.turn.timeout_s is None:
            return None
        return self.turn_at_ms + int(self.turn.timeout_s * 1000)

    def outcome(self) -> Outcome | None:
        """Give the result once the rules say that the game has ended.

        This is the result that everything else is drawn from: the last event, the summary,
        statistics, XP and the match. Players who left are already ranked last in it.
        """
        outcome = self.ruleset.outcome(self.state)
        return None if outcome is None else rank_absent_last(self.table, outcome)
