"""Openings by the clock of a zone, on the days on which clocks change."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from server.domains.progression.quests.calendar import (
    BadSchedule,
    OpeningTimes,
    Schedule,
    find_opening,
    find_opening_within_season,
    require_valid_schedule,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def schedule(starts_at: str, recurrence: str | None = None, hours: int = 1) -> Schedule:
    local = datetime.fromisoformat(starts_at)
    return Schedule(local, "Europe/Berlin", hours * 3600, recurrence)


@pytest.mark.parametrize(
    ("local", "utc"),
    [
        ("2026-03-28T02:30", "2026-03-28T01:30"),
        ("2026-03-29T02:30", "2026-03-29T01:30"),  # no clock shows it; it is 03:30 by then
        ("2026-03-30T02:30", "2026-03-30T00:30"),
        ("2026-10-25T02:30", "2026-10-25T00:30"),  # clocks show it twice; the first time
        ("2026-10-26T02:30", "2026-10-26T01:30"),
    ],
)
def test_times_that_clocks_skip_or_repeat_mean_one_moment(local: str, utc: str) -> None:
    assert find_opening(schedule(local), NOW).next_opens_at == at(utc)


@pytest.mark.parametrize(
    ("day", "opens"),
    [
        ("2026-03-28", "2026-03-28T01:30"),
        ("2026-03-29", "2026-03-29T01:30"),
        ("2026-03-30", "2026-03-30T00:30"),
        ("2026-10-24", "2026-10-24T00:30"),
        ("2026-10-25", "2026-10-25T00:30"),
        ("2026-10-26", "2026-10-26T01:30"),
    ],
)
def test_daily_event_stays_at_its_local_time_and_lasts_as_long(day: str, opens: str) -> None:
    daily = schedule("2026-01-01T02:30", "FREQ=DAILY", hours=2)
    opened = find_opening(daily, at(opens))
    assert opened.is_open
    assert (opened.opened_at, opened.closes_at) == (at(opens), at(opens) + timedelta(hours=2))
    assert not find_opening(daily, at(opens) - timedelta(seconds=1)).is_open
    assert not find_opening(daily, at(opens) + timedelta(hours=2)).is_open


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_each_day_of_a_year_has_one_opening_wherever_it_is(zone: str) -> None:
    daily = Schedule(datetime(2026, 1, 1, 2, 30), zone, 60, "FREQ=DAILY")  # noqa: DTZ001
    moment, seen = datetime(2026, 1, 3, tzinfo=UTC), []
    while moment.year == 2026:
        following = find_opening(daily, moment).next_opens_at
        assert following is not None
        seen.append(following.astimezone(ZoneInfo(zone)).date())
        moment = following
    assert all(two - one == timedelta(days=1) for one, two in itertools.pairwise(seen))


def test_rule_ends_and_an_event_that_was_once_does_not_come_again() -> None:
    weekly = schedule("2026-10-02T18:00", "FREQ=WEEKLY;UNTIL=20261010T000000")
    assert find_opening(weekly, at("2026-10-03T00:00")).next_opens_at == at("2026-10-09T16:00")
    assert find_opening(weekly, at("2026-10-09T18:00")) == OpeningTimes(False, None, None, None)
    once = schedule("2026-10-02T18:00")
    assert find_opening(once, at("2026-10-02T16:00")).is_open
    assert find_opening(once, at("2026-10-02T17:00")) == OpeningTimes(False, None, None, None)


def test_event_is_narrowed_to_its_season() -> None:
    season = schedule("2026-06-01T12:00", hours=24)
    daily = schedule("2026-05-01T08:00", "FREQ=DAILY", hours=8)
    before = find_opening_within_season(daily, season, at("2026-05-20T07:00"))
    assert (before.is_open, before.next_opens_at) == (False, at("2026-06-01T10:00"))
    during = find_opening_within_season(daily, season, at("2026-06-01T11:00"))
    assert during == OpeningTimes(
        True, at("2026-06-01T10:00"), at("2026-06-01T14:00"), at("2026-06-02T06:00")
    )
    last = find_opening_within_season(daily, season, at("2026-06-02T07:00"))
    assert last == OpeningTimes(True, at("2026-06-02T06:00"), at("2026-06-02T10:00"), None)
    assert not find_opening_within_season(daily, season, at("2026-06-03T07:00")).is_open


@pytest.mark.parametrize(
    "rule",
    [
        *("", "FREQ", "FREQ=HOURLY", "FREQ=DAILY;COUNT=3", "FREQ=DAILY;FREQ=DAILY"),
        *("FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;INTERVAL=-1", "FREQ=DAILY;BYDAY=MO"),
        *("FREQ=WEEKLY;BYDAY=1MO", "FREQ=MONTHLY;BYMONTHDAY=31", "FREQ=MONTHLY;BYMONTHDAY=0"),
        *(
            "FREQ=MONTHLY;BYDAY=MO;BYMONTHDAY=13",
            "FREQ=MONTHLY;BYSETPOS=1",
            "FREQ=YEARLY;BYMONTH=2",
        ),
        *("FREQ=YEARLY;BYMONTHDAY=1", "FREQ=YEARLY;BYMONTH=13;BYMONTHDAY=1"),
        *("FREQ=DAILY;UNTIL=20269901T000000", "FREQ=DAILY;UNTIL=20250101T000000"),
    ],
)
def test_rule_that_never_comes_true_or_takes_long_is_refused(rule: str) -> None:
    with pytest.raises(BadSchedule) as refused:
        require_valid_schedule(schedule("2026-01-01T02:30", rule), NOW)
    assert refused.value.field == "recurrence"


@pytest.mark.parametrize(
    "rule",
    [
        *("FREQ=DAILY;INTERVAL=99", "FREQ=WEEKLY;BYDAY=MO,FR;INTERVAL=2", "FREQ=MONTHLY"),
        *("FREQ=MONTHLY;BYDAY=-1FR", "FREQ=MONTHLY;BYDAY=MO,TU;BYSETPOS=-1"),
        *("FREQ=YEARLY", "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1"),
    ],
)
def test_rule_that_is_let_through_has_openings_for_years(rule: str) -> None:
    starts = schedule("2024-02-29T02:30", rule)
    require_valid_schedule(starts, NOW)
    assert find_opening(starts, at("2033-01-01T00:00")).next_opens_at is not None
