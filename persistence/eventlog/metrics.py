"""What the log counts: plain numbers, read when somebody scrapes them."""

from bisect import bisect_left
from dataclasses import dataclass, field

# Upper bounds of the commit latency histogram, seconds.
LATENCY_BOUNDS_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.5, 2.0)


@dataclass(slots=True)
class LogMetrics:
    """Totals since the start, and a histogram of how long a batch took to commit."""

    events: int = 0
    batches: int = 0
    completions: int = 0
    retries: int = 0
    failures: int = 0  # bugs that were contained
    latency_s: float = 0.0
    latency_counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS_S) + 1))

    def batch(self, events: int, seconds: float) -> None:
        """Count one committed batch."""
        self.events += events
        self.batches += 1
        self.latency_s += seconds
        self.latency_counts[bisect_left(LATENCY_BOUNDS_S, seconds)] += 1
