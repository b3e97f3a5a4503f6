"""Rock, paper, scissors: both choose at once, and nobody sees the other's choice first."""

import pytest

from server.gamekit.conformance.playout import Playout
from server.gamekit.contract import IllegalMove
from server.rulesets.rock_paper_scissors import RULESET


def game(wins: int = 2) -> Playout:
    return Playout(RULESET, 2, "rps", config=RULESET.config(wins=wins)).start()


def throw(what: str) -> dict[str, str]:
    return {"type": "throw", "throw": what}


def test_both_are_to_act_and_the_deadline_is_the_same_for_the_second():
    playout = game()
    assert playout.fold.turn.seats == (0, 1)
    deadline = playout.fold.deadline_ms
    playout.now_ms += 9_000
    playout.act(1, throw("paper"))
    assert playout.fold.turn.seats == (0,)
    assert playout.fold.deadline_ms == deadline
    playout.act(0, throw("rock"))
    assert playout.fold.turn.seats == (0, 1)
    assert playout.fold.deadline_ms > deadline


@pytest.mark.parametrize(
    ("first", "second", "wins"),
    [
        ("rock", "scissors", [1, 0]),
        ("rock", "paper", [0, 1]),
        ("paper", "scissors", [0, 1]),
        ("paper", "paper", [0, 0]),
        ("nothing", "scissors", [0, 1]),
        ("nothing", "nothing", [0, 0]),
    ],
)
def test_throws_are_compared_when_both_are_there(first, second, wins):
    playout = game()
    playout.act(0, throw(first))
    assert playout.view(1)["wins"] == [0, 0]
    (_, revealed) = playout.act(1, throw(second))
    assert revealed.payload["throws"] == {"player-0": first, "player-1": second}
    assert playout.view(None)["wins"] == wins


def test_first_throw_is_hidden_from_the_other_and_from_spectators():
    playout = game()
    (thrown,) = playout.act(0, throw("rock"))
    assert RULESET.redact(thrown, 0)["throw"] == "rock"
    assert "throw" not in RULESET.redact(thrown, 1)
    assert "throw" not in RULESET.redact(thrown, None)
    assert playout.view(1)["thrown"] == [True, False]
    assert playout.view(1)["own"] is None


def test_nobody_throws_twice_in_a_round():
    playout = game()
    playout.act(0, throw("rock"))
    with pytest.raises(IllegalMove, match="wait for the other"):
        playout.act(0, throw("paper"))


def test_two_who_always_tie_come_to_an_end_without_a_winner():
    playout = game(wins=1)
    while not playout.completed:
        playout.act(0, throw("rock"))
        playout.act(1, throw("rock"))
    assert len(playout.fold.state.rounds) == 10
    assert playout.log[-1].payload["winners"] == []


def test_player_who_leaves_loses_whatever_the_score():
    playout = game()
    playout.act(0, throw("rock"))
    playout.act(1, throw("scissors"))
    playout.presence("player_left", 0)
    assert playout.log[-1].payload["winners"] == ["player-1"]
