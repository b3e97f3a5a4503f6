"""When a day is in which phase. Pure.

The days of a profile tile the time line: each one begins at local midnight, and one of 24 hours
ends at the next local midnight, so it has 23 or 25 real hours where the clocks change.

A profile with another time zone begins its days at another moment. The next day is therefore
planned from the day before it (`next_day`), and the one in between is shorter or longer:

    UTC        |------- 12 -------|
    Berlin                     (23:00 UTC)
                                  |------ 13 -----|------- 14 ------    23 hours
    New York                               (05:00 UTC)
                                  |----------- 13 ----------|---- 14    29 hours

A date is left out only if no time would be left for it, as when a zone's clocks skip it.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from persistence.epochs.store import NextDay, PreviousDay
from protocol.epoch_profile import Cadence, Phase

ORDER: Final[tuple[Phase, ...]] = ("prep", "live", "freeze", "snapshot", "settle", "archive")
_NEXT: Final = dict(pairwise(ORDER))

WHOLE_DAY_H: Final = 24  # as a duration: the local day, however many hours it has
PLAY_MIN: Final = timedelta(hours=1)  # that a shortened day has before its freeze
DATES_SKIPPED_MAX: Final = 4  # zones are at most 26 hours apart
_A_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DayTimes:
    """When a day is announced, begins, takes nothing more, and ends; aware, UTC."""

    prep_at: datetime
    starts_at: datetime
    freeze_at: datetime
    ends_at: datetime


class PlannedDay(NamedTuple):
    """A day to be made; `is_usual` is False where it was fitted between its neighbours."""

    day: date
    times: DayTimes
    is_usual: bool


def day_times(day: date, cadence: Cadence) -> DayTimes:
    """Say when a day of the profile's time zone usually runs."""
    return _from(_midnight(day, cadence), day, cadence)


def day_at(now: datetime, cadence: Cadence) -> date:
    """Say which day it is where the profile is, at a moment: the day whose times hold it.

    Where clocks are put back across midnight, the local date goes back as well; the day does not.
    """
    day = now.astimezone(cadence.zone).date()
    while now < _midnight(day, cadence):
        day -= _A_DAY
    while now >= _midnight(day + _A_DAY, cadence):
        day += _A_DAY
    return day


def next_day(
    now: datetime, cadence: Cadence, *, before: PreviousDay | None, after: NextDay | None
) -> PlannedDay | None:
    """Plan the day that comes next, or that should be on already; None if it is there.

    `before` is the last day that has begun, and `after` the first that has not.
    """
    planned = _following(now, cadence, before)
    if planned is None or after is None or planned.times.ends_at <= after.starts_at:
        return planned
    if planned.day >= after.day or planned.times.starts_at >= after.starts_at:
        return None
    times = replace(
        planned.times, ends_at=after.starts_at, freeze_at=_freeze(after.starts_at, cadence)
    )
    return PlannedDay(planned.day, times, is_usual=False) if _is_playable(times, cadence) else None


def next_phase(phase: Phase) -> Phase | None:
    """Say what comes after a phase; None after the last."""
    return _NEXT.get(phase)


def due_phase(phase: Phase, times: DayTimes, now: datetime) -> Phase | None:
    """Say which phase is due next, if its time has come; one step at a time, none left out."""
    following = next_phase(phase)
    if following is None:
        return None
    begins_at = {"live": times.starts_at, "freeze": times.freeze_at}.get(following, times.ends_at)
    return following if now >= begins_at else None


def _following(now: datetime, cadence: Cadence, before: PreviousDay | None) -> PlannedDay | None:
    """Plan the day right after `before`; after an outage longer than that, the present one."""
    if before is not None:
        planned = _right_after(before, cadence)
        if planned is not None and planned.times.ends_at > now:
            return planned
    today = day_at(now, cadence)
    for ahead in range(DATES_SKIPPED_MAX):
        day = today + ahead * _A_DAY
        if before is not None and day <= before.day:
            continue
        usual = day_times(day, cadence)
        starts_at = usual.starts_at if before is None else max(usual.starts_at, before.ends_at)
        times = _from(starts_at, day, cadence)
        if _is_playable(times, cadence):
            return PlannedDay(day, times, is_usual=times == usual)
    return None


def _right_after(before: PreviousDay, cadence: Cadence) -> PlannedDay | None:
    """Plan the first day after another that has time enough; whole days leave no pause."""
    leaves_no_pause = before.is_whole and cadence.duration_hours == WHOLE_DAY_H
    for ahead in range(1, DATES_SKIPPED_MAX + 1):
        day = before.day + ahead * _A_DAY
        usual = day_times(day, cadence)
        starts_at = before.ends_at if leaves_no_pause else max(usual.starts_at, before.ends_at)
        times = _from(starts_at, day, cadence)
        if _is_playable(times, cadence):
            return PlannedDay(day, times, is_usual=times == usual)
    return None


def _from(starts_at: datetime, day: date, cadence: Cadence) -> DayTimes:
    """Give the times of a day that begins at some moment: it never reaches into the next one."""
    ends_at = _midnight(day + _A_DAY, cadence)
    if cadence.duration_hours < WHOLE_DAY_H:
        ends_at = min(ends_at, starts_at + timedelta(hours=cadence.duration_hours))
    return DayTimes(
        prep_at=starts_at - timedelta(minutes=cadence.prep_minutes),
        starts_at=starts_at,
        freeze_at=_freeze(ends_at, cadence),
        ends_at=ends_at,
    )


def _is_playable(times: DayTimes, cadence: Cadence) -> bool:
    """Say whether claims are taken for an hour, or for as long as the profile ever lets them."""
    usual = timedelta(hours=cadence.duration_hours, minutes=-cadence.freeze_minutes)
    return times.freeze_at - times.starts_at >= min(PLAY_MIN, usual)


def _freeze(ends_at: datetime, cadence: Cadence) -> datetime:
    return ends_at - timedelta(minutes=cadence.freeze_minutes)


def _midnight(day: date, cadence: Cadence) -> datetime:
    """Give the moment at which a date begins; one that the clocks skip begins with the next."""
    return datetime.combine(day, time(), cadence.zone).astimezone(UTC)
