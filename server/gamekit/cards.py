"""Playing cards: packs of one or two 52-card decks, with ids `d{deck}:{suit}:{rank}`."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

from server.gamekit.chance import Chance

Suit: TypeAlias = Literal["spades", "hearts", "diamonds", "clubs"]

SUITS: Final[tuple[Suit, ...]] = ("spades", "hearts", "diamonds", "clubs")
RANKS: Final = ("2", "3", "4", "5", "6", "7", "8", "9", "10", "J", "Q", "K", "A")
DECKS_MAX: Final = 2


class Card(NamedTuple):
    """One card. Cards sort by rank, then suit (clubs lowest, as in bridge), then deck."""

    rank: int  # 2 to 14: aces are high
    suit: Suit
    deck: int
    id: str


def beats(card: Card, best: Card, trump: Suit | None) -> bool:
    """Say whether a card takes the trick from the best card that was played before it.

    The best card so far is of the led suit or trump; of two identical cards the later wins.
    """
    if card.suit == best.suit:
        return card.rank >= best.rank
    return card.suit == trump


def winning_index(trick: Sequence[Card], trump: Suit | None) -> int:
    """Say which card of a trick, in the order of play, takes it."""
    best = 0
    for index, card in enumerate(trick):
        if beats(card, trick[best], trump):
            best = index
    return best


def make_pack(decks: int) -> tuple[Card, ...]:
    """Give one or two decks, unshuffled: deck by deck, suits as in `SUITS`, twos to aces."""
    return _PACKS[decks]


def shuffled_pack(decks: int, seed: str) -> list[Card]:
    """Shuffle one or two decks; the seed determines the order."""
    return Chance(seed).shuffled(make_pack(decks))


_ALL = tuple(
    Card(rank, suit, deck, f"d{deck}:{suit}:{name}")
    for deck in range(DECKS_MAX)
    for suit in SUITS
    for rank, name in enumerate(RANKS, start=2)
)
_PACKS = {decks: _ALL[: decks * 52] for decks in range(1, DECKS_MAX + 1)}

# Every card by its id: looking an id up is how it is parsed.
CARDS: Final[Mapping[str, Card]] = MappingProxyType({card.id: card for card in _ALL})
