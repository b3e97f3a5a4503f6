"""A moment has the same time in each of its forms."""

from datetime import UTC, datetime, timedelta

import pytest

from server.core.clock import datetime_from_ms, moment_from_ms, wire_time

NOW_MS = 1_796_000_000_000


@pytest.mark.parametrize("ms", [0, 1, 999, 1000, NOW_MS - 1, NOW_MS, NOW_MS + 7, NOW_MS + 59_999])
def test_moment_is_the_same_time_in_each_form(ms: int) -> None:
    moment = moment_from_ms(ms)
    exact = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    assert moment.ms == ms
    assert moment.at == exact == datetime_from_ms(ms)
    assert moment.wire.decode() == wire_time(exact)
