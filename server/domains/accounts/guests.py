"""How many guests one network may make."""

from collections import OrderedDict

from server.gateway.limits import TokenBucket, network_of

NETWORKS_MAX = 10_000


class GuestLimits:
    """A bucket for each network that asked lately; the longest silent ones are forgotten."""

    def __init__(self, per_minute: float) -> None:
        self._per_minute = per_minute
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def may(self, address: str, now: float) -> bool:
        """Count one more guest from an address at a monotonic time in seconds, or say no."""
        network = network_of(address)
        bucket = self._buckets.get(network)
        if bucket is None:
            bucket = self._buckets[network] = self._new_bucket()
        self._buckets.move_to_end(network)
        if len(self._buckets) > NETWORKS_MAX:
            self._buckets.popitem(last=False)
        return bucket.take(now)

    def _new_bucket(self) -> TokenBucket:
        burst = max(1.0, self._per_minute)
        return TokenBucket(rate_per_s=self._per_minute / 60, burst=burst)
