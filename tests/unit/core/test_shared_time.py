"""The clock that follows the database's, and tokens that are good by it."""

import time
from datetime import UTC, datetime

import jwt
import pytest

from server.core.clock import Clock
from server.core.token_times import check_times

HOUR_MS = 3_600_000.0


def test_a_clock_that_follows_nothing_is_the_machines() -> None:
    clock = Clock()
    assert abs(clock.now_ms() - time.time() * 1000) < 1000
    assert abs((clock.now() - datetime.now(UTC)).total_seconds()) < 1


def test_a_difference_is_moved_into_what_an_answer_allows_and_no_further() -> None:
    clock = Clock()
    for least, most, expected in (
        (HOUR_MS, HOUR_MS + 5, HOUR_MS),  # the machine is an hour behind
        (HOUR_MS - 50, HOUR_MS + 2000, HOUR_MS),  # a slow answer changes nothing
        (HOUR_MS - 9, HOUR_MS - 4, HOUR_MS - 4),
        (-10.0, -2.0, -2.0),  # the machine's clock was set right, and a little ahead
    ):
        clock.bound_difference(least, most)
        assert clock.difference_ms == expected
        assert abs(clock.now_ms() - time.time() * 1000 - expected) < 1000
        assert abs(clock.now().timestamp() * 1000 - clock.now_ms()) < 1000
        assert abs(clock.moment().ms - clock.now_ms()) < 1000


@pytest.mark.parametrize(
    ("claims", "leeway_s"),
    [
        ({"exp": 101}, 0),
        ({"exp": 95}, 10),
        ({"iat": 100, "nbf": 100}, 0),
        ({"iat": 105}, 10),
        ({}, 0),
    ],
)
def test_a_token_is_good_within_its_times(claims: dict[str, int], leeway_s: float) -> None:
    check_times(claims, 100.0, leeway_s=leeway_s)


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"exp": 100}, jwt.ExpiredSignatureError),
        ({"exp": 99.5, "iat": 90}, jwt.ExpiredSignatureError),
        ({"exp": 200, "iat": 101}, jwt.ImmatureSignatureError),
        ({"exp": 200, "nbf": 101}, jwt.ImmatureSignatureError),
        ({"exp": "200"}, jwt.DecodeError),
        ({"exp": True}, jwt.DecodeError),
        ({"exp": float("nan")}, jwt.DecodeError),
    ],
)
def test_a_token_is_not_good_otherwise(claims: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        check_times(claims, 100.0)
