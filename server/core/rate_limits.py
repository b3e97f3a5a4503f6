"""Rate limits: token buckets, and one limiter that keeps a bucket for each key.

A key is what is limited: a network, an account, an account as seen from one network. Limits are
kept in the memory of one node, so on several nodes each allows as much, except for those that
`server.core.shared_limits` has them share.

An answer over HTTP says what is left (`RateLimit` and `RateLimit-Policy`): while a request is
handled, `noting_limits` holds what each limiter found. Nothing is noted for the websocket.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from ipaddress import IPv6Address, ip_address
from math import ceil, floor
from typing import Final, NamedTuple

from protocol.errors import RateLimited

KEYS_MAX: Final = 10_000  # of one limiter; some 300 bytes each
# Floating point: whoever waits exactly as long as they were told has enough.
TOLERANCE: Final = 1e-6


class Rate(NamedTuple):
    """How many a minute, and how many at once after a pause."""

    per_minute: float
    burst: float


class LimitState(NamedTuple):
    """What a limiter allowed a request, and what it allows after it."""

    policy: str
    quota: int
    window_s: int  # in which an exhausted quota is whole again
    remaining: int
    reset_s: int  # until there is more; 0 if nothing is missing


# What was found while a request is handled, by policy; bounded by the number of policies.
LimitNotes = dict[str, LimitState]
_NOTES: ContextVar[LimitNotes | None] = ContextVar("limit_notes", default=None)


@contextmanager
def noting_limits() -> Iterator[LimitNotes]:
    """Collect what limiters find until the end of the block."""
    notes: LimitNotes = {}
    before = _NOTES.set(notes)
    try:
        yield notes
    finally:
        _NOTES.reset(before)


def whole_seconds(wait_s: float) -> int:
    """Round a time to wait up; never too early, and a whole number stays one."""
    return max(1, ceil(wait_s - TOLERANCE))


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
            if tokens < cost - TOLERANCE:
                self._tokens, self._missing = tokens, cost - tokens
                return False
            tokens = cost
        self._tokens, self._missing = tokens - cost, 0.0
        return True

    def drain(self, now: float, cost: float = 1.0) -> None:
        """Take `cost` tokens, or what there is."""
        if not self.take(now, cost):
            self._tokens = 0.0

    def until(self, now: float, cost: float = 1.0) -> float:
        """How long after `now` there are `cost` tokens, if nothing is taken before."""
        tokens = self._tokens + (now - self._at) * self._rate_per_s
        return max(0.0, cost - tokens) / self._rate_per_s

    def give_back(self, cost: float = 1.0) -> None:
        """Undo the last `take`, which was granted."""
        self._tokens += cost

    @property
    def tokens(self) -> float:
        """How many there were after the last `take`."""
        return self._tokens

    @property
    def next_s(self) -> float:
        """How long after the last `take` there is a whole token more; 0 if it is full."""
        if self._tokens >= self._burst:
            return 0.0
        whole = floor(self._tokens + TOLERANCE) + 1
        return (min(whole, self._burst) - self._tokens) / self._rate_per_s

    @property
    def wait_s(self) -> float:
        """How long after the last `take` it would be granted; 0 if it was."""
        return self._missing / self._rate_per_s


class RateLimiter:
    """A token bucket for each key; beyond `KEYS_MAX` the keys unused for longest are dropped.

    `policy` is its name in `RateLimit-Policy`, listed in docs/reference/limits.md. `problem`
    begins the message of a refusal: "Too many attempts from your network".
    """

    def __init__(self, policy: str, rate: Rate, problem: str) -> None:
        self.policy = policy
        self._rate = rate
        self._problem = problem
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()
        self._name_key: Callable[[Hashable], Hashable] | None = None
        self._announce: Callable[[Hashable], None] | None = None

    def share(
        self, name_key: Callable[[Hashable], Hashable], announce: Callable[[Hashable], None]
    ) -> None:
        """Name keys otherwise, and have other nodes told of each one that was counted."""
        self._name_key, self._announce = name_key, announce

    def announce_counted(self, key: Hashable) -> None:
        """Tell other nodes, where this limiter is shared with them."""
        if self._announce is not None and self._name_key is not None:
            self._announce(self._name_key(key))

    def count_elsewhere(self, named: Hashable, now: float) -> None:
        """Count one that another node has granted; what is not there is not owed."""
        self._find(named).drain(now)

    def __len__(self) -> int:
        return len(self._buckets)

    def require_allowed(self, key: Hashable, now: float, *, cost: float = 1.0) -> None:
        """Count `cost` at a monotonic time in seconds; raise `RateLimited` with the time to wait.

        It is at most what is allowed at once.
        """
        require_all([(self, key)], now, cost=cost)

    def refusal(self, wait_s: float) -> RateLimited:
        """Say how long to wait."""
        message = f"{self._problem}; try again in {whole_seconds(wait_s)} s."
        return RateLimited(message, retry_after_s=wait_s)

    def state(self, bucket: TokenBucket) -> LimitState:
        """Describe a bucket after its last `take`."""
        next_s = bucket.next_s
        return LimitState(
            policy=self.policy,
            quota=floor(self._rate.burst),
            window_s=whole_seconds(self._rate.burst * 60 / self._rate.per_minute),
            remaining=floor(bucket.tokens + TOLERANCE),
            reset_s=whole_seconds(next_s) if next_s else 0,
        )

    def bucket(self, key: Hashable) -> TokenBucket:
        """Give a key's bucket; a new one is full."""
        return self._find(key if self._name_key is None else self._name_key(key))

    def _find(self, key: Hashable) -> TokenBucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = TokenBucket(self._rate.per_minute / 60, self._rate.burst)
            self._buckets[key] = bucket
            if len(self._buckets) > KEYS_MAX:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket


def require_all(
    counted: Sequence[tuple[RateLimiter, Hashable]],
    now: float,
    *,
    after: Sequence[tuple[RateLimiter, Hashable]] = (),
    cost: float = 1.0,
) -> None:
    """Count `cost` in each limiter, or in none; raise `RateLimited` with the longest time to wait.

    Other nodes are told of one, where a limiter is shared with them.
    Whoever waits that long is granted by all: what one allows is not lost where another refuses.
    `after` are those that the same request was counted by before, and will be counted by again.
    """
    buckets = [(limiter, limiter.bucket(key)) for limiter, key in counted]
    granted: list[TokenBucket] = []
    refused: list[tuple[RateLimiter, TokenBucket]] = []
    for limiter, bucket in buckets:
        if bucket.take(now, cost):
            granted.append(bucket)
        else:
            refused.append((limiter, bucket))
    if refused:
        for bucket in granted:
            bucket.give_back(cost)
    if (notes := _NOTES.get()) is not None:
        notes.update((state.policy, state) for state in (each.state(b) for each, b in buckets))
    if not refused:
        for limiter, key in counted:
            limiter.announce_counted(key)
    if refused:
        limiter, bucket = max(refused, key=lambda each: each[1].wait_s)
        waits = [bucket.wait_s, *(each.bucket(key).until(now) for each, key in after)]
        raise limiter.refusal(max(waits))


def client_network(address: str) -> str:
    """Give what is counted as one: an IPv4 address, or the /64 of an IPv6 address."""
    if ":" not in address:
        return address
    parsed = ip_address(address)
    assert isinstance(parsed, IPv6Address)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
