"""A histogram of durations in bounded memory: each power of two is split into 32 buckets.

A quantile is at most one bucket (3 %) above the true value. From 1 µs to half an hour.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

SPLIT_BITS: Final = 5
_SPLIT: Final = 1 << SPLIT_BITS
_OCTAVES: Final = 26
BUCKETS: Final = _SPLIT * (_OCTAVES + 1)


def bucket_of(us: int) -> int:
    """Find the bucket of a duration in microseconds."""
    if us < _SPLIT:
        return max(us, 0)
    octave = us.bit_length() - SPLIT_BITS - 1
    return min(_SPLIT * octave + (us >> octave), BUCKETS - 1)


def upper_us(bucket: int) -> int:
    """Give the largest duration, in microseconds, that falls into a bucket."""
    if bucket < 2 * _SPLIT:
        return bucket
    octave = bucket // _SPLIT - 1
    return ((bucket % _SPLIT + _SPLIT + 1) << octave) - 1


@dataclass(slots=True)
class Histogram:
    """Counts of durations."""

    counts: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    count: int = 0
    max_s: float = 0.0

    def record(self, seconds: float, *, times: int = 1) -> None:
        """Count a duration, once or several times."""
        self.counts[bucket_of(int(seconds * 1e6))] += times
        self.count += times
        if seconds > self.max_s:
            self.max_s = seconds

    def add(self, other: "Histogram") -> None:
        """Count everything that another one has counted."""
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.count += other.count
        self.max_s = max(self.max_s, other.max_s)

    def copy(self) -> "Histogram":
        """Make one that counts on by itself."""
        return Histogram(list(self.counts), self.count, self.max_s)

    def since(self, earlier: "Histogram") -> "Histogram":
        """Give what was counted since an earlier copy; its maximum is a bucket's bound."""
        counts = [a - b for a, b in zip(self.counts, earlier.counts, strict=True)]
        last = max((bucket for bucket, count in enumerate(counts) if count), default=0)
        return Histogram(counts, self.count - earlier.count, min(self.max_s, upper_us(last) / 1e6))

    def quantile_s(self, q: float) -> float:
        """Give the duration, in seconds, that a share `q` of all does not exceed; 0 if none."""
        rank, seen = q * self.count, 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if count and seen >= rank:
                return min(upper_us(bucket) / 1e6, self.max_s)
        return 0.0

    def octaves(self) -> Iterator[tuple[float, int]]:
        """Give, from the first to the last that has any, upper bound in seconds and count.

        Four steps for each power of two: as fine as a plot needs.
        """
        step = _SPLIT // 4
        steps = [
            (upper_us(first + step - 1) / 1e6, sum(self.counts[first : first + step]))
            for first in range(0, BUCKETS, step)
        ]
        filled = [place for place, (_, count) in enumerate(steps) if count]
        if filled:
            yield from steps[filled[0] : filled[-1] + 1]
