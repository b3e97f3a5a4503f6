"""How long something took, as a histogram: counts by upper bound, and the sum."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final

# Upper bounds, seconds. Close enough below 100 ms to read a p99 from them.
BOUNDS_S: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.006, 0.008),
    *(0.012, 0.016, 0.024, 0.032, 0.048, 0.064, 0.096, 0.128, 0.25, 0.5, 1.0, 2.5),
)


@dataclass(slots=True)
class Durations:
    """Durations since the start, in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    sum_s: float = 0.0

    def record(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    def cumulative(self) -> Iterator[tuple[str, int]]:
        """Give each bound, the last of which is `+Inf`, with how many did not exceed it."""
        return zip((*map(str, BOUNDS_S), "+Inf"), accumulate(self.counts), strict=True)
