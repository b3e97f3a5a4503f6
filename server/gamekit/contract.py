"""The contract of a ruleset: a whole game is one object with pure methods.

The server owns the rest: sockets, storage, timers, redaction on the way out, bots'
turns, recovery. Per command it calls `parse`, by way of `read_move`, then `decide`, then
`evolve` for each new event; after a crash it calls `evolve` for each event of the log and has
the same state.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from protocol.ids import PlayerId
from protocol.numbers import floats_to_integers
from server.gamekit.chance import Chance

# JSON that only the ruleset itself writes and reads; keys are strings.
Payload: TypeAlias = dict[str, Any]

# Who looks: a seat's number, or None for a spectator.
Viewer: TypeAlias = int | None

State = TypeVar("State")
Move = TypeVar("Move")


class Event(NamedTuple):
    """A fact: a lowercase type and a JSON payload that carries its version as `_v`.

    `at_ms` is when it was logged, in milliseconds since 1970 by the server's clock; it never
    decreases within a game. The server sets it: rules leave it out of the events that they
    decide, and read it from those that they fold.
    """

    type: str
    payload: Payload
    at_ms: int = 0


class Turn(NamedTuple):
    """Whose turn it is, and how long the turn may take.

    `number` differs between any two turns of one game. A turn of several seats has one
    deadline for all of them: a seat that has moved leaves `seats`, and while `number` stays
    the same, so does the moment from which `timeout_s` counts.
    """

    seats: tuple[int, ...]
    number: int
    timeout_s: float | None


class Timer(NamedTuple):
    """A moment, in milliseconds since 1970, at which the rules act without a move."""

    name: str
    at_ms: int


class SeatMove(NamedTuple):
    """A raw move, and whose it was."""

    seat: int
    move: Payload


class IllegalMove(Exception):
    """The rules refuse the move; `code` is stable, the message helps a person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class RulesetConfig(BaseModel):
    """Base of a ruleset's configuration: unknown fields are refused, bounds are checked."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    spectator_delay_s: float = Field(
        default=0.0, ge=0, le=3600, description="How long after the players spectators see a game."
    )


@dataclass(frozen=True, slots=True)
class Setup:
    """What a game starts from. Seat `n` belongs to `players[n]`; `seed` is secret."""

    config: RulesetConfig
    players: Sequence[PlayerId]
    seed: str


# How a statistic of several games becomes one number; `last` is that of the newest game.
Combination: TypeAlias = Literal["sum", "max", "min", "last"]
COMBINATIONS: Final[tuple[Combination, ...]] = ("sum", "max", "min", "last")

# Statistics that every game has, so that a ruleset can keep boards of them: the score of a seat,
# and 1 for a win or 0.
SCORE: Final = "score"
WINS: Final = "wins"


@dataclass(frozen=True, slots=True)
class Statistic:
    """A statistic as a ruleset declares it.

    `combine` says how a player's games make one number of it. With `board` there are
    leaderboards of it; the lowest number leads where `min` combines, else the highest.
    """

    name: str
    combine: Combination = "sum"
    board: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """One seat's result and its aggregates, for the summary and lifetime statistics.

    `statistics` has what else is counted of the seat, by names that the ruleset declares.
    """

    seat: int
    score: int
    is_winner: bool
    statistics: Mapping[str, int] = field(default_factory=dict)
    longest_win_streak: int = 0
    longest_loss_streak: int = 0
    # Left the game and was not back at its end: no win, no XP, no points in any statistics.
    forfeited: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a game ended: a standing for each seat, in seat order, and what each round was."""

    standings: tuple[Standing, ...]
    rounds: list[Payload] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CompletedGame:
    """A game that is over. Seat `n` is `players[n]`'s; `bots` are the seats of bots."""

    players: Sequence[PlayerId]
    bots: frozenset[int]
    events: Sequence[Event]
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Achievement:
    """What players are given for; see `server.gamekit.achievements`. The key must never change.

    Without `reads_events`, `count` is not given the game's events. If none of a ruleset's
    achievements reads them, the log of a game that has just ended need not be read.
    """

    key: str
    title: str
    description: str
    count: Callable[[CompletedGame, int], int]
    points: int = 10
    steps: int = 1
    hidden: bool = False  # until it is granted
    reads_events: bool = True


# A bot sees what a person in its seat sees, draws from seeded chance, answers with a raw move. In a
# real-time game, where its view also has its `seat`, it may answer with None.
Bot: TypeAlias = Callable[[Payload, Chance], Payload | None]


class Ruleset(ABC, Generic[State, Move]):
    """The rules of one kind of game.

    A folder under `server/rulesets/` whose `__init__.py` has `RULESET = YourRuleset()`
    is found by scan; `tests/contract` then holds it to the following:

    - seeded playouts by its bots end, and folding the log again gives the same state;
    - `evolve` is the only mutator, and also sees the table's events (`player_left`,
      `player_joined`, …; see `server.gamekit.table`), which it may ignore;
    - `view` and `redact` never show a viewer what another seat hides, nor the seed;
    - a move in `view(...)["legal_moves"]` is accepted, every other raises `IllegalMove`;
    - `decide` returns at least one event, and events hold player ids or seats, no names;
    - the times of events change nothing, unless the ruleset says `reads_time`.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    title: ClassVar[str]
    # How to play, in a few sentences for people who know nothing of it; part of /v1/rulesets.
    rules: ClassVar[str] = ""
    seats: ClassVar[range]
    config: ClassVar[type[RulesetConfig]] = RulesetConfig
    bots: Mapping[str, Bot] = {}
    # Moves are kept as they were sent: `parse` gets the float 3.0, and not the integer 3.
    verbatim_moves: ClassVar[bool] = False
    # Whether the state depends on `Event.at_ms`. Then the server also writes the time into each
    # payload, as `_at`, so that the hash chain protects it like everything else that counts.
    reads_time: ClassVar[bool] = False
    # Who comes back further behind than this gets the whole snapshot, then what follows.
    resume_events_max: ClassVar[int] = 5000
    # Whether players who are absent at the end are ranked behind those who stayed and earn
    # nothing, whatever `outcome` says of them. Set it to False only where `outcome` itself
    # deals with players who left. Event 0 records it, so a game ends by the rule that it
    # began with.
    leavers_rank_last: ClassVar[bool] = True
    # Whether clients declare the scores, so that the server cannot vouch for them. Such games
    # are in the match history and count for no statistics, leaderboard or XP.
    scores_declared: ClassVar[bool] = False
    # How large what players show each other without its being logged may be: the position of a
    # cursor, an emote. 0 for games in which it would help to cheat, or nobody needs it.
    ephemeral_bytes_max: ClassVar[int] = 0
    # What it counts of a seat beside the score: the names that `Standing.statistics` may have.
    # `tricks_won` and `highest_bid` have columns of their own in summaries and statistics. A name
    # alone is a statistic that is added up and has no board.
    statistics: ClassVar[Sequence[str | Statistic]] = ()
    # Whether the results change the ratings of players; see docs/guides/ratings.md.
    rated: ClassVar[bool] = False
    # What players are given for; see `server.gamekit.achievements`.
    achievements: ClassVar[Sequence[Achievement]] = ()
    # The rules of earlier versions. Games that began with one of them go on with it, and
    # their logs are checked by it. New games always begin with this version.
    earlier: ClassVar[Sequence["Ruleset[Any, Any]"]] = ()

    def of_version(self, version: int) -> "Ruleset[Any, Any] | None":
        """Find the rules of a version: these, or earlier ones that were kept."""
        for rules in (self, *self.earlier):
            if rules.version == version:
                return rules
        return None

    def declared_statistics(self) -> dict[str, Statistic]:
        """Give the statistics by name, those that are a name alone as what they mean."""
        declared = [Statistic(each) if isinstance(each, str) else each for each in self.statistics]
        return {each.name: each for each in declared}

    def team_of(self, seat: int, seats: int) -> int:
        """Say which team a seat is in, of a game with so many seats; each has its own.

        Ratings and matchmaking read it: the places of a team's seats are the team's.
        """
        return seat

    @abstractmethod
    def initial(self, setup: Setup) -> State:
        """Make the state before the first event."""

    @abstractmethod
    def setup(self, state: State) -> list[Event]:
        """Give the first events of a new game."""

    def read_move(self, raw: Payload) -> Move:
        """Parse a move as the server does: whole floats become integers first.

        Some languages write every number as a float, and in JSON 3.0 is the integer 3.
        """
        return self.parse(raw if self.verbatim_moves else floats_to_integers(raw))

    @abstractmethod
    def parse(self, raw: Payload) -> Move:
        """Parse a move from the wire; raise `IllegalMove("unknown_move", …)` otherwise.

        Whole numbers up to 2⁵³ - 1 either way are `int`, unless the moves are verbatim.
        """

    @abstractmethod
    def decide(self, state: State, seat: int, move: Move) -> list[Event]:
        """Give the events that this seat's move causes, or raise `IllegalMove`."""

    @abstractmethod
    def evolve(self, state: State, event: Event) -> None:
        """Fold one event into the state."""

    def move_of(self, state: State, event: Event) -> SeatMove | None:
        """Derive from the first event of a move what the move was; None for any other event.

        `state` is the one that the move met. With this, a log can be checked by deciding
        every move again; for rules that do not have it, events are only folded.
        """
        return None

    def redact(self, event: Event, viewer: Viewer) -> Payload | None:
        """Give what this viewer may see of an event; None hides its payload altogether.

        Return `event.payload` itself when all of it may be seen: such an event is
        encoded once for everybody.
        """
        return event.payload

    @abstractmethod
    def view(self, state: State, viewer: Viewer) -> Payload:
        """Draw the full snapshot for a viewer.

        A seat's snapshot has `legal_moves`: the raw moves it can make now, or None where
        any well-formed move is allowed.
        """

    def to_act(self, state: State) -> Turn | None:
        """Say who is to act, and within what time; None where nobody in particular is."""
        return None

    def timeout_move(self, state: State, seat: int) -> Payload:
        """Choose the raw move that is played for an absent seat."""
        raise NotImplementedError(f"{self.name} has turns but no timeout_move")

    def next_timer(self, state: State) -> Timer | None:
        """Say which timer goes off next, whoever's turn it is; None where none runs.

        Only for rules with `reads_time`: a timer's moment is derived from the times of events,
        so that every node that folds the log has the same one.
        """
        return None

    def decide_timer(self, state: State, timer: Timer) -> list[Event]:
        """Give the events that a timer causes; afterwards `next_timer` must not name it again.

        The server calls this at the timer's moment or soon after it, before any later move.
        """
        raise NotImplementedError(f"{self.name} has timers but no decide_timer")

    @abstractmethod
    def outcome(self, state: State) -> Outcome | None:
        """Give the result once the game has ended, else None."""
