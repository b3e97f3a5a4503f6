"""How games make entries of boards: in any order, with the same result."""

from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import permutations
from typing import Any

import pytest

from protocol.ids import GameId
from server.domains.compete.leaderboards.rules import (
    EntryValue,
    add_game,
    period_asked,
    periods_of,
    rank_value,
    read_values,
)
from server.gamekit.checking import ruleset_problem
from server.gamekit.contract import Statistic
from server.rulesets import find_rulesets

AT = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
GAMES = [
    EntryValue(value, 1, AT + timedelta(minutes=minute), GameId(name))
    for value, minute, name in [(4, 1, "a"), (9, 2, "b"), (9, 0, "c"), (1, 3, "d"), (1, 3, "e")]
]


@pytest.mark.parametrize(
    ("combine", "value", "game"),
    [("sum", 24, "e"), ("max", 9, "c"), ("min", 1, "d"), ("last", 1, "e")],
)
def test_entry_is_the_same_in_whatever_order_games_come(
    combine: Any, value: int, game: str
) -> None:
    statistic = Statistic("x", combine)
    entries = {
        reduce(lambda so_far, each: add_game(statistic, so_far, each), order[1:], order[0])
        for order in permutations(GAMES)
    }
    (entry,) = entries
    assert (entry.value, entry.games, entry.game_id) == (value, 5, game)


def test_game_counts_for_its_day_week_and_seasons_in_utc() -> None:
    board = Statistic("x", board=True)
    keys = [period.key for period in periods_of(board, AT, ["winter"])]
    assert keys == ["all", "day:2026-12-31", "week:2026-W53", "season:winter"]
    late = [period.key for period in periods_of(board, AT + timedelta(hours=1), [])]
    assert late == ["all", "day:2027-01-01", "week:2026-W53"]
    assert [period.key for period in periods_of(Statistic("x"), AT, ["winter"])] == ["all"]
    assert period_asked("week", AT.date(), None).ends_at == datetime(2027, 1, 4, tzinfo=UTC)


def test_lowest_leads_where_the_lowest_is_kept() -> None:
    assert rank_value(Statistic("x", "min"), 3) > rank_value(Statistic("x", "min"), 4)
    assert rank_value(Statistic("x", "max"), 3) < rank_value(Statistic("x", "max"), 4)


def test_values_come_from_columns_and_declared_statistics_alike() -> None:
    declared = [Statistic(name) for name in ("score", "wins", "tricks_won", "highest_bid", "own")]
    player = {"score": 7, "is_winner": True, "tricks_won": 3, "highest_bid": None}
    assert read_values(declared, player) == {"score": 7, "wins": 1, "tricks_won": 3}
    assert read_values(declared, {**player, "statistics": {"own": 5, "other": 1}})["own"] == 5


@pytest.mark.parametrize(
    "statistics",
    [
        "tricks",
        ("Tricks",),
        (Statistic("x", "avg"),),  # type: ignore[arg-type]  # what is checked
        (Statistic("x", board=1),),  # type: ignore[arg-type]
        (3,),
        ("x", Statistic("x")),
        tuple(f"x{n}" for n in range(33)),
    ],
)
def test_statistics_that_mean_nothing_are_refused(
    statistics: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = find_rulesets()["reversi"]
    assert ruleset_problem(rules, folder="reversi") is None
    monkeypatch.setattr(type(rules), "statistics", statistics)
    said = ruleset_problem(rules, folder="reversi")
    assert said is not None
    assert said.startswith("statistics is ")
