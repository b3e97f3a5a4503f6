"""The vectors that an implementation in another language has to reproduce."""

from collections import Counter

import pytest

from server.gamekit.chance import Chance, derive_seed


def test_generator_agrees_with_published_splitmix64() -> None:
    chance = Chance("")
    chance._state = 1234567  # the published vectors start from a number, not from a text
    assert [chance.next64() for _ in range(5)] == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_text_seed_gives_these_numbers() -> None:
    chance = Chance("playhall")
    assert [chance.next64() for _ in range(4)] == [
        10280882273434224687,
        7365636777339932237,
        1918725387604601465,
        9270130673390670003,
    ]


def test_bounded_draw_gives_these_numbers() -> None:
    chance = Chance("playhall")
    assert [chance.below(6) for _ in range(12)] == [3, 5, 5, 3, 0, 5, 4, 4, 5, 2, 0, 4]


def test_draw_above_the_last_multiple_is_rejected() -> None:
    # Just over half of all numbers are below 2**63 + 1, so the first and fourth are skipped.
    chance = Chance("playhall")
    expected = [7365636777339932237, 1918725387604601465, 6642213914455474733, 3263629277084872702]
    assert expected == [chance.below(2**63 + 1) for _ in range(4)]


def test_bounded_draw_favours_nobody() -> None:
    chance = Chance("fair")
    counts = Counter(chance.below(5) for _ in range(10_000))
    assert {0, 1, 2, 3, 4} == set(counts)
    assert all(1850 < count < 2150 for count in counts.values())


def test_shuffle_gives_this_order_and_leaves_the_items_alone() -> None:
    items = list(range(10))
    assert Chance("playhall").shuffled(items) == [5, 6, 9, 2, 3, 0, 4, 1, 8, 7]
    assert list(range(10)) == items


def test_derived_seed_is_hash_of_joined_parts() -> None:
    # printf 'playhall:round:1' | sha256sum
    expected = "3b03c0f608cb39438e7bd2eab1bc128be91a9072e5afe06f8074f1290cdf601b"
    assert expected == derive_seed("playhall", "round", 1)


@pytest.mark.parametrize("items", [["a"], ["a", "b", "c"]])
def test_choice_is_one_of_the_items(items: list[str]) -> None:
    chance = Chance("choice")
    assert set(items) == {chance.choice(items) for _ in range(100)}
