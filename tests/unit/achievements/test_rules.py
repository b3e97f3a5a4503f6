"""What a finished game brings, and what a player is shown."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from persistence.achievements.store import Gain, StoredAchievement
from protocol.ids import GameId, PlayerId
from server.domains.progression.achievements.rules import list_gains, list_players, show
from server.gamekit.achievements import won
from server.gamekit.checking import ruleset_problem
from server.gamekit.contract import Achievement, CompletedGame, Event, Outcome, Standing
from server.rulesets.el_dorado import RULESET as EL_DORADO
from server.rulesets.four_in_a_row import RULESET as FOUR

ANN, BOB, EVE = PlayerId("a"), PlayerId("b"), PlayerId("e")
FIRST = Achievement("first", "First", "Win.", won)


def game(*standings: Standing, bots: frozenset[int] = frozenset()) -> CompletedGame:
    return CompletedGame([ANN, BOB, EVE][: len(standings)], bots, [], Outcome(standings))


def test_only_people_who_stayed_gain_something() -> None:
    played = game(
        Standing(0, 5, is_winner=True),
        Standing(1, 5, is_winner=True),
        Standing(2, 5, is_winner=True, forfeited=True),
        bots=frozenset({1}),
    )
    assert list_players(played) == [ANN]
    assert list_gains(played, [FIRST]) == [Gain(ANN, "first", 1, 1)]


def test_amount_below_zero_is_refused() -> None:
    wrong = replace(FIRST, count=lambda *_: -1)
    with pytest.raises(ValueError, match="counted -1 for seat 0"):
        list_gains(game(Standing(0, 5, is_winner=True)), [wrong])


def test_hidden_achievement_is_shown_once_it_is_granted() -> None:
    keys = [each.key for each in show([FOUR], [])]
    assert keys == ["first_win", "ten_wins"]
    at = datetime(2026, 11, 30, tzinfo=UTC)
    granted = StoredAchievement("four_in_a_row", "quick_win", 3, at, GameId("g"))
    shown = {each.key: each for each in show([FOUR], [granted])}
    assert (shown["quick_win"].progress, shown["quick_win"].game_id) == (1, "g")


def test_quick_win_needs_a_full_line() -> None:
    (quick,) = [each for each in FOUR.achievements if each.key == "quick_win"]
    discs = [Event("disc_dropped", {"player_id": ANN})] * 6
    line = Event("four_connected", {"player_id": ANN})
    played = game(Standing(0, 1, is_winner=True), Standing(1, 0, is_winner=False))
    assert quick.count(replace(played, events=[*discs, line]), 0) == 1
    assert quick.count(replace(played, events=[*discs, line]), 1) == 0
    assert quick.count(replace(played, events=[*discs, discs[0], line]), 0) == 0
    assert quick.count(replace(played, events=discs), 0) == 0, "the other one left"


def test_bids_that_were_made_are_counted() -> None:
    bids = {each.key: each for each in EL_DORADO.achievements}
    rounds = [{"players": {ANN: {"delta": 6}, BOB: {"delta": -5 if n else 5}}} for n in range(10)]
    played = game(Standing(0, 60, is_winner=True), Standing(1, -40, is_winner=False))
    played = replace(played, outcome=Outcome(played.outcome.standings, rounds))
    assert [bids["bids_made"].count(played, seat) for seat in (0, 1)] == [10, 1]
    assert [bids["all_bids"].count(played, seat) for seat in (0, 1)] == [1, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        ("first",),
        (FIRST, FIRST),
        (replace(FIRST, key="First"),),
        (replace(FIRST, steps=0),),
        (replace(FIRST, points=-1),),
        (replace(FIRST, title=""),),
    ],
)
def test_achievements_that_cannot_be_used_are_refused(wrong: object) -> None:
    ruleset = type(FOUR)()
    ruleset.achievements = wrong  # type: ignore[assignment, misc]
    problem = ruleset_problem(ruleset, folder="four_in_a_row")
    assert problem is not None
    assert "achievements" in problem
