"""The jobs of the database: what is done how often, and how it goes.

When a job is due is in the database, so it neither starts anew with each node nor is left out when
nodes restart. The node that takes it has a lease; a job that ends at its bound is due again soon.
"""

import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from persistence.maintenance.store import JobRun, MaintenanceStore
from persistence.notifications.store import NotificationStore
from protocol.errors import Overloaded, StorageFull, Unavailable
from server.core.containment import FAILURES
from server.core.periodic import repeat_every

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 60.0
LEASE_S: Final = 3600.0
RETRY_S: Final = 600.0  # after a failure
GO_ON_S: Final = 60.0  # after a run that ended at its bound
MONTHS_AHEAD: Final = 2
ROWS_AT_ONCE: Final = 1000
BATCHES_MAX: Final = 100  # of a run
HOUR_S: Final = 3600.0
DAY_S: Final = 24 * HOUR_S


class Done(NamedTuple):
    """What a run changed, and whether something is left for another one."""

    rows: int
    has_more: bool = False


class MaintenanceJob(NamedTuple):
    """Something that is done again and again; its name is stored, so it never changes."""

    name: str
    every_s: float
    run: Callable[[], Awaitable[Done]]


class MaintenanceJobs(Collector):
    """Does what is due, and knows how each job went last, on whichever node."""

    def __init__(
        self,
        store: MaintenanceStore,
        notifications: NotificationStore,
        *,
        archive_after_days: int,
    ) -> None:
        self._store = store
        self._notifications = notifications
        self._archive_after_days = archive_after_days
        self._runs: Sequence[JobRun] = ()
        self.late_rows = 0
        self.not_vacuumed = 0
        self._is_refusal_logged = False
        self.jobs: Final = (
            MaintenanceJob("months", HOUR_S, self.keep_months),
            MaintenanceJob("archive_conversations", 30 * DAY_S, self.archive_conversations),
            MaintenanceJob("clean_notifications", 7 * DAY_S, self.clean_notifications),
            MaintenanceJob("analyse", DAY_S, self.analyse),
            MaintenanceJob("vacuum", 7 * DAY_S, self.vacuum),
        )

    async def prepare(self) -> None:
        """Know the jobs, and have this month's partitions, before the first client."""
        for job in self.jobs:
            await self._store.add_job(job.name, first_in_s=0 if job.every_s <= HOUR_S else DAY_S)
        # Without them rows go into the default partitions, so there is no reason not to start.
        with suppress(Overloaded):
            await self._store.make_months(ahead=MONTHS_AHEAD)

    async def run(self) -> None:
        """Do what is due, until cancelled."""
        await repeat_every(LOOK_EVERY_S, self.run_due, "maintenance")

    async def run_due(self) -> None:
        """Do each job that is due, unless another node does."""
        for job in self.jobs:
            lease = await self._store.claim(job.name, lease_s=LEASE_S)
            if lease is None:
                continue
            error, done = None, Done(0)
            try:
                done = await job.run()
            except (Unavailable, StorageFull):
                raise  # the lease ends by itself
            except Overloaded:
                error = "it gave way to others who use these tables"
            except Exception as failure:
                error = repr(failure)
                FAILURES.total += 1
                log.exception("the job %s failed; it runs again in %s s", job.name, RETRY_S)
            due_in_s = job.every_s
            if error is not None or done.has_more:
                due_in_s = min(job.every_s, RETRY_S if error else GO_ON_S)
            await self._store.finish(
                job.name, lease, rows=done.rows, error=error, due_in_s=due_in_s
            )
        self._runs = await self._store.list_jobs()
        self.late_rows = await self._store.count_late()

    # ------------------------------------------------------------------ the jobs

    async def keep_months(self) -> Done:
        """Make the months that are to come, and drop old ones that hold nothing."""
        made = await self._store.make_months(ahead=MONTHS_AHEAD)
        return Done(made + await self._store.drop_months())

    async def archive_conversations(self) -> Done:
        """Archive conversations in which nothing was said for long."""
        return await _in_batches(
            lambda: self._store.archive_conversations(
                days=self._archive_after_days, limit=ROWS_AT_ONCE
            )
        )

    async def clean_notifications(self) -> Done:
        """Delete what has expired, which retention does all the time, and drop its months."""
        done = await _in_batches(lambda: self._notifications.delete_expired(limit=ROWS_AT_ONCE))
        await self._store.drop_months()
        return done

    async def analyse(self) -> Done:
        """Analyse the tables of the social platform, each in a transaction of its own."""
        count = 0
        for table in await self._store.list_tables():
            count += await self._store.analyse(table.name)
        return Done(count)

    async def vacuum(self) -> Done:
        """Vacuum and analyse the tables that this login may; count and name the others."""
        tables = [table for table in await self._store.list_tables() if not table.is_parent]
        refused = [table.name for table in tables if not table.may_vacuum]
        self.not_vacuumed = len(refused)
        if refused and not self._is_refusal_logged:
            self._is_refusal_logged = True  # each week would be the same
            log.warning(
                "%d tables are left to autovacuum, since this login may not vacuum them: %s",
                len(refused),
                ", ".join(refused),
            )
        for table in tables:
            if table.may_vacuum:
                await self._store.vacuum(table.name)
        return Done(len(tables) - len(refused))

    # ------------------------------------------------------------------ metrics

    def collect(self) -> Iterator[Metric]:
        """Read how each job went last, and what waits."""
        families = {
            name: GaugeMetricFamily(f"playhall_maintenance_{name}", meaning, labels=["name"])
            for name, meaning in (
                ("last_run_timestamp_seconds", "When a job last ended, well or not."),
                ("duration_seconds", "How long its last run took."),
                ("rows", "What its last run changed."),
                ("failed", "Whether its last run failed."),
            )
        }
        for run in self._runs:
            if run.ended_at is not None:
                for family, value in zip(
                    families.values(),
                    (
                        run.ended_at.timestamp(),
                        run.duration_s or 0.0,
                        run.row_count or 0,
                        int(run.last_error is not None),
                    ),
                    strict=True,
                ):
                    family.add_metric([run.job], value)
        yield from families.values()


async def _in_batches(step: Callable[[], Awaitable[int]]) -> Done:
    rows = 0
    for _ in range(BATCHES_MAX):
        count = await step()
        rows += count
        if count < ROWS_AT_ONCE:
            return Done(rows)
    return Done(rows, has_more=True)
