"""Retention: what is kept for a time is deleted when that is over.

Each domain declares in `Domain.retention` which of its tables are kept for how long, and how some
of what is older is deleted; one job of the node goes through all of them. `persistence.retention`
says of every table why it is kept; a test compares the two.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from server.core.containment import contain_failures
from server.core.periodic import AWAY, repeat_every

LOOK_EVERY_S: Final = 60.0
DELETED_AT_ONCE: Final = 1000
BATCHES_MAX: Final = 100  # of a table and look; the rest is for the next one


class DeleteBatch(Protocol):
    """Deletes up to `limit` of what is past its time, and says how many rows that were."""

    async def __call__(self, *, limit: int) -> int:
        """Delete some."""


class RetentionSweep(NamedTuple):
    """A table that is cleared by age; any number of nodes may do it at once."""

    table: str
    delete: DeleteBatch
    every_s: float = LOOK_EVERY_S


class RetentionJob(Collector):
    """Goes through the sweeps of all domains; `now` gives monotonic seconds."""

    def __init__(self, sweeps: Sequence[RetentionSweep], *, now: Callable[[], float]) -> None:
        self.deleted = {sweep.table: 0 for sweep in sweeps}
        self.sweeps = tuple(sweeps)
        self._now = now
        self._due = {sweep.table: now() + sweep.every_s for sweep in sweeps}

    async def run(self) -> None:
        """Do it again and again, until cancelled."""
        await repeat_every(LOOK_EVERY_S, self.run_due, "retention")

    async def run_due(self) -> None:
        """Clear the tables whose turn it is; one that fails keeps no other from it."""
        for sweep in self.sweeps:
            if self._now() >= self._due[sweep.table]:
                self._due[sweep.table] = self._now() + sweep.every_s
                with contain_failures(f"clearing {sweep.table}", passed=AWAY):
                    await self.clear_table(sweep)

    async def clear_table(self, sweep: RetentionSweep) -> None:
        """Clear a table now, up to a bound."""
        for _ in range(BATCHES_MAX):
            count = await sweep.delete(limit=DELETED_AT_ONCE)
            self.deleted[sweep.table] += count
            if count < DELETED_AT_ONCE:
                break

    def collect(self) -> Iterator[Metric]:
        """Read how many rows were deleted by age, by table."""
        deleted = CounterMetricFamily(
            "playhall_retention_deleted", "Rows deleted because of their age.", labels=["table"]
        )
        for table, count in self.deleted.items():
            deleted.add_metric([table], count)
        yield deleted
