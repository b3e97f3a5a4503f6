"""El Dorado: what the bots do, and that the better one is better."""

import pytest

from server.gamekit.chance import Chance
from server.rulesets.el_dorado import RULESET
from tests.unit.rulesets.eldorado_table import bid, card, new_game, play, table

GAMES = 60


def choice(*hands: str, bids: tuple[int, ...], played: str = "") -> str:
    """Ask bid_and_duck for the next card."""
    playout = table(*hands)
    bid(playout, *bids)
    if played:
        play(playout, played)
    seat = playout.to_act()
    assert seat is not None
    move = RULESET.bots["bid_and_duck"](playout.view(seat), Chance("any"))
    return str(move["card"])


def test_bid_and_duck_beats_random_clearly() -> None:
    wins = {"bid_and_duck": 0, "random": 0}
    for number in range(GAMES):
        names = ("bid_and_duck", "random") if number % 2 else ("random", "bid_and_duck")
        outcome = new_game(4, rounds=4, seed=f"duel-{number}", bots=names).play().fold.outcome()
        assert outcome is not None
        for standing in outcome.standings:
            wins[names[standing.seat % 2]] += standing.is_winner
    assert wins["bid_and_duck"] > 4 * wins["random"]


@pytest.mark.parametrize(
    ("hand", "expected"),
    [("hA hK hQ", 3), ("s2 c3 d4", 0), ("hA c2 d2", 1)],
)
def test_bid_counts_sure_tricks(hand: str, expected: int) -> None:
    playout = table(hand, "s5 c5 d5", "s6 c6 d6")
    move = RULESET.bots["bid_and_duck"](playout.view(0), Chance("any"))
    assert move == {"type": "bid", "bid": expected}


def test_who_wants_a_trick_and_plays_last_wins_it_cheaply() -> None:
    assert choice("s9 c2", "s10 sA", bids=(0, 1), played="s9") == card("s10").id


def test_who_wants_a_trick_and_cannot_win_gives_the_least_away() -> None:
    assert choice("sA c2", "s10 s3", bids=(0, 1), played="sA") == card("s3").id


def test_who_has_enough_ducks_with_the_most_dangerous_loser() -> None:
    assert choice("sQ c2", "s10 s3", bids=(1, 0), played="sQ") == card("s10").id


def test_who_must_win_unwanted_spends_the_highest_if_last() -> None:
    assert choice("s2 c2", "s10 s3", bids=(0, 0), played="s2") == card("s10").id


@pytest.mark.parametrize(("wanted", "led"), [(1, "sA"), (0, "c2")])
def test_leader_leads_high_to_win_and_low_to_duck(wanted: int, led: str) -> None:
    assert choice("c2 sA", "s10 s3", bids=(wanted, 0)) == card(led).id


def test_bot_with_the_same_view_and_chance_makes_the_same_move() -> None:
    view = new_game(4).view(0)
    for bot in RULESET.bots.values():
        assert bot(view, Chance("same")) == bot(view, Chance("same"))


def test_random_makes_every_legal_move() -> None:
    view, chance = new_game(2, rounds=3).view(0), Chance("all")
    made = {RULESET.bots["random"](view, chance)["bid"] for _ in range(100)}
    assert made == {0, 1, 2, 3}
