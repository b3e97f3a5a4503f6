"""The history of owners, against a second way to find it: who has it at each second."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from persistence.blockchain.store import NOBODY, OwnerChange, OwnershipPeriod
from server.domains.compete.blockchain.rules import build_ownership_periods

ADA, BOB = "0x" + "a" * 40, "0x" + "b" * 40
SECONDS = 12


def at(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def change(second: int, owner: str) -> OwnerChange:
    return OwnerChange(at(second), owner)


changes = st.builds(change, st.integers(0, SECONDS), st.sampled_from([ADA, BOB, NOBODY]))
chains = st.lists(changes, max_size=8).map(lambda drawn: sorted(drawn, key=lambda c: c.at))
corrected = st.lists(changes, max_size=4, unique_by=lambda c: c.at)


def owner_at(history: list[OwnershipPeriod], moment: datetime) -> str:
    found = [p.owner for p in history if p.since <= moment and (not p.until or moment < p.until)]
    assert len(found) <= 1, "two at once"
    return found[0] if found else NOBODY


@given(chains, corrected)
def test_history_says_at_every_second_what_was_recorded_last(
    transfers: list[OwnerChange], corrections: list[OwnerChange]
) -> None:
    history = build_ownership_periods(transfers, corrections)
    for moment in map(at, range(SECONDS + 2)):
        expected, since = NOBODY, at(-1)
        for change in transfers:
            if since <= change.at <= moment:
                expected, since = change.owner, change.at
        for change in corrections:
            if since <= change.at <= moment:
                expected, since = change.owner, change.at
        assert owner_at(history, moment) == expected


@given(chains, corrected)
def test_history_is_what_the_tables_take(
    transfers: list[OwnerChange], corrections: list[OwnerChange]
) -> None:
    history = build_ownership_periods(transfers, corrections)
    assert len({period.since for period in history}) == len(history)
    assert [period for period in history if period.until is None] in ([], history[-1:])
    assert all(period.until is None or period.until >= period.since for period in history)
    assert sorted(c.at for c in corrections) == [
        period.since for period in history if period.source == "admin_correction"
    ]


@given(chains, corrected)
def test_transfers_make_no_period_without_length(
    transfers: list[OwnerChange], corrections: list[OwnerChange]
) -> None:
    found = [p for p in build_ownership_periods(transfers, corrections) if p.source == "onchain"]
    assert all(period.owner != NOBODY and period.since != period.until for period in found)


def test_correction_wins_over_a_transfer_of_the_same_second() -> None:
    history = build_ownership_periods([change(1, ADA), change(5, BOB)], [change(5, ADA)])
    assert history == [
        OwnershipPeriod(ADA, "onchain", at(1), at(5)),
        OwnershipPeriod(ADA, "admin_correction", at(5), None),
    ]


def test_transfer_to_who_has_it_by_a_correction_changes_nothing() -> None:
    history = build_ownership_periods([change(1, ADA), change(9, BOB)], [change(5, BOB)])
    assert history == [
        OwnershipPeriod(ADA, "onchain", at(1), at(5)),
        OwnershipPeriod(BOB, "admin_correction", at(5), None),
    ]
