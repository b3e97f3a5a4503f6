"""One limiter: a bucket for each key."""

import pytest

from protocol.errors import RateLimited
from server.core.rate_limits import KEYS_MAX, Rate, RateLimiter


def test_a_burst_is_allowed_and_what_flows_back_after_it() -> None:
    limiter = RateLimiter(Rate(per_minute=30, burst=2), "Too often")
    for _ in range(2):
        limiter.require_allowed("ann", 0.0)
    with pytest.raises(RateLimited, match="Too often; try again in 2 s") as refused:
        limiter.require_allowed("ann", 0.0)
    assert refused.value.retry_after_s == 2.0
    limiter.require_allowed("ann", 2.0)
    with pytest.raises(RateLimited):
        limiter.require_allowed("ann", 2.0)


def test_keys_do_not_slow_each_other() -> None:
    limiter = RateLimiter(Rate(per_minute=30, burst=1), "Too often")
    limiter.require_allowed("ann", 0.0)
    limiter.require_allowed("bob", 0.0)


def test_keys_unused_for_longest_are_forgotten() -> None:
    limiter = RateLimiter(Rate(per_minute=30, burst=1), "Too often")
    for n in range(KEYS_MAX + 1):
        limiter.require_allowed(n, 0.0)
    assert len(limiter) == KEYS_MAX
    limiter.require_allowed(0, 0.0)
    with pytest.raises(RateLimited):
        limiter.require_allowed(KEYS_MAX, 0.0)
