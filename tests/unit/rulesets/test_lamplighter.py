"""The Lamplighter: what chosen nights come to."""

from dataclasses import replace

import pytest

from server.gamekit.conformance.playout import Playout
from server.gamekit.contract import IllegalMove
from server.rulesets import find_rulesets
from server.rulesets.lamplighter.story import SCENES, Choice, check_story

GOOD_NIGHT = (
    *("ask_keeper", "walk_to_sands", "return", "go_to_market", "buy_oil", "leave"),
    *("walk_to_sands", "cross", "light"),
)


def night(*choices: str, seed: str = "a") -> Playout:
    playout = Playout(find_rulesets()["lamplighter"], 1, seed).start()
    for choice in choices:
        playout.act(0, {"type": "choose", "choice": choice})
    return playout


def refusal(playout: Playout, choice: str) -> str:
    refused = playout.refusal(0, {"type": "choose", "choice": choice})
    assert refused is not None
    return refused.code


def test_lamp_is_lit_in_a_good_night() -> None:
    played = night(*GOOD_NIGHT)
    view = played.view(0)
    assert (view["scene"], view["over"]) == ("lit", True)
    assert {"knows_keeper", "lamp_lit"} <= view["flags"].keys()
    assert view["lore"] == ["the_keepers_debt", "the_last_light"]
    assert view["counters"] == {"coins": 0, "oil": 1, "courage": 0}
    assert view["choices"]["sands"] == "cross"
    assert played.log[-1].payload["final_scores"] == {"player-0": 10}


def test_choices_close_with_events_flags_and_counters() -> None:
    assert refusal(night(), "go_to_market") == "choice_closed"  # it opens at seven
    assert refusal(night("ask_keeper"), "ask_keeper") == "choice_closed"
    assert refusal(night("ask_keeper", "go_to_market", "buy_oil"), "buy_oil") == "choice_closed"
    assert refusal(night("walk_to_sands"), "cross") == "choice_closed"  # the tide
    assert refusal(night(), "light") == "no_such_choice"


def test_night_ends_at_dawn_and_storms_come_when_the_seed_says() -> None:
    hours = set()
    for seed in "abcdefgh":
        waited = night("walk_to_sands", *["wait"] * 11, seed=seed)
        assert waited.view(0)["scene"] == "dawn"
        storms = [
            e for e in waited.log if e.type == "event_opened" and e.payload["event"] == "storm"
        ]
        hours |= {event.payload["hour"] for event in storms}
    assert len(hours) > 1


def test_hesitating_in_the_alley_ends_the_night() -> None:
    caught = night("walk_to_sands", "return", "go_to_market", "steal_oil")
    assert caught.fold.turn is not None
    assert caught.fold.turn.timeout_s == 30
    caught.time_out()
    assert caught.view(0)["scene"] == "caught"
    with pytest.raises(IllegalMove):
        caught.act(0, {"type": "choose", "choice": "climb"})


@pytest.mark.parametrize(
    ("choice", "problem"),
    [
        (Choice(text="x", to="nowhere"), "no scene"),
        (Choice(text="x", to="sands", hours=0), "at least an hour"),
        (Choice(text="x", to="sands", gives={"gold": 1}), "counters"),
        (replace(SCENES["harbour"].choices["go_to_market"], to="market"), "always possible"),
    ],
)
def test_story_that_cannot_be_played_is_refused(choice: Choice, problem: str) -> None:
    scene = replace(SCENES["sands"], choices={"x": choice})
    with pytest.raises(ValueError, match=problem):
        check_story({**SCENES, "sands": scene})
