"""Settlement against a second implementation, and its promises."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.epoch_profile import SettlementRules, Weights
from server.domains.compete.epochs.settlement import (
    CLAIMED,
    OVERWRITTEN,
    VOTE_CAST,
    Contribution,
    EpochEvent,
    apportion,
    settle_day,
)
from tests.unit.epochs.formula import by_the_formula, divided

START = datetime(2026, 2, 12, tzinfo=UTC)
FREEZE_S = 3_600
FROZEN_AT = START + timedelta(seconds=FREEZE_S)
POOL = 10**18 + 7

BOTS = [f"bot-{letter}" for letter in "abcde"]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def day(*claims: tuple[float, str, int], votes: tuple[tuple[str, str, str], ...] = ()) -> Any:
    """Make a day's events of (second, bot, slot) and of (voter, bot, score)."""
    holders: dict[int, str] = {}
    events = []
    for second, bot, slot in sorted(claims, key=lambda claim: claim[0]):
        kind = OVERWRITTEN if slot in holders else CLAIMED
        holders[slot] = bot
        events.append(EpochEvent(len(events) + 1, kind, at(second), bot, None, slot, {}))
    for voter, bot, score in votes:
        vote: dict[str, object] = {
            "target_type": "bot",
            "target_id": bot,
            "score": score,
            "weight": "1",
        }
        events.append(
            EpochEvent(len(events) + 1, VOTE_CAST, at(FREEZE_S - 1), None, voter, None, vote)
        )
    return events


def settled(events: Any, rules: SettlementRules, pool: int = POOL) -> dict[str, Contribution]:
    return {
        c.bot_id: c for c in settle_day(events, frozen_at=FROZEN_AT, rules=rules, pool_wei=pool)
    }


ALL = SettlementRules(
    weights=Weights(
        time=Decimal(1), claim=Decimal(10), defense=Decimal("0.5"), vote=Decimal("100.25")
    ),
    minimum_hold_s=30,
)


CLAIMS = st.lists(
    st.tuples(st.integers(0, FREEZE_S - 1), st.sampled_from(BOTS), st.integers(0, 3)), max_size=40
)
VOTES = st.lists(
    st.tuples(
        st.sampled_from(["0x1", "0x2", "0x3"]),
        st.sampled_from(BOTS),
        st.integers(-50_000, 50_000).map(lambda score: f"{score / 10_000:.4f}"),
    ),
    max_size=12,
).map(tuple)


@given(claims=CLAIMS, votes=VOTES)
@settings(max_examples=200)
def test_two_implementations_agree_to_the_last_wei(
    claims: list[tuple[int, str, int]], votes: tuple[tuple[str, str, str], ...]
) -> None:
    events = day(*claims, votes=votes)
    expected = by_the_formula(events, ALL, frozen_at=FROZEN_AT)
    got = settled(events, ALL)
    assert {bot: Fraction(c.raw_score) for bot, c in got.items()} == expected
    assert {bot: c.amount_wei for bot, c in got.items()} == divided(POOL, expected)
    assert {bot: c.bps for bot, c in got.items()} == divided(10_000, expected)


@given(claims=CLAIMS, votes=VOTES, pool=st.integers(0, 10**30))
@settings(max_examples=200)
def test_shares_sum_to_one_points_to_ten_thousand_and_wei_to_the_pool(
    claims: list[tuple[int, str, int]], votes: tuple[tuple[str, str, str], ...], pool: int
) -> None:
    got = settled(day(*claims, votes=votes), ALL, pool).values()
    is_paid = any(c.raw_score > 0 for c in got)
    assert sum(c.share for c in got) == (1 if is_paid else 0)
    assert sum(c.bps for c in got) == (10_000 if is_paid else 0)
    assert sum(c.amount_wei for c in got) == (pool if is_paid else 0)
    assert all(c.amount_wei == 0 for c in got if c.raw_score <= 0)


@given(claims=CLAIMS, votes=VOTES, seed=st.integers(0, 1_000))
@settings(max_examples=100)
def test_order_of_rows_makes_no_difference(
    claims: list[tuple[int, str, int]], votes: tuple[tuple[str, str, str], ...], seed: int
) -> None:
    events = day(*claims, votes=votes)
    shuffled = events[:]
    Random(seed).shuffle(shuffled)
    assert settled(shuffled, ALL) == settled(events, ALL)


# ------------------------------------------------------------------ what counts


def test_hold_lasts_until_another_bot_or_the_freeze() -> None:
    got = settled(day((0, "a", 0), (100, "b", 0)), SettlementRules())
    assert (got["a"].occupied_seconds, got["b"].occupied_seconds) == (100, FREEZE_S - 100)
    assert (got["a"].defense_seconds, got["b"].defense_seconds) == (0, FREEZE_S - 100)


def test_hold_below_the_minimum_counts_for_nothing() -> None:
    got = settled(day((0, "a", 0), (29, "b", 0)), ALL)
    assert (got["a"].occupied_seconds, got["a"].successful_claims) == (0, 0)
    assert got["a"].amount_wei == 0


def test_rapid_claims_on_ones_own_slot_count_less_and_less() -> None:
    rules = SettlementRules(rapid_s=60, rapid_factor=Decimal("0.5"))
    got = settled(day((0, "a", 0), (10, "a", 0), (20, "a", 0), (500, "a", 0)), rules)
    assert got["a"].claim_credit == Decimal("2.75")
    assert got["a"].successful_claims == 4


def test_last_vote_of_a_voter_counts() -> None:
    got = settled(day((0, "a", 0), votes=(("0x1", "a", "1"), ("0x1", "a", "5"))), ALL)
    assert got["a"].vote_quality == 5


def test_day_without_events_pays_nobody() -> None:
    assert settle_day([], frozen_at=FROZEN_AT, rules=ALL, pool_wei=POOL) == []


def test_only_bot_gets_everything() -> None:
    got = settled(day((0, "a", 0)), ALL)
    assert (got["a"].share, got["a"].bps, got["a"].amount_wei) == (1, 10_000, POOL)


def test_scores_that_are_all_negative_leave_the_pool_whole() -> None:
    rules = SettlementRules(weights=Weights(time=Decimal(0), vote=Decimal(1)))
    got = settled(day((0, "a", 0), votes=(("0x1", "a", "-3"),)), rules)
    assert got["a"].raw_score == -3
    assert (got["a"].share, got["a"].bps, got["a"].amount_wei) == (0, 0, 0)


@pytest.mark.parametrize("pool", [0, 1])
def test_smallest_pools_are_paid_out_exactly(pool: int) -> None:
    got = settled(day((0, "a", 0), (0, "b", 1), (0, "c", 2)), ALL, pool)
    assert [got[bot].amount_wei for bot in "abc"] == [pool, 0, 0]
    assert [got[bot].bps for bot in "abc"] == [3_334, 3_333, 3_333]


def test_remainders_that_are_equal_go_by_id() -> None:
    assert apportion(2, {"b": 1, "c": 1, "a": 1}) == {"a": 1, "b": 1, "c": 0}


def test_no_matter_how_many_digits_the_process_counts_with() -> None:
    events = day(*((7 * number, BOTS[0], 0) for number in range(300)), (2500, BOTS[1], 1))
    rules = SettlementRules(
        weights=Weights(time=Decimal(1), claim=Decimal(60)), rapid_factor=Decimal("0.9731")
    )
    exact = settle_day(events, frozen_at=FROZEN_AT, rules=rules, pool_wei=POOL)
    with localcontext() as few:
        few.prec = 5
        assert settle_day(events, frozen_at=FROZEN_AT, rules=rules, pool_wei=POOL) == exact
