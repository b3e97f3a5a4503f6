"""Tables to play at: the fold and its log, driven as a server drives them, in turns or ticks."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

import orjson

from protocol.ids import PlayerId
from server.gamekit import table
from server.gamekit.chance import Chance, derive_seed
from server.gamekit.contract import Event, IllegalMove, Payload, RulesetConfig, Viewer
from server.gamekit.fold import AnyRuleset, GameFold, GameOrigin
from server.gamekit.realtime import RealtimeRuleset, tick_event

EVENTS_MAX: Final = 10_000  # a game that is longer does not end
TICKS_MAX: Final = 100_000  # the same, of a real-time game
START_MS: Final = 1_800_000_000_000
EVENT_MS: Final = 7  # how long after an event the next one is decided


class BrokenPromise(AssertionError):
    """A ruleset does not keep a promise; `problem` says what was seen, `remedy` what to change."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem} {remedy}")
        self.problem = problem
        self.remedy = remedy


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
        self.tried: tuple[int, Payload] | None = None  # the last move that was asked about

    @property
    def ruleset(self) -> AnyRuleset:
        """The rules by which it is played."""
        return self.origin.ruleset

    @property
    def viewers(self) -> list[Viewer]:
        """A spectator, and every seat."""
        return [None, *range(len(self.origin.players))]

    @property
    def completed(self) -> bool:
        """Whether the last event was logged."""
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
            if len(self.log) >= EVENTS_MAX:
                raise BrokenPromise(
                    f"The game has not ended after {EVENTS_MAX} events.",
                    "Let every game come to an end, whatever its players do: bound its rounds.",
                )
            self.watch(event)
        if not self.completed and (outcome := self.fold.outcome()) is not None:
            self.apply([table.game_completed_event(self.fold.table, outcome, self.seed)])

    def act(self, seat: int, raw: Payload) -> list[Event]:
        """Make a move; raises `IllegalMove`."""
        self.tried = seat, raw
        events = table.require_rules_events(
            self.ruleset.decide(self.fold.state, seat, self.ruleset.parse(raw))
        )
        if not events:
            raise BrokenPromise(
                "decide accepts a move and gives no event for it.",
                "Return at least one event, or raise IllegalMove.",
            )
        self.apply(events)
        return events

    def refusal(self, seat: int, raw: Payload) -> IllegalMove | None:
        """Try a move without making it; None if it is accepted."""
        self.tried = seat, raw
        try:
            self.ruleset.decide(self.fold.state, seat, self.ruleset.parse(raw))
        except IllegalMove as refusal:
            return refusal
        return None

    def presence(self, kind: str, seat: int) -> None:
        """Log that somebody left, came back, …"""
        self.apply([table.presence_event(kind, self.fold.table, seat)])

    def to_act(self) -> int | None:
        """Give the first of the seats whose turn it is."""
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
        move = self.ruleset.bots[name](self.view(seat), chance)
        if not isinstance(move, dict):
            raise BrokenPromise(
                f"The bot {name} answers {move!r}.", "A bot returns one of its legal_moves."
            )
        return move

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
        if not events:
            raise BrokenPromise(
                f"decide_timer gives no event for the timer {timer.name}.",
                "Return at least one event; without one, the timer stays due for ever.",
            )
        events[0].payload[table.TIMER] = list(timer)
        self.apply(events)
        if self.fold.timer == timer:
            raise BrokenPromise(
                f"The timer {timer.name} is still due after it went off.",
                "Let its event change what next_timer says, in evolve.",
            )

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


class RealtimePlayout:
    """A real-time game as a server drives it: bots act, and only ticks with inputs are logged."""

    def __init__(self, ruleset: RealtimeRuleset[Any, Any], seats: int, seed: str) -> None:
        bots = sorted(ruleset.bots)
        players = tuple(
            table.SeatedPlayer(PlayerId(f"player-{seat}"), bots[seat % len(bots)] if bots else None)
            for seat in range(seats)
        )
        self.seed, self.ruleset = seed, ruleset
        self.origin = GameOrigin(ruleset, players, ruleset.config(), seed)
        self.fold = GameFold(self.origin)
        self.log: list[Event] = []
        self.looks: list[tuple[int, list[bytes], object]] = []  # after each event
        self.tried: tuple[int, Payload] | None = None

    def start(self) -> "RealtimePlayout":
        """Log the first events."""
        self.append(
            table.game_created_event(
                self.ruleset.name,
                self.ruleset.version,
                self.origin.players,
                self.origin.config.model_dump(),
                self.seed,
                leavers_rank_last=True,
            )
        )
        for event in self.ruleset.setup(self.fold.state):
            self.append(event)
        return self

    def append(self, event: Event) -> None:
        """Log an event; afterwards the game is completed if the rules say so."""
        event.payload[table.AFTER_TICK] = self.fold.tick + (event.type == table.TICK)
        self.fold.apply(event)
        self.log.append(event)
        self.looks.append(look_at(self.fold))
        self.complete()

    def complete(self) -> None:
        """Log the last event, if the rules say that the game has ended."""
        outcome = self.fold.outcome()
        if outcome is not None and not self.fold.table.completed:
            self.append(table.game_completed_event(self.fold.table, outcome, self.seed))

    def inputs(self) -> list[tuple[int, int | None, Payload]]:
        """Ask the bots."""
        asked: list[tuple[int, int | None, Payload]] = []
        for seat, player in enumerate(self.origin.players):
            if player.bot is None:
                continue
            chance = Chance(derive_seed(self.seed, "bot", seat, self.fold.tick))
            view = {**self.ruleset.view(self.fold.state, seat), "seat": seat}
            move = self.ruleset.bots[player.bot](view, chance)
            if move is not None:
                self.tried = seat, move
                self.ruleset.read_move(move)
                asked.append((seat, None, move))
        return asked

    def ticks(self) -> Iterator[None]:
        """Let ticks pass until the game has ended."""
        every = self.ruleset.tick_hz // self.ruleset.patch_hz
        while not self.fold.table.completed:
            if self.fold.tick >= TICKS_MAX:
                raise BrokenPromise(
                    f"The game has not ended after {TICKS_MAX} ticks.",
                    "Count the ticks in step, and let outcome give a result when time is up.",
                )
            yield
            # Bots do nothing in between, so that there are ticks without inputs.
            inputs = self.inputs() if self.fold.tick % (every * 5) == 0 else []
            if inputs:
                self.append(tick_event(inputs))
            else:
                self.fold.advance_to(self.fold.tick + 1)
                self.complete()

    def play(self) -> "RealtimePlayout":
        """Let the bots play to the end."""
        for _ in self.ticks():
            pass
        return self


def look_at(fold: GameFold) -> tuple[int, list[bytes], object]:
    """See all that can be seen of a real-time game."""
    viewers = [None, *range(len(fold.table.seats))]
    views = [canonical(fold.ruleset.view(fold.state, viewer)) for viewer in viewers]
    return fold.tick, views, fold.outcome()


def refold(playout: Playout, log: list[Event]) -> Playout:
    """Fold a log from the same origin."""
    again = Playout(playout.ruleset, len(playout.origin.players), playout.seed)
    again.origin = playout.origin
    again.fold = GameFold(playout.origin)
    for event in log:
        again.fold.apply(event)
        again.log.append(event)
    return again
