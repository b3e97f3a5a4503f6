"""Relay: what is sent arrives, and the host has the last word."""

from typing import Any

import pytest

from server.gamekit.conformance.playout import Playout
from server.rulesets.relay import RULESET
from server.rulesets.relay.ruleset import SCORE_MAX


def game(seats: int = 3) -> Playout:
    return Playout(RULESET, seats, "relay").start()


def standings(playout: Playout) -> list[tuple[int, bool]]:
    outcome = playout.fold.outcome()
    assert outcome is not None
    return [(standing.score, standing.is_winner) for standing in outcome.standings]


@pytest.mark.parametrize("move", [{}, {"type": "x"}, {"a": [1, {"b": None}]}, {"_v": 9}])
def test_any_object_arrives_unchanged_with_its_sender(move: dict[str, Any]) -> None:
    (event,) = game().act(2, move)
    assert RULESET.redact(event, None) is event.payload
    assert event[:2] == ("relayed", {"player_id": "player-2", "data": move, "_v": 1})


def test_end_of_anyone_but_the_host_is_relayed() -> None:
    playout = game()
    (event,) = playout.act(1, {"type": "end"})
    assert event.type == "relayed"
    assert not playout.completed


def test_host_ends_the_game_without_scores_and_nobody_wins() -> None:
    playout = game()
    playout.act(0, {"type": "end"})
    assert playout.completed
    assert standings(playout) == [(0, False)] * 3


def test_highest_score_wins_and_ties_share() -> None:
    playout = game(4)
    playout.act(0, {"type": "end", "scores": {"player-0": 3, "player-1": 7, "player-2": 7}})
    assert standings(playout) == [(3, False), (7, True), (7, True), (0, False)]


def test_who_has_no_score_does_not_win_against_negative_ones() -> None:
    playout = game(2)
    playout.act(0, {"type": "end", "scores": {"player-1": -5}})
    assert standings(playout) == [(0, False), (-5, True)]


@pytest.mark.parametrize(
    "end",
    [
        {"scores": {"player-9": 1}},
        {"scores": {"player-0": True}},
        {"scores": {"player-0": 1.5}},
        {"scores": {"player-0": SCORE_MAX + 1}},
        {"scores": [1, 2]},
        {"scores": None},
        {"scores": {}, "extra": 1},
        {"extra": 1},
    ],
)
def test_malformed_end_is_refused(end: dict[str, Any]) -> None:
    refusal = game().refusal(0, {"type": "end", **end})
    assert refusal is not None
    assert refusal.code == "invalid_scores"


def test_nothing_is_relayed_after_the_end() -> None:
    playout = game()
    playout.act(0, {"type": "end"})
    refusal = playout.refusal(1, {"late": True})
    assert refusal is not None
    assert refusal.code == "invalid_phase"


def test_next_seat_is_host_while_the_first_is_gone() -> None:
    playout = game()
    playout.presence("player_left", 0)
    assert playout.view(None)["host"] == 1
    playout.presence("player_joined", 0)
    assert playout.view(None)["host"] == 0
    playout.presence("player_left", 0)
    playout.act(1, {"type": "end"})
    assert playout.completed


def test_game_that_everybody_left_ends_without_a_winner() -> None:
    playout = game(2)
    playout.presence("player_left", 0)
    playout.presence("player_left", 1)
    assert playout.completed
    assert standings(playout) == [(0, False)] * 2
