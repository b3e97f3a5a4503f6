"""El Dorado tables with the hands that a test needs."""

from server.gamekit.cards import CARDS, SUITS, Card
from server.gamekit.conformance.playout import Playout
from server.gamekit.contract import Event, Payload
from server.rulesets.el_dorado import RULESET, events
from server.rulesets.el_dorado.moves import raw_bid, raw_play
from server.rulesets.el_dorado.state import Config

_SUIT = {suit[0]: suit for suit in SUITS}


def card(short: str) -> Card:
    """Read `sA` as the ace of spades of the first deck, `sA'` as that of the second."""
    deck = int(short.endswith("'"))
    return CARDS[f"d{deck}:{_SUIT[short[0]]}:{short[1:].removesuffix(chr(39))}"]


def cards(text: str) -> list[Card]:
    return [card(short) for short in text.split()]


def new_game(
    seats: int, *, rounds: int = 10, seed: str = "seed", bots: tuple[str, ...] = ()
) -> Playout:
    """Start a game whose cards come from the seed."""
    return Playout(RULESET, seats, seed, config=Config(rounds=rounds), bots=bots).start()


def table(*hands: str, trump: str = "h2") -> Playout:
    """Start a game of one round with these hands; seat 0 starts."""
    dealt = [cards(text) for text in hands]
    playout = Playout(RULESET, len(hands), "table", config=Config(rounds=1))
    players = playout.fold.state.players
    playout.apply(
        [
            events.round_started(1, cards=len(dealt[0]), player_id=players[0]),
            events.cards_dealt(players, dict(zip(players, dealt, strict=True))),
            events.trump_revealed(card(trump)),
        ]
    )
    return playout


def turn(playout: Playout) -> int:
    seat = playout.to_act()
    assert seat is not None
    return seat


def bid(playout: Playout, *bids: int) -> list[Event]:
    """Bid in turn; returns the events of the last."""
    return [playout.act(turn(playout), raw_bid(number)) for number in bids][-1]


def play(playout: Playout, text: str) -> list[Event]:
    """Play cards in turn; returns the events of the last."""
    return [playout.act(turn(playout), raw_play(played)) for played in cards(text)][-1]


def play_round(playout: Playout) -> None:
    """Let the clock play until the next round, or the end."""
    number = playout.fold.state.round
    while playout.to_act() is not None and playout.fold.state.round == number:
        playout.time_out()


def code(playout: Playout, seat: int, move: Payload) -> str | None:
    """Give the code that a move is refused with."""
    refusal = playout.refusal(seat, move)
    return None if refusal is None else refusal.code


def types(log: list[Event]) -> list[str]:
    return [event.type for event in log]


def last(playout: Playout, kind: str) -> Payload:
    """Give the payload of the latest event of a type."""
    return next(event.payload for event in reversed(playout.log) if event.type == kind)
