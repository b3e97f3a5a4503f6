"""A misspelt attribute of a ruleset is named, with the one that was meant."""

from typing import Any

import pytest

from server.gamekit.checking import ruleset_problem
from server.rulesets import find_rulesets
from server.rulesets.arena import Arena
from server.rulesets.four_in_a_row import FourInARow


def said(base: type, **attributes: Any) -> str | None:
    """Say what is wrong with rules that have these attributes as well."""
    rules = type("Ours", (base,), attributes)()
    return ruleset_problem(rules, folder=rules.name)


@pytest.mark.parametrize(
    ("base", "name", "meant"),
    [
        (Arena, "tick_hertz", "tick_hz"),
        (Arena, "patch_rate", "patch_hz"),
        (FourInARow, "on_timout", "timeout_move"),
        (FourInARow, "time_out_move", "timeout_move"),
        (FourInARow, "seat", "seats"),
        (FourInARow, "team_for", "team_of"),
        (FourInARow, "achievments", "achievements"),
    ],
)
def test_misspelt_name_is_refused_with_the_nearest(base: type, name: str, meant: str) -> None:
    problem = said(base, **{name: 20})
    assert problem is not None
    assert problem.startswith(f"{name} is no attribute of a ruleset; did you mean {meant}?")


def test_name_that_is_like_no_other_is_refused_with_all_there_are() -> None:
    problem = said(FourInARow, min_player=2)
    assert problem is not None
    assert "min_player is no attribute of a ruleset; " in problem
    assert "seats" in problem


def test_attribute_of_an_instance_is_found_too() -> None:
    rules = FourInARow()
    rules.rating = True  # type: ignore[attr-defined]  # the mistake
    problem = ruleset_problem(rules, folder="four_in_a_row")
    assert problem is not None
    assert "did you mean rated?" in problem


def test_what_only_real_time_games_have_is_refused_elsewhere() -> None:
    assert "derive from RealtimeRuleset" in (said(FourInARow, tick_hz=20) or "")
    assert said(Arena, tick_hz=30, patch_hz=10) is None


def test_names_of_ones_own_and_shipped_rulesets_pass() -> None:
    own = {"_helper": lambda self: None, "WIDTH": 7, "Inner": type("Inner", (), {})}
    assert said(FourInARow, **own) is None
    for name, rules in find_rulesets().items():
        for version in (rules, *rules.earlier):
            assert ruleset_problem(version, folder=name) is None
