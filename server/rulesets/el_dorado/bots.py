"""Players of El Dorado that know no more than a person in their seat."""

from collections.abc import Mapping, Sequence
from typing import Final

from server.gamekit.cards import CARDS, Card, Suit, beats, winning_index
from server.gamekit.chance import Chance
from server.gamekit.contract import Bot, Payload
from server.rulesets.el_dorado.moves import raw_bid, raw_play


def random_move(view: Payload, chance: Chance) -> Payload:
    """Make any legal move."""
    move: Payload = chance.choice(view["legal_moves"])
    return move


def bid_and_duck(view: Payload, _: Chance) -> Payload:
    """Bid the tricks that the hand is worth, then take them and duck the rest."""
    if view["phase"] == "bidding":
        return raw_bid(_expected_tricks(view))
    return raw_play(_card(view))


BOTS: Final[Mapping[str, Bot]] = {"bid_and_duck": bid_and_duck, "random": random_move}

# Found by trying: how often an opponent has the higher trumps, and does not trump a suit.
_TRUMP_BEATEN: Final = 0.65
_NOT_TRUMPED: Final = 0.85


def _expected_tricks(view: Payload) -> int:
    hand, opponents = [CARDS[card] for card in view["hand"]], len(view["playing"]) - 1
    worth = sum(_worth(card, view["trump"], opponents) for card in hand)
    return int(worth + 0.5)


def _worth(card: Card, trump: Suit, opponents: int) -> float:
    """Guess how likely a card takes a trick: no opponent may beat it."""
    higher = (14 - card.rank) / 13
    if card.suit == trump:
        return float((1 - higher * _TRUMP_BEATEN) ** opponents)
    return float(((1 - higher) * _NOT_TRUMPED) ** opponents)


def _card(view: Payload) -> Card:
    legal = [CARDS[move["card"]] for move in view["legal_moves"]]
    trump, seat = view["trump"], view["seat"]
    wanting = view["tricks"][seat] < view["bids"][seat]
    trick = [CARDS[played["card"]] for played in view["trick"]]
    by_strength = sorted(legal, key=lambda card: (card.suit == trump, card))
    if not trick:
        return by_strength[-1 if wanting else 0]
    best = trick[winning_index(trick, trump)]
    winning = [card for card in by_strength if beats(card, best, trump)]
    losing = [card for card in by_strength if not beats(card, best, trump)]
    last = len(trick) + 1 == len(view["playing"])
    return _take(winning, losing, last) if wanting else _duck(winning, losing, last)


def _take(winning: Sequence[Card], losing: Sequence[Card], last: bool) -> Card:
    """Win, as cheaply as is safe; else give away the least."""
    if winning:
        return winning[0 if last else -1]
    return losing[0]


def _duck(winning: Sequence[Card], losing: Sequence[Card], last: bool) -> Card:
    """Lose with the most dangerous card; else win with it if nobody comes after."""
    if losing:
        return losing[-1]
    return winning[-1 if last else 0]
