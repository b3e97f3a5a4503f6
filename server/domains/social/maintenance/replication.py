"""How safe the database's log is elsewhere: its standbys, and its archive."""

from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from persistence.maintenance.store import MaintenanceStore, Standby
from server.core.periodic import repeat_every

LOOK_EVERY_S: Final = 15.0


class ReplicationFigures(Collector):
    """How far standbys are behind, and whether archiving fails, read now and then.

    PostgreSQL shows standbys only to logins with `pg_monitor` or `pg_read_all_stats`.
    """

    def __init__(self, store: MaintenanceStore) -> None:
        self._store = store
        self._standbys: Sequence[Standby] = ()
        self._is_archiving_broken = False

    async def run(self) -> None:
        """Read them again and again, until cancelled."""
        await repeat_every(LOOK_EVERY_S, self.look, "reading figures of replication", at_once=True)

    async def look(self) -> None:
        """Read them once."""
        self._standbys = await self._store.list_standbys()
        self._is_archiving_broken = await self._store.is_archiving_broken()

    def collect(self) -> Iterator[Metric]:
        """Read everything once."""
        seconds = GaugeMetricFamily(
            "playhall_replication_lag_seconds", "By how long a standby is late.", labels=["standby"]
        )
        size = GaugeMetricFamily(
            "playhall_replication_lag_bytes", "Log that a standby has not yet.", labels=["standby"]
        )
        worst: dict[str, Standby] = {}  # standbys may share a name
        for each in self._standbys:
            if each.name not in worst or each.lag_bytes > worst[each.name].lag_bytes:
                worst[each.name] = each
        for name, standby in worst.items():
            seconds.add_metric([name], standby.lag_s)
            size.add_metric([name], standby.lag_bytes)
        yield from (seconds, size)
        yield GaugeMetricFamily(
            "playhall_replication_standbys", "Standbys that receive.", value=len(self._standbys)
        )
        yield GaugeMetricFamily(
            "playhall_wal_archive_failing",
            "Whether PostgreSQL last failed to archive its log.",
            value=int(self._is_archiving_broken),
        )
