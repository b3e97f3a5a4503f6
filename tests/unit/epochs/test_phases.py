"""A day's times and phases."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import available_timezones

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persistence.epochs.store import NextDay, PreviousDay
from protocol.epoch_profile import Cadence
from server.domains.compete.epochs.phases import (
    ORDER,
    PlannedDay,
    day_at,
    day_times,
    due_phase,
    next_day,
)

UTC_DAY = Cadence()
ZONES = sorted(available_timezones() - {"localtime"})
HOUR = timedelta(hours=1)


def moments(first_year: int, last_year: int) -> st.SearchStrategy[datetime]:
    first = datetime(first_year, 1, 2, tzinfo=UTC)
    hours = (last_year - first_year) * 365 * 24
    return st.integers(0, hours * 3600).map(lambda seconds: first + timedelta(seconds=seconds))


class Days:
    """Days as a leader makes them, one look an hour; each has to follow the one before it."""

    def __init__(self) -> None:
        self.made: list[PlannedDay] = []

    def look(self, now: datetime, cadence: Cadence) -> None:
        for _ in range(2):
            begun = [one for one in self.made if one.times.starts_at <= now]
            to_come = [one for one in self.made if one.times.starts_at > now]
            before = (begun and PreviousDay(begun[-1].day, begun[-1].times.ends_at, True)) or None
            after = (to_come and NextDay(to_come[0].day, to_come[0].times.starts_at)) or None
            planned = next_day(now, cadence, before=before, after=after)
            if planned is None or now < planned.times.prep_at:
                return
            self.made.append(planned)

    def assert_tiled(self) -> None:
        for one, following in pairwise(self.made):
            assert one.times.ends_at == following.times.starts_at
            assert one.day < following.day
        for one in self.made:
            assert one.times.starts_at < one.times.freeze_at <= one.times.ends_at
            assert one.times.ends_at - one.times.starts_at <= 52 * HOUR


def test_day_is_announced_begins_freezes_and_ends() -> None:
    times = day_times(date(2026, 2, 12), UTC_DAY)
    assert times.prep_at == datetime(2026, 2, 11, 23, tzinfo=UTC)
    assert times.starts_at == datetime(2026, 2, 12, tzinfo=UTC)
    assert times.freeze_at == datetime(2026, 2, 12, 23, 50, tzinfo=UTC)
    assert times.ends_at == datetime(2026, 2, 13, tzinfo=UTC)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25)])
def test_day_of_a_zone_lasts_until_the_next_one_begins(day: date, hours: int) -> None:
    berlin = Cadence(timezone="Europe/Berlin")
    times, after = day_times(day, berlin), day_times(day + timedelta(days=1), berlin)
    assert times.ends_at - times.starts_at == timedelta(hours=hours)
    assert times.ends_at == after.starts_at


def test_day_is_the_one_of_the_profiles_zone() -> None:
    moment = datetime(2026, 2, 12, 23, 30, tzinfo=UTC)
    assert day_at(moment, Cadence(timezone="Asia/Tokyo")) == date(2026, 2, 13)


def test_after_an_outage_every_phase_comes_in_its_order() -> None:
    times = day_times(date(2026, 2, 12), UTC_DAY)
    phase, seen = ORDER[0], [ORDER[0]]
    while (following := due_phase(phase, times, times.ends_at + timedelta(days=3))) is not None:
        phase = following
        seen.append(phase)
    assert tuple(seen) == ORDER


def test_no_phase_comes_before_its_time() -> None:
    times = day_times(date(2026, 2, 12), UTC_DAY)
    moment = timedelta(microseconds=1)
    assert due_phase("prep", times, times.starts_at - moment) is None
    assert due_phase("live", times, times.freeze_at - moment) is None
    assert due_phase("freeze", times, times.ends_at - moment) is None
    assert due_phase("archive", times, times.ends_at + timedelta(days=9)) is None


@pytest.mark.parametrize("year", [2011, 2026, 2031])
def test_days_of_every_zone_tile_the_year(year: int) -> None:
    for zone in ZONES:
        cadence = Cadence(timezone=zone)
        before = day_times(date(year, 1, 1), cadence)
        for number in range(1, 366):
            times = day_times(date(year, 1, 1) + timedelta(days=number), cadence)
            assert times.starts_at == before.ends_at, (zone, number)
            assert times.starts_at <= times.ends_at, (zone, number)
            before = times


@given(
    st.sampled_from(ZONES),
    moments(1970, 2100),
)
def test_every_moment_is_in_the_day_it_is_said_to_be_of(zone: str, now: datetime) -> None:
    cadence = Cadence(timezone=zone)
    times = day_times(day_at(now, cadence), cadence)
    assert times.starts_at <= now < times.ends_at


def test_date_that_the_clocks_skip_has_no_day_and_leaves_no_gap() -> None:
    days, apia = Days(), Cadence(timezone="Pacific/Apia")
    for hour in range(24 * 6):
        days.look(datetime(2011, 12, 28, 12, tzinfo=UTC) + hour * HOUR, apia)
    days.assert_tiled()
    assert date(2011, 12, 30) not in [one.day for one in days.made]
    assert {one.times.ends_at - one.times.starts_at for one in days.made} == {24 * HOUR}


@given(
    st.lists(
        st.tuples(st.sampled_from(ZONES), st.integers(1, 80), st.sampled_from([0, 60, 1440])),
        min_size=2,
        max_size=4,
    ),
    moments(2024, 2030),
)
@settings(max_examples=150)
def test_days_tile_whatever_zones_the_profile_goes_through(
    changes: list[tuple[str, int, int]], now: datetime
) -> None:
    days = Days()
    for zone, hours, prep_minutes in changes:
        cadence = Cadence(timezone=zone, prep_minutes=prep_minutes)
        for _ in range(hours):
            days.look(now, cadence)
            assert days.made[-1].times.ends_at > now, "a day is on"
            now += HOUR
    days.assert_tiled()


@pytest.mark.parametrize(
    ("zone", "hours"), [("Europe/Berlin", 23), ("America/New_York", 29), ("Pacific/Kiritimati", 10)]
)
def test_day_between_two_zones_is_shorter_or_longer(zone: str, hours: int) -> None:
    before = PreviousDay(date(2026, 2, 12), datetime(2026, 2, 13, tzinfo=UTC), True)
    now = datetime(2026, 2, 12, 20, tzinfo=UTC)
    planned = next_day(now, Cadence(timezone=zone), before=before, after=None)
    assert planned is not None
    assert (planned.day, planned.is_usual) == (date(2026, 2, 13), False)
    assert planned.times.starts_at == before.ends_at
    assert planned.times.ends_at - planned.times.starts_at == hours * HOUR


def test_pauses_that_a_profile_means_stay() -> None:
    cadence = Cadence(timezone="Europe/Berlin", duration_hours=12)
    before = PreviousDay(date(2026, 2, 12), datetime(2026, 2, 12, 12, tzinfo=UTC), False)
    now = datetime(2026, 2, 12, 20, tzinfo=UTC)
    planned = next_day(now, cadence, before=before, after=None)
    assert planned is not None
    assert planned.times == day_times(date(2026, 2, 13), cadence)


def test_after_a_long_outage_the_present_day_is_made_at_its_usual_times() -> None:
    before = PreviousDay(date(2026, 2, 12), datetime(2026, 2, 13, tzinfo=UTC), True)
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    planned = next_day(now, UTC_DAY, before=before, after=None)
    assert planned == PlannedDay(date(2026, 3, 1), day_times(date(2026, 3, 1), UTC_DAY), True)


def test_hole_before_a_day_that_was_rehearsed_is_filled_and_no_more() -> None:
    after = NextDay(date(2026, 2, 13), datetime(2026, 2, 12, 20, tzinfo=UTC))
    now = datetime(2026, 2, 12, 1, tzinfo=UTC)
    planned = next_day(now, UTC_DAY, before=None, after=after)
    assert planned is not None
    assert (planned.day, planned.times.ends_at) == (date(2026, 2, 12), after.starts_at)
    announced = NextDay(date(2026, 2, 12), datetime(2026, 2, 12, 2, tzinfo=UTC))
    assert next_day(now, UTC_DAY, before=None, after=announced) is None
