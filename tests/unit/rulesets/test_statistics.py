"""Statistics that a ruleset declares: in the summary, some with columns of their own."""

from collections.abc import Mapping

import pytest

from server.domains.play.games.results import build_game_summary, require_storable
from server.gamekit.contract import Outcome, Standing
from tests.unit.rulesets.test_leaving import table_of


def outcome_of(*statistics: Mapping[str, int]) -> Outcome:
    return Outcome(
        tuple(Standing(seat, 0, False, statistics=each) for seat, each in enumerate(statistics))
    )


def test_statistics_with_columns_fill_them_and_others_stand_with_the_player() -> None:
    outcome = outcome_of({"tricks_won": 3, "highest_bid": 2, "castles": 1}, {"highest_bid": 5}, {})
    summary = build_game_summary(table_of(3, []), outcome)
    assert summary.highest_bid == 5
    assert [
        (player["tricks_won"], player["highest_bid"], player.get("statistics"))
        for player in summary.players
    ] == [(3, 2, {"castles": 1}), (0, 5, None), (0, None, None)]


@pytest.mark.parametrize(
    ("statistics", "said"),
    [
        ({"castles": 1}, r"declares no statistics \['castles'\]"),
        ({"tricks_won": 2**31}, "tricks_won is not a 32-bit integer"),
        ({"tricks_won": 1.5}, "tricks_won is not a 32-bit integer"),
    ],
)
def test_statistics_that_are_not_declared_or_no_numbers_are_refused(
    statistics: dict[str, int], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        require_storable(outcome_of(statistics), seats=1, statistics=("tricks_won",))
