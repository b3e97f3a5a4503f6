"""What the events fold into; the only module that changes a state."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias

from pydantic import Field

from protocol.ids import PlayerId
from server.gamekit.cards import CARDS, Card, Suit
from server.gamekit.contract import Event, Payload, RulesetConfig, Setup, Turn

Phase: TypeAlias = Literal["dealing", "bidding", "playing", "over"]

PRESENT_MIN: Final = 2


class Config(RulesetConfig):
    """How long a game is, and how long a turn may take."""

    rounds: Annotated[int, Field(ge=1, le=10, description="The first deals as many cards.")] = 10
    turn_timeout_s: Annotated[float, Field(ge=1.0, le=86_400.0)] = 60.0


class Played(NamedTuple):
    """A card on the table, and whose it was."""

    seat: int
    card: Card


@dataclass(slots=True)
class State:
    """One game. Lists are by seat; `playing` are the seats that are in the present round."""

    config: Config
    players: tuple[PlayerId, ...]
    seed: str
    seats: dict[PlayerId, int]
    totals: list[int]
    left: set[int] = field(default_factory=set)
    results: list[Payload] = field(default_factory=list)
    phase: Phase = "dealing"
    turn: Turn | None = None
    moves: int = 0

    round: int = 0
    cards: int = 0
    playing: list[int] = field(default_factory=list)
    hands: list[list[Card]] = field(default_factory=list)
    trump_card: Card | None = None
    trump_broken: bool = False
    bids: list[int | None] = field(default_factory=list)
    tricks: list[int] = field(default_factory=list)
    leader: int = 0
    trick_number: int = 0
    trick: list[Played] = field(default_factory=list)

    @property
    def trump(self) -> Suit | None:
        """The trump suit, once the card is turned."""
        return self.trump_card.suit if self.trump_card else None


def initial(setup: Setup) -> State:
    """Make the state before the first event."""
    assert isinstance(setup.config, Config)
    players = tuple(setup.players)
    return State(
        config=setup.config,
        players=players,
        seed=setup.seed,
        seats={player: seat for seat, player in enumerate(players)},
        totals=[0] * len(players),
    )


def next_round(state: State) -> int | None:
    """Number the round after this one; None if the game ends here.

    It ends after the last round, and where fewer than two players are there to go on.
    """
    present = len(state.players) - len(state.left)
    if state.round == state.config.rounds or present < PRESENT_MIN:
        return None
    return state.round + 1


def seat_after(state: State, seat: int) -> int:
    """Give the next seat, clockwise, that is in the round."""
    playing = state.playing
    return playing[(playing.index(seat) + 1) % len(playing)]


def evolve(state: State, event: Event) -> None:
    """Fold one event; those that say nothing about the rules change nothing."""
    if (evolver := _EVOLVERS.get(event.type)) is not None:
        evolver(state, event.payload)


def _player_left(state: State, payload: Payload) -> None:
    state.left.add(payload["seat"])


def _player_joined(state: State, payload: Payload) -> None:
    state.left.discard(payload["seat"])


def _round_started(state: State, payload: Payload) -> None:
    seats = len(state.players)
    state.phase = "dealing"
    state.round = payload["round"]
    state.cards = payload["cards"]
    state.leader = state.seats[payload["player_id"]]
    state.playing = list(range(seats))
    state.hands = [[] for _ in range(seats)]
    state.bids = [None] * seats
    state.tricks = [0] * seats
    state.trick_number = 0
    state.trump_card = None
    state.trump_broken = False


def _player_marked_absent(state: State, payload: Payload) -> None:
    state.playing.remove(state.seats[payload["player_id"]])


def _cards_dealt(state: State, payload: Payload) -> None:
    for player, hand in payload["hands"].items():
        state.hands[state.seats[player]] = [CARDS[card] for card in hand]


def _trump_revealed(state: State, payload: Payload) -> None:
    state.trump_card = CARDS[payload["card"]]
    state.phase = "bidding"
    _give_turn(state, state.leader)


def _player_bid(state: State, payload: Payload) -> None:
    seat = state.seats[payload["player_id"]]
    state.bids[seat] = payload["bid"]
    state.moves += 1
    _give_turn(state, seat_after(state, seat))


def _bidding_completed(state: State, _: Payload) -> None:
    state.phase = "playing"
    state.turn = None


def _trick_started(state: State, payload: Payload) -> None:
    state.trick_number = payload["trick"]
    state.leader = state.seats[payload["player_id"]]
    state.trick = []
    _give_turn(state, state.leader)


def _card_played(state: State, payload: Payload) -> None:
    seat, card = state.seats[payload["player_id"]], CARDS[payload["card"]]
    state.hands[seat].remove(card)
    state.trick.append(Played(seat, card))
    state.moves += 1
    _give_turn(state, seat_after(state, seat))


def _trump_broken(state: State, _: Payload) -> None:
    state.trump_broken = True


def _trick_completed(state: State, payload: Payload) -> None:
    state.tricks[state.seats[payload["player_id"]]] += 1
    state.trick = []
    state.turn = None


def _round_scored(state: State, payload: Payload) -> None:
    for player, result in payload["players"].items():
        state.totals[state.seats[player]] += result["delta"]
    state.results.append({key: payload[key] for key in ("round", "cards", "trump", "players")})
    if next_round(state) is None:
        state.phase = "over"


def _give_turn(state: State, seat: int) -> None:
    # Every bid and every card is one turn, so their count numbers the turns.
    state.turn = Turn((seat,), state.moves, state.config.turn_timeout_s)


_EVOLVERS: Final[dict[str, Callable[[State, Payload], None]]] = {
    "player_left": _player_left,
    "player_joined": _player_joined,
    "round_started": _round_started,
    "player_marked_absent": _player_marked_absent,
    "cards_dealt": _cards_dealt,
    "trump_revealed": _trump_revealed,
    "player_bid": _player_bid,
    "bidding_completed": _bidding_completed,
    "trick_started": _trick_started,
    "card_played": _card_played,
    "trump_broken": _trump_broken,
    "trick_completed": _trick_completed,
    "round_scored": _round_scored,
}
