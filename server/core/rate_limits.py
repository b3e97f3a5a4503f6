"""Rate limits: token buckets, and one limiter that keeps a bucket for each key.

A key is what is limited: a network, an account, an account as seen from one network. Limits are
kept in the memory of one node, so on several nodes each allows as much.
"""

from collections import OrderedDict
from collections.abc import Hashable
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Final, NamedTuple

from protocol.errors import RateLimited

KEYS_MAX: Final = 10_000  # of one limiter; some 300 bytes each


class Rate(NamedTuple):
    """How many a minute, and how many at once after a pause."""

    per_minute: float
    burst: float


class TokenBucket:
    """A rate with a burst above it: full at first, `rate_per_s` flow back in."""

    __slots__ = ("_at", "_burst", "_missing", "_rate_per_s", "_tokens")

    def __init__(self, rate_per_s: float, burst: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._tokens = burst
        self._missing = 0.0
        self._at = 0.0

    def take(self, now: float, cost: float = 1.0) -> bool:
        """Take `cost` tokens at a monotonic time in seconds; False if there are too few."""
        tokens = self._tokens
        if now > self._at:
            tokens += (now - self._at) * self._rate_per_s
            if tokens > self._burst:  # `min` would be a call, for each message
                tokens = self._burst
        self._at = now
        if tokens < cost:
            self._tokens, self._missing = tokens, cost - tokens
            return False
        self._tokens, self._missing = tokens - cost, 0.0
        return True

    @property
    def wait_s(self) -> float:
        """How long after the last `take` it would be granted; 0 if it was."""
        return self._missing / self._rate_per_s


class RateLimiter:
    """A token bucket for each key; beyond `KEYS_MAX` the keys unused for longest are dropped.

    `problem` begins the message of a refusal: "Too many attempts from your network".
    """

    def __init__(self, rate: Rate, problem: str) -> None:
        self._rate = rate
        self._problem = problem
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def require_allowed(self, key: Hashable, now: float) -> None:
        """Count one at a monotonic time in seconds; raise `RateLimited` with the time to wait."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = TokenBucket(self._rate.per_minute / 60, self._rate.burst)
            self._buckets[key] = bucket
            if len(self._buckets) > KEYS_MAX:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        if not bucket.take(now):
            wait_s = bucket.wait_s
            message = f"{self._problem}; try again in {ceil(wait_s)} s."
            raise RateLimited(message, retry_after_s=wait_s)


def client_network(address: str) -> str:
    """Give what is counted as one: an IPv4 address, or the /64 of an IPv6 address."""
    if ":" not in address:
        return address
    parsed = ip_address(address)
    assert isinstance(parsed, IPv6Address)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
