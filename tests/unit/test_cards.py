"""Cards and packs; the shuffles are vectors for implementations in other languages."""

from hashlib import sha256

import pytest

from server.gamekit.cards import CARDS, Card, beats, make_pack, shuffled_pack, winning_index


def cards(*ids: str) -> list[Card]:
    return [CARDS[card] for card in ids]


@pytest.mark.parametrize(("decks", "size"), [(1, 52), (2, 104)])
def test_pack_has_every_card_once(decks: int, size: int) -> None:
    assert size == len(set(make_pack(decks)))


def test_id_says_deck_suit_and_rank() -> None:
    assert Card(rank=14, suit="spades", deck=0, id="d0:spades:A") == CARDS["d0:spades:A"]
    assert Card(rank=10, suit="clubs", deck=1, id="d1:clubs:10") == CARDS["d1:clubs:10"]


@pytest.mark.parametrize("text", ["", "spades:A", "d2:spades:A", "d0:spades:1", "d0:Spades:A"])
def test_what_is_no_id_is_no_card(text: str) -> None:
    assert text not in CARDS


def test_unshuffled_pack_runs_from_the_two_of_spades_to_the_ace_of_clubs() -> None:
    assert [card.id for card in make_pack(1)[:2]] == ["d0:spades:2", "d0:spades:3"]
    assert make_pack(1)[-1].id == "d0:clubs:A"
    assert make_pack(2)[52].id == "d1:spades:2"


def test_cards_sort_by_rank_then_suit_then_deck() -> None:
    ordered = cards("d0:spades:2", "d0:clubs:3", "d1:clubs:3", "d0:spades:3", "d0:clubs:A")
    mixed = cards("d1:clubs:3", "d0:clubs:A", "d0:spades:3", "d0:spades:2", "d0:clubs:3")
    assert sorted(mixed) == ordered


@pytest.mark.parametrize(
    ("decks", "first", "digest"),
    [
        (
            1,
            ["d0:hearts:6", "d0:clubs:2", "d0:clubs:K", "d0:spades:9", "d0:clubs:A"],
            "6b9179fcfe6e72de540f34e515b2b5a23bd405e4311896fb52e487fef975b0a9",
        ),
        (
            2,
            ["d0:spades:6", "d0:diamonds:7", "d0:diamonds:4", "d0:spades:4", "d1:clubs:6"],
            "66571813afb985ae07730b58f1971fc3545cc233bb6194fbde905d48d861cffa",
        ),
    ],
)
def test_shuffle_of_a_seed_is_this_one(decks: int, first: list[str], digest: str) -> None:
    ids = [card.id for card in shuffled_pack(decks, "playhall")]
    assert first == ids[:5]
    # sha256 of the ids joined by spaces
    assert digest == sha256(" ".join(ids).encode()).hexdigest()


@pytest.mark.parametrize(
    ("card", "best", "taken"),
    [
        ("d0:spades:K", "d0:spades:Q", True),
        ("d0:spades:J", "d0:spades:Q", False),
        ("d0:clubs:A", "d0:spades:2", False),
        ("d0:hearts:2", "d0:spades:A", True),
        ("d0:spades:A", "d0:hearts:2", False),
        ("d1:spades:Q", "d0:spades:Q", True),
        ("d0:spades:Q", "d1:spades:Q", True),
    ],
)
def test_card_takes_from_lower_of_its_suit_or_as_trump(card: str, best: str, taken: bool) -> None:
    assert taken is beats(CARDS[card], CARDS[best], "hearts")


@pytest.mark.parametrize(
    ("trick", "winner"),
    [
        (("d0:spades:9", "d0:spades:K", "d0:clubs:A"), 1),
        (("d0:spades:9", "d0:hearts:2", "d0:spades:A", "d0:hearts:3"), 3),
        (("d0:spades:K", "d1:spades:K", "d0:clubs:2"), 1),
        (("d1:hearts:K", "d0:spades:A", "d0:hearts:K"), 2),
    ],
)
def test_trick_goes_to_highest_trump_else_highest_of_led_suit(
    trick: tuple[str, ...], winner: int
) -> None:
    assert winner == winning_index(cards(*trick), "hearts")


def test_without_trump_only_the_led_suit_counts() -> None:
    assert winning_index(cards("d0:spades:2", "d0:hearts:A"), None) == 0
