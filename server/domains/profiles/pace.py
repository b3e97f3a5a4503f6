"""How often one asker may ask for something."""

from collections import OrderedDict
from math import ceil
from typing import Final

from protocol.errors import RateLimited
from server.gateway.limits import TokenBucket

ASKERS_MAX: Final = 10_000


class Pace:
    """A bucket for each of those who asked last; the longest silent ones are forgotten."""

    def __init__(self, *, rate_per_s: float, burst: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def require(self, asker: str, now: float) -> None:
        """Count one at a monotonic time in seconds, or refuse it and say how long to wait."""
        bucket = self._buckets.pop(asker, None)
        if bucket is None:
            bucket = TokenBucket(rate_per_s=self._rate_per_s, burst=self._burst)
        self._buckets[asker] = bucket
        if len(self._buckets) > ASKERS_MAX:
            self._buckets.popitem(last=False)
        if not bucket.take(now):
            wait_s = bucket.wait_s
            raise RateLimited(f"Too often; ask again in {ceil(wait_s)} s.", retry_after_s=wait_s)
