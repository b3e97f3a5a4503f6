"""A table to play at: the fold and its log, driven as a server drives them."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import orjson

from protocol.ids import PlayerId
from server.gamekit import table
from server.gamekit.chance import Chance, derive_seed
from server.gamekit.contract import Event, IllegalMove, Payload, RulesetConfig, Viewer
from server.gamekit.fold import AnyRuleset, GameFold, GameOrigin

EVENTS_MAX = 10_000  # a game that is longer does not end
START_MS = 1_800_000_000_000
EVENT_MS = 7  # how long after an event the next one is decided


def canonical(value: Any) -> bytes:
    """Encode as the log does."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def written(log: Iterable[Event]) -> bytes:
    """Encode a whole log."""
    return canonical([[event.type, event.payload, event.at_ms] for event in log])


class Snapshot(NamedTuple):
    """All that can be asked of a game."""

    views: list[bytes]
    turn: object
    outcome: object
    state: str


class Playout:
    """One game from its first event on."""

    def __init__(
        self,
        ruleset: AnyRuleset,
        seats: int,
        seed: str,
        *,
        config: RulesetConfig | None = None,
        bots: tuple[str, ...] = (),
    ) -> None:
        bots = bots or tuple(sorted(ruleset.bots))
        players = [
            table.SeatedPlayer(PlayerId(f"player-{seat}"), bots[seat % len(bots)] if bots else None)
            for seat in range(seats)
        ]
        self.seed = seed
        self.rule: bool | None = ruleset.leavers_rank_last  # as event 0 has it
        self.origin = GameOrigin(ruleset, tuple(players), config or ruleset.config(), seed)
        self.fold = GameFold(self.origin)
        self.log: list[Event] = []
        self.now_ms = 0  # since the start
        self.watch: Callable[[Event], None] = lambda event: None

    @property
    def ruleset(self) -> AnyRuleset:
        return self.origin.ruleset

    @property
    def viewers(self) -> list[Viewer]:
        return [None, *range(len(self.origin.players))]

    @property
    def completed(self) -> bool:
        return self.fold.table.completed

    def start(self) -> "Playout":
        """Log the first events."""
        ruleset, players = self.origin.ruleset, self.origin.players
        config = self.origin.config.model_dump()
        first = table.game_created_event(
            ruleset.name,
            ruleset.version,
            players,
            config,
            self.seed,
            leavers_rank_last=self.rule,
        )
        self.apply([first])
        self.apply(ruleset.setup(self.fold.state))
        return self

    def apply(self, events: Iterable[Event]) -> None:
        """Fold and log; complete the game when the rules say that it has ended."""
        for event in events:
            event = event._replace(at_ms=START_MS + self.now_ms)
            if self.ruleset.reads_time:
                event.payload[table.AT] = event.at_ms
            self.now_ms += EVENT_MS
            self.fold.apply(event)
            self.log.append(event)
            assert len(self.log) < EVENTS_MAX
            self.watch(event)
        if not self.completed and (outcome := self.fold.outcome()) is not None:
            self.apply([table.game_completed_event(self.fold.table, outcome, self.seed)])

    def act(self, seat: int, raw: Payload) -> list[Event]:
        """Make a move; raises `IllegalMove`."""
        events = self.ruleset.decide(self.fold.state, seat, self.ruleset.parse(raw))
        assert events, "a move that is accepted causes something"
        self.apply(events)
        return events

    def refusal(self, seat: int, raw: Payload) -> IllegalMove | None:
        """Try a move without making it."""
        try:
            self.ruleset.decide(self.fold.state, seat, self.ruleset.parse(raw))
        except IllegalMove as refusal:
            return refusal
        return None

    def presence(self, kind: str, seat: int) -> None:
        """Log that somebody left, came back, …"""
        self.apply([table.presence_event(kind, self.fold.table, seat)])

    def to_act(self) -> int | None:
        return self.fold.turn.seats[0] if self.fold.turn else None

    def view(self, viewer: Viewer) -> Payload:
        """Draw a view, as it arrives on the other side of the wire."""
        view: Payload = orjson.loads(canonical(self.ruleset.view(self.fold.state, viewer)))
        return view

    def bot_move(self, seat: int) -> Payload:
        """Ask the seat's bot."""
        name = self.origin.players[seat].bot
        assert name is not None
        chance = Chance(derive_seed(self.seed, "bot", self.fold.next_index, seat))
        return self.ruleset.bots[name](self.view(seat), chance)

    def play(self) -> "Playout":
        """Let the bots play to the end."""
        while (seat := self.to_act()) is not None:
            self.act(seat, self.bot_move(seat))
        return self

    def fire_timer(self) -> None:
        """Let the time come at which the next timer goes off."""
        timer = self.fold.timer
        assert timer is not None
        self.now_ms = max(self.now_ms, timer.at_ms - START_MS)
        events = self.ruleset.decide_timer(self.fold.state, timer)
        events[0].payload[table.TIMER] = list(timer)
        self.apply(events)
        assert self.fold.timer != timer, "a timer that went off is not due any more"

    def time_out(self) -> None:
        """Play for whoever is to act."""
        seat = self.to_act()
        assert seat is not None
        self.act(seat, self.ruleset.timeout_move(self.fold.state, seat))

    def snapshot(self) -> Snapshot:
        """Look from every side, and behind the curtain."""
        state = self.fold.state
        views = [canonical(self.ruleset.view(state, viewer)) for viewer in self.viewers]
        outcome = self.fold.outcome()
        return Snapshot(views, self.ruleset.to_act(state), outcome, repr(state))


def refold(playout: Playout, log: list[Event]) -> Playout:
    """Fold a log from the same origin."""
    again = Playout(playout.ruleset, len(playout.origin.players), playout.seed)
    again.origin = playout.origin
    again.fold = GameFold(playout.origin)
    for event in log:
        again.fold.apply(event)
        again.log.append(event)
    return again
