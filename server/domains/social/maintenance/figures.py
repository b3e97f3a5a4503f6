"""What the database looks like inside: how large tables are, and what its queries took."""

import asyncio
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from persistence.maintenance.store import MaintenanceStore
from persistence.query_times import QUERY_TIMES, find_query_name
from server.core.periodic import repeat_every

LOOK_EVERY_S: Final = 300.0


class DatabaseFigures(Collector):
    """Sizes of tables and totals of statements, read now and then; times of this node's queries."""

    def __init__(self, store: MaintenanceStore) -> None:
        self._store = store
        self._sizes: dict[str, int] = {}
        self._statements: dict[str, tuple[int, float]] = {}  # calls and seconds, by query

    async def run(self) -> None:
        """Read them again and again, until cancelled."""
        await asyncio.to_thread(find_query_name, "")  # which reads all queries the first time
        await repeat_every(LOOK_EVERY_S, self.look, "reading figures of the database", at_once=True)

    async def look(self) -> None:
        """Read them once."""
        self._sizes = await self._store.list_sizes()
        totals: dict[str, tuple[int, float]] = {}
        for each in await self._store.read_statements():
            name = find_query_name(each.query)
            calls, total_s = totals.get(name, (0, 0.0))
            totals[name] = (calls + each.calls, total_s + each.total_s)
        self._statements = totals

    def collect(self) -> Iterator[Metric]:
        """Read everything once."""
        sizes = GaugeMetricFamily(
            "playhall_table_bytes", "What the largest tables take, with indexes.", labels=["table"]
        )
        for table, size in self._sizes.items():
            sizes.add_metric([table], size)
        yield sizes
        calls = GaugeMetricFamily(
            "playhall_statement_calls", "Calls, as pg_stat_statements counts.", labels=["query"]
        )
        seconds = GaugeMetricFamily(
            "playhall_statement_seconds", "Time of these calls in all.", labels=["query"]
        )
        for name, (count, total_s) in self._statements.items():
            calls.add_metric([name], count)
            seconds.add_metric([name], total_s)
        yield from (calls, seconds)
        slow = CounterMetricFamily(
            "playhall_slow_queries",
            "Queries of this node that took long.",
            labels=["query", "over"],
        )
        for name, counts in QUERY_TIMES.read().items():
            for bound, count in counts.items():
                slow.add_metric([name, str(bound)], count)
        yield slow
