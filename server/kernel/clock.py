"""Time, from one object that tests can move."""

import time
from datetime import UTC, datetime


class Clock:
    """The machine's clocks: `now` for facts that are stored, `monotonic` for durations."""

    def now(self) -> datetime:
        """Give the present time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Give seconds that never jump."""
        return time.monotonic()

    def now_ms(self) -> int:
        """Give milliseconds since 1970, UTC."""
        return int(self.now().timestamp() * 1000)


def wire_time(moment: datetime) -> str:
    """Write a time as the protocol does: UTC, milliseconds, `Z`."""
    return (
        moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    )


def wire_time_or_none(moment: datetime | None) -> str | None:
    """Write a time that may not have come yet."""
    return None if moment is None else wire_time(moment)


def from_ms(milliseconds: int) -> datetime:
    """Turn milliseconds since 1970 into a time in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
