"""How much one player may say."""

from collections import OrderedDict
from typing import Final

from protocol.errors import RateLimited
from protocol.ids import PlayerId
from server.gateway.limits import TokenBucket

RATE_PER_S: Final = 0.5
BURST: Final = 5.0
SPEAKERS_MAX: Final = 10_000


class Pace:
    """A bucket for each of the players who spoke last."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[PlayerId, TokenBucket] = OrderedDict()

    def require(self, player_id: PlayerId, now: float) -> None:
        """Count one message at a monotonic time, or refuse it and say how long to wait."""
        bucket = self._buckets.pop(player_id, None)
        if bucket is None:
            bucket = TokenBucket(rate_per_s=RATE_PER_S, burst=BURST)
        self._buckets[player_id] = bucket
        if len(self._buckets) > SPEAKERS_MAX:
            self._buckets.popitem(last=False)
        if not bucket.take(now):
            wait_s = bucket.wait_s
            raise RateLimited(
                f"You talk too fast; say it again in {wait_s:.1f} s.", retry_after_s=wait_s
            )
