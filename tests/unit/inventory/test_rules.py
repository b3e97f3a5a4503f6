"""What a transaction moves, what it needs, and what is plausible."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.inventory.store import PlayTime, StoredAsset
from protocol.inventory import (
    AssetNotFound,
    AssetRetired,
    Components,
    GainLimits,
    HoldingFull,
    NotEnough,
    ServerOwned,
)
from protocol.limits import INT_MAX
from server.domains.progression.inventory import rules
from server.domains.progression.inventory.rules import StackQuantity, TransactionPlan

IRON, GOLD = StackQuantity("item", "iron", 3), StackQuantity("currency", "gold", 5)
NOW = PlayTime(0, 0)


def asset(stack: StackQuantity, **fields: Any) -> StoredAsset:
    known: dict[str, Any] = {
        "kind": stack.kind,
        "id": stack.id,
        "is_server_owned": False,
        "is_retired": False,
        "scope": "slot",
        "use_bundle": None,
        "holding_max": 100,
        "limits": {},
        "held": 0,
        "gained": 0,
        "last_hour": 0,
        "last_day": 0,
    }
    return StoredAsset(**{**known, **fields})


def assets(*known: StoredAsset) -> dict[Any, StoredAsset]:
    return {(each.kind, each.id): each for each in known}


@pytest.mark.parametrize(
    ("plan", "fields", "error"),
    [
        (TransactionPlan("spend", "", takes=[GOLD]), {}, AssetNotFound),
        (TransactionPlan("collect", "", gives=[GOLD]), {}, AssetNotFound),
        (TransactionPlan("collect", "", gives=[IRON]), {"is_retired": True}, AssetRetired),
        (TransactionPlan("collect", "", gives=[IRON]), {"is_server_owned": True}, ServerOwned),
        (
            TransactionPlan("give", "", gives=[IRON]),
            {"is_retired": True, "is_server_owned": True},
            None,
        ),
        (TransactionPlan("grant", "", gives=[IRON]), {"is_server_owned": True}, None),
        (
            TransactionPlan("spend", "", takes=[IRON]),
            {"is_retired": True, "is_server_owned": True},
            None,
        ),
    ],
)
def test_what_is_unknown_retired_or_the_servers_is_not_given(
    plan: TransactionPlan, fields: dict[str, Any], error: type[Exception] | None
) -> None:
    known = assets(asset(IRON, **fields))
    if error is None:
        rules.require_known(plan, known)
    else:
        with pytest.raises(error):
            rules.require_known(plan, known)


def test_what_is_over_a_lowered_limit_may_shrink_and_not_grow() -> None:
    known = assets(asset(IRON, holding_max=10, held=50))
    stacks = {("iron", ""): 50}
    rules.require_room(TransactionPlan("trade", "", takes=[IRON], gives=[IRON]), known, stacks)
    with pytest.raises(HoldingFull):
        rules.require_room(TransactionPlan("give", "", gives=[IRON]), known, {})
    with pytest.raises(HoldingFull, match="no more of it can be counted"):
        rules.require_room(
            TransactionPlan("give", "", gives=[IRON]), assets(asset(IRON, gained=INT_MAX)), {}
        )


def test_items_are_taken_of_their_own_stack() -> None:
    known = assets(asset(IRON, held=9))
    stacks = {("iron", ""): 2, ("iron", "ab"): 7}
    rules.require_room(
        TransactionPlan("use", "", takes=[IRON._replace(stack_key="ab")]), known, stacks
    )
    with pytest.raises(NotEnough, match="You have 2 iron and need 3"):
        rules.require_room(TransactionPlan("use", "", takes=[IRON]), known, stacks)


@given(
    takes=st.dictionaries(st.sampled_from("abc"), st.integers(1, 9)),
    gives=st.dictionaries(st.sampled_from("abc"), st.integers(1, 9)),
    held=st.dictionaries(st.sampled_from("abc"), st.integers(0, 9)),
    times=st.integers(1, 3),
)
def test_plan_that_passes_leaves_nothing_below_zero_or_above_its_limit(
    takes: dict[str, int], gives: dict[str, int], held: dict[str, int], times: int
) -> None:
    plan = TransactionPlan(
        "craft",
        "",
        takes=rules.list_bundle_stacks(Components(items=takes), times=times),
        gives=rules.list_bundle_stacks(Components(items=gives), times=times),
    )
    known = assets(
        *(
            asset(StackQuantity("item", each, 1), held=held.get(each, 0), holding_max=12)
            for each in "abc"
        )
    )
    stacks = {(each, ""): quantity for each, quantity in held.items()}
    try:
        rules.require_room(plan, known, stacks)
    except (NotEnough, HoldingFull):
        return
    left = {each: held.get(each, 0) for each in "abc"}
    for move in rules.list_holding_changes(plan, known, "slot"):
        left[move.id] += move.amount
        assert left[move.id] >= 0  # also in between
    assert max(left.values()) <= 12


def test_gains_beyond_their_limits_are_suspicious_and_others_are_not() -> None:
    limits = {"per_transaction": 2, "per_hour": 10, "per_day": 20, "per_play_hour": 4}
    GainLimits(**limits)
    known = assets(asset(IRON, limits=limits, last_hour=7, last_day=18, gained=3))
    plan = TransactionPlan("collect", "", gives=[IRON])

    def found(play_time: PlayTime, mode: Any = "shadow", **fields: Any) -> dict[str, bool]:
        plan_ = plan._replace(**fields)
        suspicions = rules.find_implausible_gains(plan_, known, play_time=play_time, mode=mode)
        return {each.rule: each.is_enforced for each in suspicions}

    assert found(NOW) == {"per_transaction": False, "per_day": False, "per_play_hour": False}
    assert found(PlayTime(1800, 0)) == {"per_transaction": False, "per_day": False}
    assert found(PlayTime(0, 1800), "enforce")["per_play_hour"]
    assert found(NOW, "off") == found(NOW, kind="give") == {}


def test_currency_of_the_account_is_measured_by_all_that_was_played() -> None:
    limits = {"per_play_hour": 4, "mode": "enforce"}
    known = assets(asset(GOLD, scope="account", limits=limits))
    plan = TransactionPlan("craft", "", gives=[GOLD])
    for play_time, rule in ((PlayTime(7200, 0), ["per_play_hour"]), (PlayTime(0, 7200), [])):
        found = rules.find_implausible_gains(plan, known, play_time=play_time, mode="off")
        assert [each.rule for each in found] == rule
    assert not rules.needs_slot(plan, known)
    assert [move.slot_id for move in rules.list_holding_changes(plan, known, "slot")] == [None]
