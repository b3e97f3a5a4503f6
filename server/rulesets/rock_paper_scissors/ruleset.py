"""The rules of rock, paper, scissors.

thrown           player_id, seat, throw (hidden from others until the round is revealed)
round_revealed   round, throws {player_id: throw}, winner (a player id, or null for a tie)

Both players choose at the same time: a turn has both seats, and one deadline. A player who
lets the deadline pass throws nothing, which loses to everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Final

from pydantic import Field

from protocol.ids import PlayerId
from server.gamekit.chance import Chance
from server.gamekit.contract import (
    WINS,
    Bot,
    Event,
    IllegalMove,
    Outcome,
    Payload,
    Ruleset,
    RulesetConfig,
    SeatMove,
    Setup,
    Standing,
    Statistic,
    Turn,
    Viewer,
)

NOTHING: Final = "nothing"
# What each throw beats.
BEATS: Final = {
    "rock": ("scissors", NOTHING),
    "paper": ("rock", NOTHING),
    "scissors": ("paper", NOTHING),
    NOTHING: (),
}
# Two players who always tie would play for ever.
ROUNDS_PER_WIN_MAX: Final = 10


class Config(RulesetConfig):
    """How many rounds win, and how long both have to choose."""

    wins: Annotated[int, Field(ge=1, le=50)] = 3
    turn_timeout_s: Annotated[float, Field(ge=1.0, le=86_400.0)] = 15.0


@dataclass(slots=True)
class State:
    """The score, and what was thrown in this round."""

    config: Config
    players: tuple[PlayerId, ...]
    round: int = 1
    wins: list[int] = field(default_factory=lambda: [0, 0])
    throws: dict[int, str] = field(default_factory=dict)  # by seat
    rounds: list[Payload] = field(default_factory=list)
    left: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether somebody has won, or the rounds are used up."""
        wins = self.config.wins
        rounds_max = wins * ROUNDS_PER_WIN_MAX
        return self.left is not None or max(self.wins) == wins or self.round > rounds_max

    @property
    def waiting(self) -> tuple[int, ...]:
        """The seats that have not thrown in this round."""
        return tuple(seat for seat in range(2) if seat not in self.throws)


def winning_seat(throws: Sequence[str]) -> int | None:
    """Say which of two throws wins; None for a tie."""
    if throws[1] in BEATS[throws[0]]:
        return 0
    return 1 if throws[0] in BEATS[throws[1]] else None


def throw_anything(view: Payload, chance: Chance) -> Payload:
    """Throw one of the three, at random."""
    move: Payload = chance.choice([m for m in view["legal_moves"] if m["throw"] != NOTHING])
    return move


BOTS: Final[Mapping[str, Bot]] = {"random": throw_anything}


class RockPaperScissors(Ruleset[State, str]):
    """Throw at the same time; a move is what is thrown."""

    name = "rock_paper_scissors"
    title = "Rock, paper, scissors"
    rules = (
        "Both throw at the same time: rock beats scissors, scissors beat paper, paper beats rock. "
        "Who throws nothing in time loses to any throw."
    )
    seats: ClassVar[range] = range(2, 3)
    statistics = (Statistic(WINS, "sum", board=True),)
    rated = True
    config = Config
    bots = BOTS

    def initial(self, setup: Setup) -> State:
        """Begin with round 1."""
        assert isinstance(setup.config, Config)
        return State(setup.config, tuple(setup.players))

    def setup(self, state: State) -> list[Event]:
        """Begin at once."""
        return []

    def parse(self, raw: Payload) -> str:
        """Parse `{"type": "throw", "throw": "rock"}`."""
        match raw:
            case {"type": "throw", "throw": str(throw)} if len(raw) == 2 and throw in BEATS:
                return throw
        raise IllegalMove(
            "unknown_move",
            'Send {"type": "throw", "throw": "rock"}; or paper, scissors, or nothing.',
        )

    def decide(self, state: State, seat: int, move: str) -> list[Event]:
        """Keep a throw; the second one reveals both."""
        if state.is_over:
            raise IllegalMove("invalid_phase", "The game has ended.")
        if seat in state.throws:
            raise IllegalMove("already_thrown", "You have thrown; wait for the other player.")
        player = state.players[seat]
        events = [Event("thrown", {"player_id": player, "seat": seat, "throw": move, "_v": 1})]
        if state.waiting == (seat,):
            events.append(_reveal(state, {**state.throws, seat: move}))
        return events

    def evolve(self, state: State, event: Event) -> None:
        """Fold one event."""
        payload = event.payload
        match event.type:
            case "thrown":
                state.throws[payload["seat"]] = payload["throw"]
            case "round_revealed":
                if payload["winner"] is not None:
                    state.wins[state.players.index(payload["winner"])] += 1
                state.rounds.append({key: payload[key] for key in ("round", "throws", "winner")})
                state.round += 1
                state.throws = {}
            case "player_left" if not state.is_over:
                state.left = payload["seat"]

    def redact(self, event: Event, viewer: Viewer) -> Payload | None:
        """Hide a throw from everybody but who made it."""
        if event.type != "thrown" or event.payload["seat"] == viewer:
            return event.payload
        return {key: value for key, value in event.payload.items() if key != "throw"}

    def move_of(self, state: State, event: Event) -> SeatMove | None:
        """Read a throw back."""
        if event.type != "thrown":
            return None
        return SeatMove(event.payload["seat"], _throw(event.payload["throw"]))

    def view(self, state: State, viewer: Viewer) -> Payload:
        """Show the score, who has thrown, and one's own throw."""
        can_throw = not state.is_over and viewer in state.waiting
        return {
            "seat": viewer,
            "round": state.round,
            "wins": list(state.wins),
            "wins_needed": state.config.wins,
            "thrown": [seat in state.throws for seat in range(2)],
            "own": None if viewer is None else state.throws.get(viewer),
            "last": state.rounds[-1] if state.rounds else None,
            "over": state.is_over,
            "legal_moves": [_throw(throw) for throw in BEATS] if can_throw else [],
        }

    def to_act(self, state: State) -> Turn | None:
        """Let both act at once; the round is the turn's number, so its deadline is one."""
        if state.is_over:
            return None
        return Turn(state.waiting, state.round, state.config.turn_timeout_s)

    def timeout_move(self, state: State, seat: int) -> Payload:
        """Throw nothing."""
        return _throw(NOTHING)

    def outcome(self, state: State) -> Outcome | None:
        """Score the rounds won; more of them win, and leaving loses."""
        if not state.is_over:
            return None
        best = max(state.wins)
        is_tie = state.wins[0] == state.wins[1]
        winner = state.wins.index(best) if state.left is None else 1 - state.left
        return Outcome(
            tuple(
                Standing(
                    seat, wins, is_winner=seat == winner and (state.left is not None or not is_tie)
                )
                for seat, wins in enumerate(state.wins)
            ),
            rounds=list(state.rounds),
        )


def _reveal(state: State, throws: dict[int, str]) -> Event:
    winner = winning_seat((throws[0], throws[1]))
    return Event(
        "round_revealed",
        {
            "round": state.round,
            "throws": {state.players[seat]: throws[seat] for seat in range(2)},
            "winner": None if winner is None else state.players[winner],
            "_v": 1,
        },
    )


def _throw(throw: str) -> Payload:
    return {"type": "throw", "throw": throw}
