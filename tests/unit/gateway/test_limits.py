"""Rates and counts, with a clock that stands still unless it is moved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.core.rate_limits import TokenBucket, client_network
from server.gateway.transport.limits import AddressLimits


def test_burst_then_rate() -> None:
    bucket = TokenBucket(rate_per_s=2.0, burst=3.0)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.wait_s == 0.5
    assert not bucket.take(100.4)
    assert bucket.take(100.5)
    assert bucket.wait_s == 0.0


def test_refusal_costs_nothing() -> None:
    bucket = TokenBucket(rate_per_s=1.0, burst=2.0)
    assert not bucket.take(0.0, 3.0)
    assert bucket.take(0.0, 2.0)


def test_pause_gives_no_more_than_the_burst() -> None:
    bucket = TokenBucket(rate_per_s=10.0, burst=2.0)
    assert bucket.take(0.0, 2.0)
    assert [bucket.take(1_000.0) for _ in range(3)] == [True, True, False]


def test_clock_that_goes_back_takes_nothing_away() -> None:
    bucket = TokenBucket(rate_per_s=1.0, burst=2.0)
    assert bucket.take(10.0)
    assert bucket.take(5.0)


@given(st.lists(st.floats(0, 3), max_size=60))
def test_never_more_than_burst_and_rate_allow(pauses_s: list[float]) -> None:
    bucket = TokenBucket(rate_per_s=2.0, burst=5.0)
    now = taken = 0.0
    for pause_s in pauses_s:
        now += pause_s
        taken += bucket.take(now)
    assert taken <= 5.0 + 2.0 * now + 1e-9


def test_address_with_too_many_connections_may_not_enter_until_one_leaves() -> None:
    limits = AddressLimits(2)
    assert [limits.count_in("10.0.0.1") for _ in range(3)] == [True, True, False]
    assert limits.count_in("10.0.0.2")
    limits.count_out("10.0.0.1")
    assert limits.count_in("10.0.0.1")


def test_address_without_connections_is_forgotten() -> None:
    limits = AddressLimits(1)
    for n in range(100):
        assert limits.count_in(f"10.0.0.{n}")
        limits.count_out(f"10.0.0.{n}")
    assert len(limits) == 0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_network_is_what_one_customer_has(address: str, network: str) -> None:
    assert client_network(address) == network
