"""The simulation: the same for the same seed, and what it says of ratings is as theory has it."""

import pytest

from server.domains.play.matchmaking.rules import SearchRules
from server.ops.match_simulation import MatchSimulation, SimulationPlan
from server.rulesets import find_rulesets

RULES = SearchRules(bots_after_s=0)


@pytest.mark.parametrize(("ruleset", "seats"), [("reversi", 2), ("el_dorado", 4)])
async def test_ratings_come_near_skills_and_favourites_win_as_often_as_they_should(
    ruleset: str, seats: int
) -> None:
    plan = SimulationPlan(matches=1000, players=100, seats=seats)
    rules_of = find_rulesets()[ruleset]
    report = await MatchSimulation(plan, rules_of, RULES).run()
    assert report["matches"] >= 1000
    assert report["games_per_player"] >= 20
    assert report["rating_skill_correlation"] > 0.85
    assert report["skill_error"] < 150
    assert report["favourite_won"] == pytest.approx(report["favourite_expected"], abs=0.06)
    assert report["seat_0_won"] == pytest.approx(1 / seats, abs=0.06)
    assert report["wait_s_median"] <= report["wait_s_p95"] <= report["wait_s_max"]
    assert await MatchSimulation(plan, rules_of, RULES).run() == report


async def test_narrower_windows_give_closer_matches_and_longer_waits() -> None:
    plan, rules_of = SimulationPlan(matches=1000, players=100), find_rulesets()["reversi"]
    narrow = await MatchSimulation(plan, rules_of, SearchRules(20, 2)).run()
    wide = await MatchSimulation(plan, rules_of, SearchRules(1000, 0)).run()
    assert narrow["rating_gap_p95"] < wide["rating_gap_p95"]
    assert narrow["wait_s_p95"] > wide["wait_s_p95"]
