"""When timed events and seasons are open. Pure.

An opening is written as a clock in its zone shows it, and so are its repetitions: "every Friday at
18:00 in Berlin" stays at 18:00 when the clocks change. The duration is time that passes. On the day
on which clocks are set forward, a time that no clock shows is counted on from before the change
(02:30 is 03:30); on the day on which they are set back, the first of both is meant. That is what
RFC 5545 says of such times.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dateutil.rrule import rrule, rrulestr

YEARS_MAX: Final = 10  # how far from now an opening is looked for
OPENINGS_MAX: Final = 10_000  # of a rule that are gone through
# What a rule may say, by its frequency. A rule that never comes true would be looked through to the
# year 9999, so only such are let through of which each period, or each leap year, has an opening.
_INTERVAL: Final = r"[1-9]\d?"
_UNTIL: Final = r"\d{8}T\d{6}"
_WEEKDAY: Final = r"(?:MO|TU|WE|TH|FR|SA|SU)"
_WEEKDAYS: Final = rf"{_WEEKDAY}(?:,{_WEEKDAY}){{0,6}}"
_OF_MONTH: Final = rf"(?:[+-]?[1-4])?{_WEEKDAY}(?:,(?:[+-]?[1-4])?{_WEEKDAY}){{0,6}}"
_MONTHDAY: Final = r"-?(?:[1-9]|1\d|2[0-8])"
_MONTHDAYS: Final = rf"{_MONTHDAY}(?:,{_MONTHDAY}){{0,30}}"
_MONTH: Final = r"(?:[1-9]|1[0-2])"
_RULES: Final = {
    "DAILY": {"INTERVAL": _INTERVAL, "UNTIL": _UNTIL},
    "WEEKLY": {"INTERVAL": _INTERVAL, "UNTIL": _UNTIL, "BYDAY": _WEEKDAYS, "WKST": _WEEKDAY},
    "MONTHLY": {
        "INTERVAL": _INTERVAL,
        "UNTIL": _UNTIL,
        "BYDAY": _OF_MONTH,
        "BYMONTHDAY": _MONTHDAYS,
        "BYSETPOS": r"-?[1-4]",
    },
    "YEARLY": {
        "INTERVAL": r"[1-4]",
        "UNTIL": _UNTIL,
        "BYMONTH": rf"{_MONTH}(?:,{_MONTH}){{0,11}}",
        "BYDAY": _OF_MONTH,
        "BYMONTHDAY": _MONTHDAYS,
    },
}
_HORIZON: Final = timedelta(days=366 * YEARS_MAX)


class BadSchedule(Exception):
    """A schedule cannot be used; `field` is where."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Schedule(NamedTuple):
    """When something opens; `starts_at` has no zone, as it is what a clock shows."""

    starts_at: datetime
    zone: str
    duration_s: int
    recurrence: str | None = None


class OpeningTimes(NamedTuple):
    """What a schedule says at a moment; times are in UTC, None where there is none."""

    is_open: bool
    opened_at: datetime | None
    closes_at: datetime | None
    next_opens_at: datetime | None


def require_valid_schedule(schedule: Schedule, now: datetime) -> None:
    """Raise `BadSchedule` for a schedule that never opens, or that could take long to compute."""
    try:
        zone = ZoneInfo(schedule.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadSchedule("zone", "name a time zone as in Europe/Berlin") from None
    if schedule.starts_at.tzinfo is not None:
        raise BadSchedule("starts_at", "send the time without an offset, as the zone's clocks show")
    try:
        distance = abs(schedule.starts_at.replace(tzinfo=zone).astimezone(UTC) - now)
    except OverflowError:  # the first or the last day that there is
        distance = timedelta.max
    if distance > _HORIZON:
        raise BadSchedule("starts_at", f"choose a time within {YEARS_MAX} years of now")
    if schedule.recurrence is not None:
        _check_rule(schedule.recurrence)
        if next(_openings(schedule, now), None) is None:
            raise BadSchedule("recurrence", "this rule never comes true")


def _check_rule(rule: str) -> None:
    pairs = [part.partition("=") for part in rule.split(";")]
    parts = {key: value for key, _, value in pairs}
    allowed = _RULES.get(parts.pop("FREQ", ""))
    if allowed is None or len(pairs) != len(parts) + 1:
        raise BadSchedule(
            "recurrence", f"begin with FREQ=, one of {', '.join(_RULES)}, and use each part once"
        )
    for key, value in parts.items():
        if key not in allowed:
            raise BadSchedule("recurrence", f"{key[:20]} cannot be used; use {', '.join(allowed)}")
        if not re.fullmatch(allowed[key], value):
            raise BadSchedule("recurrence", f"{key}={value[:30]} cannot be used")
    has_days = parts.keys() & {"BYDAY", "BYMONTHDAY"}
    if len(has_days) > 1:
        raise BadSchedule("recurrence", "use BYDAY or BYMONTHDAY, not both")
    if "BYMONTH" in allowed and ("BYMONTH" in parts) != bool(has_days):
        raise BadSchedule("recurrence", "use BYMONTH together with BYDAY or BYMONTHDAY")
    if "BYSETPOS" in parts and not re.fullmatch(_WEEKDAYS, parts.get("BYDAY", "")):
        raise BadSchedule("recurrence", "use BYSETPOS together with BYDAY=MO,TU,…")
    try:
        rrulestr(rule, dtstart=datetime(2026, 1, 1))  # noqa: DTZ001 - by a zone's clock
    except (ValueError, TypeError) as error:
        raise BadSchedule("recurrence", str(error)[:100]) from None


def find_opening(schedule: Schedule, now: datetime) -> OpeningTimes:
    """Say whether something is open, until when, and when it opens next."""
    opened_at = next_opens_at = None
    for at in _openings(schedule, now):
        if at > now:
            next_opens_at = at
            break
        opened_at = at
    duration = timedelta(seconds=schedule.duration_s)
    closes_at = None if opened_at is None else opened_at + duration
    is_open = closes_at is not None and now < closes_at
    return OpeningTimes(
        is_open, opened_at if is_open else None, closes_at if is_open else None, next_opens_at
    )


def find_opening_within_season(schedule: Schedule, season: Schedule, now: datetime) -> OpeningTimes:
    """Say the same of an event that is open only while its season is."""
    of_season = find_opening(season, now)
    duration = timedelta(seconds=schedule.duration_s)
    present: OpeningTimes | None = None
    for at in _openings(schedule, now):
        if at + duration <= now:
            continue
        if at <= now and of_season.is_open and of_season.opened_at and of_season.closes_at:
            started, ends = max(at, of_season.opened_at), min(at + duration, of_season.closes_at)
            present = OpeningTimes(True, started, ends, None)
            continue
        begins = _first_both_open(at, at + duration, season, now)
        if begins is not None:
            return (present or _CLOSED)._replace(next_opens_at=begins)
    return present or _CLOSED


def _first_both_open(
    starts: datetime, ends: datetime, season: Schedule, now: datetime
) -> datetime | None:
    """Find when, after now, a season is open within an opening of an event."""
    at = find_opening(season, starts)
    if starts > now and at.is_open:
        return starts
    following = at.next_opens_at if starts > now else find_opening(season, now).next_opens_at
    return following if following is not None and following < ends else None


_CLOSED: Final = OpeningTimes(False, None, None, None)


def _openings(schedule: Schedule, now: datetime) -> Iterator[datetime]:
    """Go through the openings, from the first to those that lie years ahead."""
    zone = ZoneInfo(schedule.zone)
    if schedule.recurrence is None:
        yield schedule.starts_at.replace(tzinfo=zone).astimezone(UTC)
        return
    # Without an end, a rule that never comes true would be gone through to the year 9999.
    year = max(now.year, schedule.starts_at.year) + YEARS_MAX
    for local in _local_openings(schedule.recurrence, schedule.starts_at, year):
        yield local.replace(tzinfo=zone).astimezone(UTC)


@lru_cache(maxsize=64)
def _local_openings(rule: str, starts_at: datetime, year: int) -> tuple[datetime, ...]:
    end = datetime(year, 1, 1)  # noqa: DTZ001 - by a zone's clock
    if (until := re.search(r"UNTIL=(\d{8}T\d{6})", rule)) is not None:
        end = min(end, datetime.strptime(until[1], "%Y%m%dT%H%M%S"))  # noqa: DTZ007 - the same
    found = rrulestr(rule, dtstart=starts_at)
    assert isinstance(found, rrule)
    return tuple(islice(found.replace(until=end), OPENINGS_MAX))
