"""Devices that play offline and sync end in one state, and no acknowledged write is lost."""

from collections.abc import Callable
from typing import Any

import pytest

from playhall.errors import Json, RequestRefused
from playhall.saves import SaveRequest
from server.domains.progression.saves import rules
from tests.faults.conftest import Rounds
from tests.faults.devices import Diverged, MemorySaves, simulate
from tests.faults.table import Figures

ENOUGH = 200  # schedules in which a broken rule must show


def simulate_all(server: type[MemorySaves] = MemorySaves) -> None:
    """Run enough schedules; raise `Diverged`."""
    for seed in range(ENOUGH):
        simulate(seed, server())


def test_devices_converge_and_no_acknowledged_write_is_lost(
    rounds: Rounds, figures: Figures
) -> None:
    schedules = rounds(300, 12_000)
    for seed in range(schedules):
        try:
            simulate(seed)
        except Diverged as error:
            pytest.fail(f"seed {seed}: {error}")
    figures.count("schedules of devices that sync", schedules)


# ------------------------------------------------------------------ the simulation would notice

_DECIDED = rules._decided
_MERGE_BASE = rules.merge_base


def _sum_is_newest(rule: Any, base: Any, ours: Any, theirs: Any) -> Any:
    return theirs if rule == "sum" else _DECIDED(rule, base, ours, theirs)


def _sum_without_base(rule: Any, base: Any, ours: Any, theirs: Any) -> Any:
    return ours + theirs if rule == "sum" else _DECIDED(rule, base, ours, theirs)


def _max_is_ours(rule: Any, base: Any, ours: Any, theirs: Any) -> Any:
    return ours if rule == "max" else _DECIDED(rule, base, ours, theirs)


def _union_keeps_removed(rule: Any, base: Any, ours: Any, theirs: Any) -> Any:
    if rule == "union":
        return [*ours, *(each for each in theirs if each not in ours)]
    return _DECIDED(rule, base, ours, theirs)


def _oldest_base(parents: Any, one: int, other: int) -> int:
    return min(rules.list_ancestors(parents, one) & rules.list_ancestors(parents, other))


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("_decided", _sum_is_newest),
        ("_decided", _sum_without_base),
        ("_decided", _max_is_ours),
        ("_decided", _union_keeps_removed),
        ("merge_base", _oldest_base),
        ("json_equal", lambda one, other: False),
        ("merge", lambda base, ours, theirs, _, **__: rules.MergeResult(theirs, [])),
        ("merge", lambda base, ours, theirs, _, **__: rules.MergeResult(ours, [])),
        ("find_merge_base", lambda parents, base, current, _: _MERGE_BASE(parents, base, current)),
    ],
)
def test_broken_rule_makes_the_simulation_fail(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: Callable[..., Any]
) -> None:
    monkeypatch.setattr(rules, name, broken)
    with pytest.raises(Diverged):
        simulate_all()


class _Forgetful(MemorySaves):
    """Carries out every request, also one that it has carried out before."""

    async def put(self, request: SaveRequest) -> Json:
        self._answers.clear()
        return await super().put(request)


class _Careless(MemorySaves):
    """Lets go of branches that are in conflict."""

    async def put(self, request: SaveRequest) -> Json:
        try:
            return await super().put(request)
        except RequestRefused:
            self._open.clear()
            raise


@pytest.mark.parametrize("server", [_Forgetful, _Careless])
def test_careless_server_makes_the_simulation_fail(server: type[MemorySaves]) -> None:
    with pytest.raises(Diverged):
        simulate_all(server)


def test_simulations_have_conflicts_merges_and_repeats() -> None:
    """Otherwise they would show little."""
    reasons: dict[str, int] = {}
    conflicts = 0
    for seed in range(100):
        server = MemorySaves()
        simulate(seed, server)
        conflicts += len(server._resolved)
        for each in server._revisions.values():
            reasons[each.reason] = reasons.get(each.reason, 0) + 1
    assert conflicts > 30
    assert min(reasons["write"], reasons["merge"], reasons["resolve"]) > 50
