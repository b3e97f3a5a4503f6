"""What a player can do.

{"type": "bid", "bid": 3}
{"type": "play_card", "card": "d0:spades:A"}
"""

from typing import NamedTuple, TypeAlias

from server.gamekit.cards import CARDS, Card
from server.gamekit.contract import Event, IllegalMove, Payload


class Bid(NamedTuple):
    """Promise to take exactly this many tricks."""

    bid: int


class PlayCard(NamedTuple):
    """Play a card to the present trick."""

    card: Card


Move: TypeAlias = Bid | PlayCard


def parse(raw: Payload) -> Move:
    """Parse a move strictly: no other key, no other type, no card that does not exist."""
    # Plain look-ups: matching patterns of mappings takes twice as long, and this is every move.
    if len(raw) == 2:
        kind = raw.get("type")
        if kind == "play_card":
            card = raw.get("card")
            if type(card) is str and card in CARDS:
                return PlayCard(CARDS[card])
        elif kind == "bid":
            bid = raw.get("bid")
            if type(bid) is int:  # a bool is an int to `isinstance`, but not a bid
                return Bid(bid)
    raise IllegalMove(
        "unknown_move",
        'Send {"type": "bid", "bid": 3} or {"type": "play_card", "card": "d0:spades:A"}.',
    )


def raw_bid(bid: int) -> Payload:
    """Write a bid as it travels."""
    return {"type": "bid", "bid": bid}


def raw_play(card: Card) -> Payload:
    """Write the playing of a card as it travels."""
    return {"type": "play_card", "card": card.id}


def raw_move(event: Event) -> Payload | None:
    """Write the move that an event records as it travelled; None where it records none."""
    match event.type:
        case "player_bid":
            return raw_bid(event.payload["bid"])
        case "card_played":
            return raw_play(CARDS[event.payload["card"]])
    return None
