"""Players who are absent at the end are ranked behind those who stayed, and earn nothing."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from itertools import combinations

import pytest

from server.domains.play.games.results import build_completion, build_game_summary
from server.gamekit.conformance.playout import Playout
from server.gamekit.contract import Outcome, Standing
from server.gamekit.table import (
    SeatedPlayer,
    SeatTable,
    game_created_event,
    presence_event,
    rank_absent_last,
)
from server.rulesets import find_rulesets
from tests.unit.audit.forgery import chained, findings

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
EL_DORADO = find_rulesets()["el_dorado"]


def table_of(seats: int, gone: Collection[int], *, rule: bool | None = True) -> SeatTable:
    """A table that some have left."""
    players = [SeatedPlayer(f"player-{seat}") for seat in range(seats)]  # type: ignore[arg-type]
    table = SeatTable(players)
    table.evolve(0, game_created_event("game", 1, players, {}, "seed", leavers_rank_last=rule))
    for index, seat in enumerate(gone, start=1):
        table.evolve(index, presence_event("player_left", table, seat))
    return table


def result(
    scores: Sequence[int], winners: Collection[int], table: SeatTable
) -> list[tuple[int, ...]]:
    """Give the winners and who forfeited."""
    standings = [Standing(n, score, n in winners) for n, score in enumerate(scores)]
    found = rank_absent_last(table, Outcome(tuple(standings))).standings
    assert [standing.score for standing in found] == list(scores)
    return [
        tuple(standing.seat for standing in found if standing.is_winner),
        tuple(standing.seat for standing in found if standing.forfeited),
    ]


@pytest.mark.parametrize(
    ("gone", "winners", "expected"),
    [
        ([], [2], (2,)),
        ([1], [2], (2,)),  # somebody else left
        ([2], [2], (1,)),  # the winner left: the best of the others
        ([2], [1, 2], (1,)),  # one of two winners left
        ([1, 2], [2], (0, 3)),  # and here two others share it
        ([0, 1, 2, 3], [2], ()),
        ([2], [], ()),  # a draw stays one
    ],
)
def test_winner_is_the_best_of_those_who_stayed(
    gone: list[int], winners: list[int], expected: tuple[int, ...]
) -> None:
    assert result([3, 8, 9, 3], winners, table_of(4, gone)) == [expected, tuple(gone)]


def test_who_came_back_counts_as_present() -> None:
    table = table_of(2, [1])
    table.evolve(2, presence_event("player_joined", table, 1))
    assert result([1, 5], [1], table) == [(1,), ()]


def test_who_is_only_disconnected_counts_as_present() -> None:
    table = table_of(2, [])
    table.evolve(1, presence_event("player_disconnected", table, 1))
    assert result([1, 5], [1], table) == [(1,), ()]


@pytest.mark.parametrize("rule", [None, False])
def test_games_without_the_rule_end_as_their_ruleset_says(rule: bool | None) -> None:
    assert result([1, 5], [1], table_of(2, [1], rule=rule)) == [(1,), ()]


def leaver_with_most_points(version: int = 2, *, rule: bool | None = True) -> Playout:
    """A game of El Dorado that its leader leaves in the last round."""
    ruleset = EL_DORADO.of_version(version)
    assert ruleset is not None
    for seed in range(50):
        config = ruleset.config.model_validate({"rounds": 3})
        playout = Playout(ruleset, 3, str(seed), config=config, bots=("random",))
        playout.rule = rule
        playout.start()
        while playout.fold.state.round < 3:
            playout.act(playout.to_act() or 0, playout.bot_move(playout.to_act() or 0))
        totals = playout.fold.state.totals
        leader = totals.index(max(totals))
        playout.presence("player_left", leader)
        playout.play()
        if playout.fold.state.totals[leader] == max(playout.fold.state.totals):
            return playout
    raise AssertionError("no leader stayed one")


def test_leader_who_leaves_el_dorado_does_not_win() -> None:
    playout = leaver_with_most_points()
    outcome = playout.fold.outcome()
    assert outcome is not None
    best = max(outcome.standings, key=lambda standing: standing.score)
    assert (best.forfeited, best.is_winner) == (True, False)
    completion = build_completion(playout.fold, outcome, AT)
    players = completion.summary.players
    assert players[best.seat]["place"] == 3
    assert sorted(player["place"] for player in players) in ([1, 2, 3], [1, 1, 3])
    winners = [p["player_id"] for p in players if p["is_winner"]]
    assert playout.log[-1].payload["winners"] == winners
    assert best.score == playout.log[-1].payload["final_scores"][players[best.seat]["player_id"]]
    assert completion.winner_id == (winners[0] if len(winners) == 1 else None)
    mine = completion.results[best.seat]
    assert (mine.counted_score, mine.counted_tricks) == (None, 0)
    assert findings(chained(playout.log))["rules"].holds


def test_log_of_version_1_verifies_as_it_was_played() -> None:
    playout = leaver_with_most_points(version=1, rule=None)
    assert "leavers_rank_last" not in playout.log[0].payload
    outcome = playout.fold.outcome()
    assert outcome is not None
    best = max(outcome.standings, key=lambda standing: standing.score)
    assert (best.forfeited, best.is_winner) == (False, True)
    assert "place" not in build_game_summary(playout.fold.table, outcome).players[0]
    assert findings(chained(playout.log))["rules"].holds


def test_log_that_claims_another_rule_than_its_ruleset_has_is_found() -> None:
    playout = leaver_with_most_points(version=2, rule=False)
    found = findings(chained(playout.log))["rules"]
    assert not found.holds
    assert found.sentence == "event 0 is not what the rules give: leavers_rank_last differs"


def test_every_version_of_a_ruleset_is_found_by_its_number() -> None:
    for ruleset in find_rulesets().values():
        versions = [ruleset, *ruleset.earlier]
        assert [ruleset.of_version(rules.version) for rules in versions] == versions
        assert ruleset.version == max(rules.version for rules in versions)
        assert ruleset.of_version(ruleset.version + 1) is None
        for one, other in combinations(versions, 2):
            assert (one.name, one.version) != (other.name, other.version)
            assert one.name == other.name
