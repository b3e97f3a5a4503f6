"""A day's times and phases."""

from datetime import UTC, date, datetime, timedelta

import pytest

from protocol.epoch import Cadence
from server.domains.epochs.phases import ORDER, day_of, due, times_of

UTC_DAY = Cadence()


def test_day_is_announced_begins_freezes_and_ends() -> None:
    times = times_of(date(2026, 2, 12), UTC_DAY)
    assert times.prep_at == datetime(2026, 2, 11, 23, tzinfo=UTC)
    assert times.starts_at == datetime(2026, 2, 12, tzinfo=UTC)
    assert times.freeze_at == datetime(2026, 2, 12, 23, 50, tzinfo=UTC)
    assert times.ends_at == datetime(2026, 2, 13, tzinfo=UTC)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 24)])
def test_day_of_a_zone_never_reaches_into_the_next_one(day: date, hours: int) -> None:
    berlin = Cadence(timezone="Europe/Berlin")
    times, after = times_of(day, berlin), times_of(day + timedelta(days=1), berlin)
    assert times.ends_at - times.starts_at == timedelta(hours=hours)
    assert times.ends_at <= after.starts_at


def test_day_is_the_one_of_the_profiles_zone() -> None:
    moment = datetime(2026, 2, 12, 23, 30, tzinfo=UTC)
    assert day_of(moment, Cadence(timezone="Asia/Tokyo")) == date(2026, 2, 13)


def test_after_an_outage_every_phase_comes_in_its_order() -> None:
    times = times_of(date(2026, 2, 12), UTC_DAY)
    phase, seen = ORDER[0], [ORDER[0]]
    while (following := due(phase, times, times.ends_at + timedelta(days=3))) is not None:
        phase = following
        seen.append(phase)
    assert tuple(seen) == ORDER


def test_no_phase_comes_before_its_time() -> None:
    times = times_of(date(2026, 2, 12), UTC_DAY)
    moment = timedelta(microseconds=1)
    assert due("prep", times, times.starts_at - moment) is None
    assert due("live", times, times.freeze_at - moment) is None
    assert due("freeze", times, times.ends_at - moment) is None
    assert due("archive", times, times.ends_at + timedelta(days=9)) is None
