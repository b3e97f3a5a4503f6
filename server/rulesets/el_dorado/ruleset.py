"""El Dorado as the contract has it: which module answers which question."""

from typing import ClassVar, Final

from server.gamekit.achievements import won
from server.gamekit.contract import (
    SCORE,
    WINS,
    Achievement,
    CompletedGame,
    Event,
    Outcome,
    Payload,
    Ruleset,
    SeatMove,
    Setup,
    Statistic,
    Turn,
    Viewer,
)
from server.rulesets.el_dorado import rules, scoring
from server.rulesets.el_dorado.bots import BOTS
from server.rulesets.el_dorado.moves import Move, parse, raw_move
from server.rulesets.el_dorado.rules import legal_moves
from server.rulesets.el_dorado.state import Config, State, evolve, initial


def redact(event: Event, viewer: Viewer) -> Payload:
    """Hide other players' hands; everything else is played face up."""
    if event.type != "cards_dealt":
        return event.payload
    own = None if viewer is None else event.payload["players"][viewer]
    hands = {player: hand for player, hand in event.payload["hands"].items() if player == own}
    return {**event.payload, "hands": hands}


def view(state: State, viewer: Viewer) -> Payload:
    """Draw the table. Lists are by seat; `hand` and `legal_moves` are the viewer's own."""
    return {
        "seat": viewer,
        "phase": state.phase,
        "round": state.round,
        "rounds": state.config.rounds,
        "cards": state.cards,
        "playing": list(state.playing),
        "trump": state.trump,
        "trump_card": state.trump_card.id if state.trump_card else None,
        "trump_broken": state.trump_broken,
        "leader": state.leader,
        "turn": state.turn.seats[0] if state.turn else None,
        "counts": [len(hand) for hand in state.hands],
        "bids": list(state.bids),
        "tricks": list(state.tricks),
        "trick": [{"seat": seat, "card": card.id} for seat, card in state.trick],
        "totals": list(state.totals),
        "history": list(state.results),
        "hand": None if viewer is None else _hand(state, viewer),
        "legal_moves": [] if viewer is None else legal_moves(state, viewer),
    }


def _hand(state: State, seat: int) -> list[str]:
    return [card.id for card in state.hands[seat]] if state.hands else []


class ElDorado1(Ruleset[State, Move]):
    """Ten rounds of bidding and trick-taking with a new trump suit in each.

    Version 1, in which a player who has left can still win.
    """

    name = "el_dorado"
    version = 1
    title = "El Dorado"
    rules = (
        "Ten rounds with fewer and fewer cards. Bid how many tricks you will take, then take "
        "exactly that many: 5 points and your bid if you do, as many less if you do not. Follow "
        "the led suit if you can; the highest trump takes the trick, else the highest card of the "
        "led suit."
    )
    leavers_rank_last = False
    seats: ClassVar[range] = range(2, 11)
    config = Config
    bots = BOTS
    statistics = (
        Statistic("tricks_won", "sum", board=True),
        Statistic("highest_bid", "max"),
        Statistic(SCORE, "max", board=True),
        Statistic(WINS, "sum", board=True),
    )
    rated = True

    def initial(self, setup: Setup) -> State:
        """Make the state before the first deal."""
        return initial(setup)

    def setup(self, state: State) -> list[Event]:
        """Deal the first round."""
        return rules.start_round(state, 1)

    def parse(self, raw: Payload) -> Move:
        """Parse a bid or a card."""
        return parse(raw)

    def decide(self, state: State, seat: int, move: Move) -> list[Event]:
        """Apply the rules of bidding, playing and scoring."""
        return rules.decide(state, seat, move)

    def evolve(self, state: State, event: Event) -> None:
        """Fold one event."""
        evolve(state, event)

    def move_of(self, state: State, event: Event) -> SeatMove | None:
        """Read a bid or a card back."""
        move = raw_move(event)
        return None if move is None else SeatMove(state.seats[event.payload["player_id"]], move)

    def redact(self, event: Event, viewer: Viewer) -> Payload | None:
        """Hide other players' hands."""
        return redact(event, viewer)

    def view(self, state: State, viewer: Viewer) -> Payload:
        """Draw the table as a viewer sees it."""
        return view(state, viewer)

    def to_act(self, state: State) -> Turn | None:
        """Say who bids or plays next."""
        return state.turn

    def timeout_move(self, state: State, seat: int) -> Payload:
        """Bid 0, or play the card that the rules name for the absent."""
        return rules.timeout_move(state, seat)

    def outcome(self, state: State) -> Outcome | None:
        """Give the result after the last round, or once fewer than two players are left."""
        return scoring.outcome(state) if state.phase == "over" else None


def bids_made(game: CompletedGame, seat: int) -> int:
    """Count the rounds in which the bid was made exactly."""
    results = [each["players"].get(game.players[seat]) for each in game.outcome.rounds]
    return sum(each is not None and each["delta"] > 0 for each in results)


def made_all_bids(game: CompletedGame, seat: int) -> int:
    """Count a game of which every bid was made."""
    rounds = len(game.outcome.rounds)
    return int(rounds == ROUNDS_OF_A_GAME and bids_made(game, seat) == rounds)


ROUNDS_OF_A_GAME: Final = 10
ACHIEVEMENTS: Final = (
    Achievement("first_win", "Gold", "Win a game.", won, reads_events=False),
    Achievement(
        "bids_made", "A true word", "Make 100 bids.", bids_made, 30, 100, reads_events=False
    ),
    Achievement(
        "all_bids",
        "Clairvoyant",
        "Make every bid of ten rounds.",
        made_all_bids,
        points=100,
        hidden=True,
        reads_events=False,
    ),
)


class ElDorado(ElDorado1):
    """Version 2: players who left are ranked behind those who stayed, and earn nothing."""

    version = 2
    leavers_rank_last = True
    earlier = (ElDorado1(),)
    achievements = ACHIEVEMENTS
