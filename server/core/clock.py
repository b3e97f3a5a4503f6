"""Time, from one object that tests can move."""

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, Protocol


class Moment(NamedTuple):
    """A point in time, to the millisecond, in each form that is needed of it."""

    ms: int
    at: datetime
    wire: bytes


class Clock:
    """Clocks: `now` for facts that are stored, `monotonic` for durations.

    `now` is the machine's time and a difference, which `server.core.database_clock` keeps so that
    it is the database's time. Without that, as on the command line, it is the machine's.
    """

    def __init__(self) -> None:
        self._moment = moment_from_ms(0)
        self.difference_ms = 0.0  # between the database's time and the machine's
        self._difference_ns = 0

    def now(self) -> datetime:
        """Give the present time in UTC."""
        return datetime.fromtimestamp((time.time_ns() + self._difference_ns) / 1e9, UTC)

    def monotonic(self) -> float:
        """Give seconds that never jump."""
        return time.monotonic()

    def now_ms(self) -> int:
        """Give milliseconds since 1970, UTC."""
        return (time.time_ns() + self._difference_ns) // 1_000_000

    def moment(self) -> Moment:
        """Give the present time to the millisecond; made once a millisecond."""
        now_ms = self.now_ms()
        if now_ms != self._moment.ms:
            self._moment = moment_from_ms(now_ms)
        return self._moment

    @staticmethod
    def machine_ms() -> float:
        """Give the machine's own time, in milliseconds since 1970."""
        return time.time_ns() / 1e6

    def bound_difference(self, least_ms: float, most_ms: float) -> None:
        """Move the difference from the machine's time into these bounds, if it is outside."""
        self.difference_ms = min(max(self.difference_ms, least_ms), most_ms)
        self._difference_ns = round(self.difference_ms * 1e6)


@lru_cache(maxsize=16)
def _second(seconds: int) -> tuple[datetime, bytes]:
    """Give a second since 1970 as a time, and as the protocol writes it up to the seconds."""
    at = datetime.fromtimestamp(seconds, UTC)
    return at, at.strftime("%Y-%m-%dT%H:%M:%S").encode()


def moment_from_ms(milliseconds: int) -> Moment:
    """Make a moment of milliseconds since 1970."""
    seconds, ms = divmod(milliseconds, 1000)
    at, written = _second(seconds)
    return Moment(milliseconds, at.replace(microsecond=ms * 1000), b"%b.%03dZ" % (written, ms))


def wire_time(moment: datetime) -> str:
    """Write a time as the protocol does: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[: -len("+00:00")] + "Z"


def wire_time_or_none(moment: datetime | None) -> str | None:
    """Write a time that may not have come yet."""
    return None if moment is None else wire_time(moment)


class DatabaseRow(Protocol):
    """What is read of the database: a `NamedTuple`."""

    def _asdict(self) -> dict[str, Any]: ...


def wire_fields(row: DatabaseRow) -> dict[str, Any]:
    """Give a row's fields by their names, its times as the protocol writes them."""
    return {
        name: wire_time(value) if isinstance(value, datetime) else value
        for name, value in row._asdict().items()
    }


def ms_from_datetime(moment: datetime) -> int:
    """Turn a time into milliseconds since 1970, rounded."""
    return int(moment.timestamp() * 1000 + 0.5)


def datetime_from_ms(milliseconds: int) -> datetime:
    """Turn milliseconds since 1970 into a time in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
