"""How often something may be tried, counted by network, account or address."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final, NamedTuple

from protocol.errors import RateLimited
from server.gateway.limits import TokenBucket, network_of

KEYS_MAX: Final = 10_000


class Rate(NamedTuple):
    """How many a minute, and how many at once after a silence."""

    per_minute: float
    burst: float


class Rates:
    """A bucket for each key that was seen lately; the longest silent ones are forgotten."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._buckets: OrderedDict[Hashable, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def may(self, key: Hashable, now: float) -> bool:
        """Count one more at a monotonic time in seconds, or say no."""
        bucket = self._buckets.get(key)
        if bucket is None:
            per_s = self._rate.per_minute / 60
            bucket = self._buckets[key] = TokenBucket(rate_per_s=per_s, burst=self._rate.burst)
        self._buckets.move_to_end(key)
        if len(self._buckets) > KEYS_MAX:
            self._buckets.popitem(last=False)
        return bucket.take(now)


class Attempts:
    """What may be tried from one network and on one account; `now` gives monotonic seconds."""

    def __init__(self, *, network: Rate, account: Rate, now: Callable[[], float]) -> None:
        self._networks = Rates(network)
        self._accounts = Rates(account)
        self._now = now

    def count(self, *, remote: str, account: Hashable) -> None:
        """Count one more; raise `RateLimited`."""
        now = self._now()
        if not self._networks.may(network_of(remote), now):
            raise RateLimited("Too many attempts from your network; wait a minute.")
        if not self._accounts.may(account, now):
            raise RateLimited("Too many attempts for this account; wait some minutes.")
