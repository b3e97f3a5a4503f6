"""One limiter: a bucket for each key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import RateLimited
from server.core.rate_limits import (
    KEYS_MAX,
    LimitState,
    Rate,
    RateLimiter,
    noting_limits,
    require_all,
    whole_seconds,
)


def test_a_burst_is_allowed_and_what_flows_back_after_it() -> None:
    limiter = RateLimiter("tests", Rate(per_minute=30, burst=2), "Too often")
    for _ in range(2):
        limiter.require_allowed("ann", 0.0)
    with pytest.raises(RateLimited, match="Too often; try again in 2 s") as refused:
        limiter.require_allowed("ann", 0.0)
    assert refused.value.retry_after_s == 2.0
    limiter.require_allowed("ann", 2.0)
    with pytest.raises(RateLimited):
        limiter.require_allowed("ann", 2.0)


def test_keys_do_not_slow_each_other() -> None:
    limiter = RateLimiter("tests", Rate(per_minute=30, burst=1), "Too often")
    limiter.require_allowed("ann", 0.0)
    limiter.require_allowed("bob", 0.0)


def test_keys_unused_for_longest_are_forgotten() -> None:
    limiter = RateLimiter("tests", Rate(per_minute=30, burst=1), "Too often")
    for n in range(KEYS_MAX + 1):
        limiter.require_allowed(n, 0.0)
    assert len(limiter) == KEYS_MAX
    limiter.require_allowed(0, 0.0)
    with pytest.raises(RateLimited):
        limiter.require_allowed(KEYS_MAX, 0.0)


def wait_of(limiter: RateLimiter, now: float) -> int | None:
    try:
        limiter.require_allowed("ann", now)
    except RateLimited as refused:
        return whole_seconds(refused.retry_after_s or 0.0)
    return None


@given(
    rate=st.builds(Rate, st.floats(0.01, 6000), st.floats(1, 1000)),
    start=st.floats(0, 1e7),
    uses=st.lists(st.floats(0, 5), min_size=1, max_size=30),
)
def test_who_waits_as_long_as_they_are_told_is_granted(
    rate: Rate, start: float, uses: list[float]
) -> None:
    limiter, now = RateLimiter("tests", rate, "Too often"), start
    for pause in uses:
        now += pause
        if (told := wait_of(limiter, now)) is not None:
            now += told
            assert wait_of(limiter, now) is None


def test_several_limits_count_all_or_none_and_the_longest_wait_counts() -> None:
    narrow = RateLimiter("narrow", Rate(per_minute=1, burst=1), "Too often for one")
    wide = RateLimiter("wide", Rate(per_minute=6, burst=2), "Too often for all")
    both = [(narrow, "ann"), (wide, "net")]
    require_all(both, 0.0)
    with pytest.raises(RateLimited, match="for one; try again in 60 s"), noting_limits() as notes:
        require_all(both, 0.0)
    assert notes == {
        "narrow": LimitState("narrow", quota=1, window_s=60, remaining=0, reset_s=60),
        "wide": LimitState("wide", quota=2, window_s=20, remaining=1, reset_s=10),
    }
    wide.require_allowed("net", 55.0)
    wide.require_allowed("net", 55.0)
    with pytest.raises(RateLimited, match="for one; try again in 10 s"):
        require_all(both[:1], 55.0, after=both[1:])
    require_all(both, 65.0)
    assert len(notes) == 2  # of what was counted within the block


def test_full_bucket_says_nothing_of_a_reset() -> None:
    limiter = RateLimiter("tests", Rate(per_minute=60, burst=2), "Too often")
    bucket = limiter.bucket("ann")
    assert limiter.state(bucket).reset_s == 0
    limiter.require_allowed("ann", 0.0)
    assert limiter.state(bucket).reset_s == 1
