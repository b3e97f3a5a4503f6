"""When a day is in which phase. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Final

from protocol.epoch import Cadence, Phase

ORDER: Final[tuple[Phase, ...]] = ("prep", "live", "freeze", "snapshot", "settle", "archive")
_NEXT: Final = dict(pairwise(ORDER))


@dataclass(frozen=True, slots=True)
class DayTimes:
    """When a day is announced, begins, takes nothing more, and ends; aware, UTC."""

    prep_at: datetime
    starts_at: datetime
    freeze_at: datetime
    ends_at: datetime


def times_of(day: date, cadence: Cadence) -> DayTimes:
    """Say when a day of the profile's time zone runs.

    A day never reaches into the next one, also where the clocks go forward and it has only 23
    hours.
    """
    starts_at = _midnight(day, cadence)
    full = starts_at + timedelta(hours=cadence.duration_hours)
    ends_at = min(full, _midnight(day + timedelta(days=1), cadence))
    return DayTimes(
        prep_at=starts_at - timedelta(minutes=cadence.prep_minutes),
        starts_at=starts_at,
        freeze_at=ends_at - timedelta(minutes=cadence.freeze_minutes),
        ends_at=ends_at,
    )


def day_of(now: datetime, cadence: Cadence) -> date:
    """Say which day it is where the profile is, at a moment."""
    return now.astimezone(cadence.zone).date()


def next_phase(phase: Phase) -> Phase | None:
    """Say what comes after a phase; None after the last."""
    return _NEXT.get(phase)


def due(phase: Phase, times: DayTimes, now: datetime) -> Phase | None:
    """Say which phase is due next, if its time has come; one step at a time, none left out."""
    following = next_phase(phase)
    if following is None:
        return None
    begins_at = {"live": times.starts_at, "freeze": times.freeze_at}.get(following, times.ends_at)
    return following if now >= begins_at else None


def _midnight(day: date, cadence: Cadence) -> datetime:
    return datetime.combine(day, time(), cadence.zone).astimezone(UTC)
