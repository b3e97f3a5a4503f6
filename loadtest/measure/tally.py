"""What one process of a load test counts."""

from collections import Counter
from dataclasses import dataclass, field

from loadtest.measure.histogram import Histogram


@dataclass(slots=True)
class Tally:
    """Counts since the start; the names in `counts` are the report's rows.

    games, moves (answered `ok`), deliveries (events received by a client), commands,
    reconnects, connections.
    """

    counts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    latency: Histogram = field(default_factory=Histogram)

    def add(self, other: "Tally") -> None:
        """Count everything that another one has counted."""
        self.counts.update(other.counts)
        self.refusals.update(other.refusals)
        self.latency.add(other.latency)

    def copy(self) -> "Tally":
        """Make one that counts on by itself."""
        return Tally(Counter(self.counts), Counter(self.refusals), self.latency.copy())

    def since(self, earlier: "Tally") -> "Tally":
        """Give what was counted since an earlier copy."""
        return Tally(
            self.counts - earlier.counts,
            self.refusals - earlier.refusals,
            self.latency.since(earlier.latency),
        )


@dataclass(slots=True)
class Window:
    """A stretch of time in which the load was full, and what was counted in it."""

    seconds: float
    tally: Tally

    def per_s(self, name: str) -> float:
        """Give a count as a rate."""
        return self.tally.counts[name] / self.seconds if self.seconds else 0.0
