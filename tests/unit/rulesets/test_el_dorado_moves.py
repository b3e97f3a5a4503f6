"""El Dorado: what may be bid and played, and what each refusal is called."""

from typing import Any

import pytest

from server.rulesets.el_dorado.moves import raw_bid, raw_play
from tests.unit.rulesets.eldorado_table import bid, card, code, new_game, play, table


def legal(playout: Any, seat: int) -> list[str]:
    return [move["card"] for move in playout.view(seat)["legal_moves"]]


@pytest.mark.parametrize(
    "move",
    [
        {},
        {"type": "bid"},
        {"type": "bid", "bid": True},
        {"type": "bid", "bid": 1.0},
        {"type": "bid", "bid": "1"},
        {"type": "bid", "bid": None},
        {"type": "bid", "bid": 1, "extra": 1},
        {"type": "play_card", "bid": 1},
        {"type": "play_card", "card": "spades:A"},
        {"type": "play_card", "card": "d2:spades:A"},
        {"type": "play_card", "card": ["d0:spades:A"]},
        {"type": "play_card", "card": "d0:spades:A", "_v": 1},
        {"type": "Bid", "bid": 1},
    ],
)
def test_malformed_move_is_unknown(move: dict[str, Any]) -> None:
    assert code(table("sA s2", "sK s3"), 0, move) == "unknown_move"


def test_bid_runs_from_nothing_to_the_number_of_cards() -> None:
    playout = table("sA s2", "sK s3")
    codes = [code(playout, 0, raw_bid(number)) for number in (-1, 0, 2, 3, 10**30)]
    assert codes == ["invalid_bid", None, None, "invalid_bid", "invalid_bid"]


def test_bids_may_add_up_to_the_number_of_tricks() -> None:
    playout = table("sA s2", "sK s3")
    bid(playout, 2)
    assert [code(playout, 1, raw_bid(number)) for number in (0, 1, 2)] == [None] * 3


def test_bid_out_of_turn_is_refused() -> None:
    playout = table("sA", "sK", "sQ")
    assert code(playout, 1, raw_bid(0)) == "not_your_turn"
    bid(playout, 0)
    assert code(playout, 0, raw_bid(0)) == "not_your_turn"
    assert code(playout, 1, raw_bid(0)) is None


def test_card_before_the_bids_are_made_is_refused() -> None:
    assert code(table("sA", "sK"), 0, raw_play(card("sA"))) == "invalid_phase"


def test_bid_after_the_bidding_is_refused() -> None:
    playout = table("sA", "sK")
    bid(playout, 0, 0)
    assert code(playout, 0, raw_bid(0)) == "invalid_phase"


def test_any_move_after_the_end_is_refused() -> None:
    playout = table("sA", "sK")
    bid(playout, 1, 0)
    play(playout, "sA sK")
    assert playout.completed
    assert code(playout, 0, raw_bid(0)) == "invalid_phase"
    assert code(playout, 0, raw_play(card("sA"))) == "invalid_phase"


def test_card_out_of_turn_is_refused() -> None:
    playout = table("sA", "sK")
    bid(playout, 0, 0)
    assert code(playout, 1, raw_play(card("sK"))) == "not_your_turn"


@pytest.mark.parametrize("foreign", ["sK", "cA", "sA'"])
def test_card_of_another_hand_or_deck_is_refused(foreign: str) -> None:
    playout = table("sA s2", "sK s3")
    bid(playout, 0, 0)
    assert code(playout, 0, raw_play(card(foreign))) == "card_not_in_hand"


def test_played_card_cannot_be_played_again() -> None:
    playout = table("sA s2", "sK s3")
    bid(playout, 0, 0)
    play(playout, "sA s3")
    assert code(playout, 0, raw_play(card("sA"))) == "card_not_in_hand"


def test_led_suit_must_be_followed_even_by_who_holds_trump() -> None:
    playout = table("sA c2", "s3 h3")
    bid(playout, 0, 0)
    play(playout, "sA")
    refusal = playout.refusal(1, raw_play(card("h3")))
    assert refusal is not None
    assert refusal.code == "must_follow_suit"
    assert refusal.message == "You hold spades, so you must play one."
    assert legal(playout, 1) == ["d0:spades:3"]


def test_who_cannot_follow_plays_anything() -> None:
    playout = table("sA c2", "c3 h3")
    bid(playout, 0, 0)
    play(playout, "sA")
    assert legal(playout, 1) == ["d0:clubs:3", "d0:hearts:3"]


def test_trump_cannot_be_led_until_it_is_broken() -> None:
    playout = table("h5 s2", "sK c3")
    bid(playout, 0, 0)
    assert code(playout, 0, raw_play(card("h5"))) == "cannot_lead_trump"
    assert legal(playout, 0) == ["d0:spades:2"]


def test_trump_can_be_led_once_it_is_broken() -> None:
    playout = table("s2 s3 c4", "h5 h6 c3")
    bid(playout, 0, 0)
    assert [event.type for event in play(playout, "s2 h5")][:2] == ["card_played", "trump_broken"]
    assert legal(playout, 1) == ["d0:hearts:6", "d0:clubs:3"]


def test_trump_is_broken_once_a_round() -> None:
    playout = table("s2 s3", "h5 h6")
    bid(playout, 0, 0)
    play(playout, "s2 h5 h6")
    assert [event.type for event in playout.log].count("trump_broken") == 1


def test_who_holds_only_trump_may_lead_it_and_that_breaks_nothing() -> None:
    playout = table("h5 h6", "h3 s3", "c3 c4")
    bid(playout, 0, 0, 0)
    play(playout, "h5 h3")
    assert playout.view(None)["trump_broken"] is False
    assert [event.type for event in play(playout, "c3")][:2] == ["card_played", "trick_completed"]


def test_discard_on_a_led_trump_breaks_nothing_and_following_trump_neither() -> None:
    playout = table("h5 h6", "h3 h4")
    bid(playout, 0, 0)
    play(playout, "h5 h3")
    assert "trump_broken" not in [event.type for event in playout.log]


@pytest.mark.parametrize(
    ("hands", "trick", "winner"),
    [
        (("s9 c2", "sK c3", "cA c4"), "s9 sK cA", 1),
        (("sA c2", "h3 c3", "s4 c4"), "sA h3 s4", 1),
        (("sA c2", "h3 c3", "h4 c4"), "sA h3 h4", 2),
        (("s9 c2", "s3 c3", "s4 c4"), "s9 s3 s4", 0),
    ],
)
def test_trick_goes_to_highest_trump_else_highest_of_led_suit(
    hands: tuple[str, ...], trick: str, winner: int
) -> None:
    playout = table(*hands)
    bid(playout, 0, 0, 0)
    completed, started = play(playout, trick)[-2:]
    assert completed.payload == {"trick": 1, "player_id": f"player-{winner}", "_v": 1}
    assert started.payload == {"trick": 2, "player_id": f"player-{winner}", "_v": 1}
    assert playout.to_act() == winner


@pytest.mark.parametrize("trick", ["sK sK' s3", "sK' sK s3", "sQ sK sK'"])
def test_of_two_identical_cards_the_later_wins(trick: str) -> None:
    one, two, three = trick.split()
    playout = table(f"{one} c2", f"{two} c3", f"{three} c4")
    bid(playout, 0, 0, 0)
    play(playout, trick)
    kings = [place for place, short in enumerate(trick.split()) if short.startswith("sK")]
    assert playout.to_act() == kings[-1]


def test_of_two_identical_trumps_the_later_wins() -> None:
    playout = table("sA c2", "h3' c3", "h3 c4")
    bid(playout, 0, 0, 0)
    play(playout, "sA h3' h3")
    assert playout.to_act() == 2


# ------------------------------------------------------------------ played for the absent


def timeout_card(playout: Any) -> str:
    seat = playout.to_act()
    move = playout.ruleset.timeout_move(playout.fold.state, seat)
    return str(move["card"])


def test_absent_bid_nothing() -> None:
    playout = new_game(2)
    assert playout.ruleset.timeout_move(playout.fold.state, 0) == raw_bid(0)


@pytest.mark.parametrize(
    ("hands", "led", "played"),
    [
        (("sQ c2 c3", "s3 sK h4"), "sQ", "sK"),  # the highest of the led suit
        (("sQ c2 c3", "h3 d9 c4"), "sQ", "c4"),  # else the lowest that is no trump
        (("sQ c2 c3", "h8 h3 hA"), "sQ", "h3"),  # else the lowest trump
        (("h9 h8 hK", "h3 hA c2"), "h9", "hA"),  # trump is the led suit
    ],
)
def test_absent_follow_high_and_discard_low(hands: tuple[str, ...], led: str, played: str) -> None:
    playout = table(*hands)
    bid(playout, 0, 0)
    play(playout, led)
    assert timeout_card(playout) == card(played).id


@pytest.mark.parametrize(("leader", "led"), [("h3 d9 c4", "c4"), ("h8 h3 hA", "h3")])
def test_absent_lead_low_and_trump_last(leader: str, led: str) -> None:
    playout = table(leader, "s2 s3 s4")
    bid(playout, 0, 0)
    assert timeout_card(playout) == card(led).id
