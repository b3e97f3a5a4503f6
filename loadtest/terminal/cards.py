"""Cards as people write them: `A♠`, `AS`, `10h`; `A♠²` is of the second deck."""

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from loadtest.players.el_dorado import RANK_OF, SUIT_OF, SUITS
from loadtest.terminal.screen import Unclear

_SYMBOLS: Final = {"spades": "♠", "hearts": "♥", "diamonds": "♦", "clubs": "♣"}
_STYLES: Final = {"spades": "", "hearts": "red", "diamonds": "red", "clubs": ""}


def symbol(suit: str) -> str:
    """Write a suit."""
    return _SYMBOLS[suit]


def short(card: str) -> str:
    """Write a card: `A♠`."""
    deck, suit, rank = card.split(":")
    return f"{rank}{_SYMBOLS[suit]}{'' if deck == 'd0' else '²'}"


def painted(card: str, extra: str = "") -> Text:
    """Write a card in its colour."""
    return Text(short(card), style=f"{_STYLES[SUIT_OF[card]]} {extra}".strip())


def in_order(hand: Sequence[str]) -> list[str]:
    """Sort a hand by suit, high cards first."""
    return sorted(hand, key=lambda card: (SUITS.index(SUIT_OF[card]), -RANK_OF[card], card))


def read_card(line: str, hand: Sequence[str]) -> str:
    """Find the card that a line means: its place in the hand, from 1, or its name."""
    text = line.strip().upper()
    if text.isascii() and text.isdigit():
        if 1 <= int(text) <= len(hand):
            return hand[int(text) - 1]
        raise Unclear(f"Your hand has {len(hand)} cards: type a number from 1 to {len(hand)}.")
    for card in hand:
        if text in _spellings(card):
            return card
    raise Unclear("Type a card's number, or its name: AS is the ace of spades, 10H a red ten.")


def _spellings(card: str) -> set[str]:
    deck, suit, rank = card.split(":")
    names = {f"{rank}{_SYMBOLS[suit]}", f"{rank}{suit[0].upper()}"}
    return names if deck == "d0" else names | {f"{name}2" for name in names} | {short(card)}
