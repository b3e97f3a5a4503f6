"""The facts of a game, each made here and nowhere else.

Every payload has `_v`, the version of its shape. Players are named by id.

    round_started         round, cards (to each), player_id (bids and leads first)
    player_marked_absent  player_id: left before this round; gets no hand
    cards_dealt           players (by seat), hands {player_id: [card, …]}, counts {player_id: n}
    trump_revealed        card, trump (its suit)
    player_bid            player_id, bid
    bidding_completed     bids {player_id: bid}
    trick_started         trick (from 1), player_id (leads)
    card_played           player_id, card
    trump_broken          player_id
    trick_completed       trick, player_id (took it)
    round_scored          round, cards, trump, players {player_id: {bid, tricks, delta}}
"""

from collections.abc import Mapping, Sequence
from typing import Any

from protocol.ids import PlayerId
from server.gamekit.cards import Card, Suit
from server.gamekit.contract import Event, Payload


def round_started(number: int, *, cards: int, player_id: PlayerId) -> Event:
    """Open a round."""
    return _event("round_started", round=number, cards=cards, player_id=player_id)


def player_marked_absent(player_id: PlayerId) -> Event:
    """Leave a player out of the round."""
    return _event("player_marked_absent", player_id=player_id)


def cards_dealt(players: Sequence[PlayerId], hands: Mapping[PlayerId, Sequence[Card]]) -> Event:
    """Deal; `redact` keeps only the viewer's own entry of `hands`."""
    return _event(
        "cards_dealt",
        players=list(players),
        hands={player: [card.id for card in hand] for player, hand in hands.items()},
        counts={player: len(hand) for player, hand in hands.items()},
    )


def trump_revealed(card: Card) -> Event:
    """Turn the card whose suit is trump."""
    return _event("trump_revealed", card=card.id, trump=card.suit)


def player_bid(player_id: PlayerId, bid: int) -> Event:
    """Bid."""
    return _event("player_bid", player_id=player_id, bid=bid)


def bidding_completed(bids: Mapping[PlayerId, int]) -> Event:
    """Close the bidding."""
    return _event("bidding_completed", bids=dict(bids))


def trick_started(number: int, leader: PlayerId) -> Event:
    """Open a trick."""
    return _event("trick_started", trick=number, player_id=leader)


def card_played(player_id: PlayerId, card: Card) -> Event:
    """Play a card."""
    # Two thirds of all events are this one, so it is written out.
    return Event("card_played", {"player_id": player_id, "card": card.id, "_v": 1})


def trump_broken(player_id: PlayerId) -> Event:
    """Break trump: from now on it may be led."""
    return _event("trump_broken", player_id=player_id)


def trick_completed(number: int, winner: PlayerId) -> Event:
    """Give the trick to its winner."""
    return _event("trick_completed", trick=number, player_id=winner)


def round_scored(number: int, *, cards: int, trump: Suit, players: Payload) -> Event:
    """Score a round; `players` lists those who played it."""
    return _event("round_scored", round=number, cards=cards, trump=trump, players=players)


def _event(kind: str, **payload: Any) -> Event:
    payload["_v"] = 1
    return Event(kind, payload)
