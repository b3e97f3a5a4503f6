"""Periodic work on the database that nodes share: which of it is due, and the work itself.

A job is a row with the time at which it is due. A node takes it for a while by a lease, so one does
it at a time, and another one takes it when that node has died. Every job does its work in bounded
steps that each commit, so what was done before it died stays done.
"""

from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from persistence.database import Database
from persistence.queries import load_queries

SQL: Final = load_queries("maintenance/store")
ERROR_CHARS_MAX: Final = 1000
VACUUM_TIMEOUT_S: Final = 600.0
SIZES_MAX: Final = 50  # the largest tables
STATEMENTS_MAX: Final = 50
STANDBYS_MAX: Final = 20


class JobRun(NamedTuple):
    """A job, and how it went last; `duration_s` is in seconds."""

    job: str
    due_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    duration_s: float | None
    row_count: int | None
    last_error: str | None


class MaintainedTable(NamedTuple):
    """A table that is analysed and vacuumed; a parent's rows are in its partitions."""

    name: str
    is_parent: bool
    may_vacuum: bool


class Standby(NamedTuple):
    """A server that receives the log, and how far it is behind."""

    name: str
    lag_s: float
    lag_bytes: float


class StatementTotal(NamedTuple):
    """What a statement took in all, as pg_stat_statements counts it."""

    query: str
    calls: int
    total_s: float


class MaintenanceStore:
    """Maintenance in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # ------------------------------------------------------------------ which job is due

    async def add_job(self, job: str, *, first_in_s: float) -> None:
        """Have a job known, if it is not."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["add_job"], job, first_in_s)

    async def claim(self, job: str, *, lease_s: float) -> datetime | None:
        """Take a job that is due; gives the lease, or None."""
        async with self._database.acquire() as connection:
            lease: datetime | None = await connection.fetchval(SQL["claim"], job, lease_s)
            return lease

    async def finish(
        self, job: str, lease: datetime, *, rows: int, error: str | None, due_in_s: float
    ) -> None:
        """Note how a job went; a lease that was lost notes nothing."""
        said = None if error is None else error[:ERROR_CHARS_MAX]
        async with self._database.acquire() as connection:
            await connection.execute(SQL["finish"], job, lease, rows, said, due_in_s)

    async def list_jobs(self) -> list[JobRun]:
        """List the jobs."""
        async with self._database.acquire() as connection:
            return [JobRun(*row) for row in await connection.fetch(SQL["list_jobs"])]

    async def request_job(self, job: str) -> bool:
        """Have a job done soon; False if there is none of this name."""
        async with self._database.acquire() as connection:
            return await connection.fetchval(SQL["request_job"], job) is not None

    # ------------------------------------------------------------------ the work

    async def make_months(self, *, ahead: int) -> int:
        """Make the partitions of this month and some after it; gives how many were missing."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["give_way"])
            return int(await connection.fetchval(SQL["make_months"], ahead))

    async def drop_months(self) -> int:
        """Drop the partitions of old months that hold nothing; gives how many."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["give_way"])
            return int(await connection.fetchval(SQL["drop_months"]))

    async def count_late(self) -> int:
        """Count the rows that wait for the partition of their month."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["count_late"]))

    async def archive_conversations(self, *, days: int, limit: int) -> int:
        """Archive some conversations in which nothing was said for long; gives how many."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["archive_conversations"], days, limit))

    async def list_tables(self) -> list[MaintainedTable]:
        """List the tables that are analysed and vacuumed."""
        async with self._database.acquire() as connection:
            return [MaintainedTable(*row) for row in await connection.fetch(SQL["list_tables"])]

    async def analyse(self, table: str) -> bool:
        """Analyse a table; False if it is gone."""
        async with self._database.acquire() as connection:
            return bool(await connection.fetchval(SQL["analyse"], table))

    async def vacuum(self, table: str) -> None:
        """Vacuum and analyse a table of `list_tables`, on a connection of its own."""
        connection = await self._database.open_unpooled_connection()
        try:
            await connection.execute(f"SET statement_timeout = '{int(VACUUM_TIMEOUT_S)}s'")
            # No parameter can stand for a name; these come from the catalogue, quoted.
            await connection.execute(f"VACUUM (ANALYZE) {table}", timeout=VACUUM_TIMEOUT_S + 5)
        except asyncpg.UndefinedTableError:
            pass  # a partition that was dropped meanwhile
        finally:
            connection.terminate()

    # ------------------------------------------------------------------ figures

    async def list_sizes(self) -> dict[str, int]:
        """Read how many bytes the largest tables take."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["list_sizes"], SIZES_MAX)
            return {row["name"]: row["bytes"] for row in rows}

    async def is_archiving_broken(self) -> bool:
        """Say whether PostgreSQL failed to archive its log; False where it does not archive."""
        async with self._database.acquire() as connection:
            return bool(await connection.fetchval(SQL["read_archiving"]))

    async def list_standbys(self) -> list[Standby]:
        """List the standbys; none where this login may not see them."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["read_standbys"], STANDBYS_MAX)
            return [Standby(*row) for row in rows]

    async def read_statements(self) -> list[StatementTotal]:
        """Read what statements took; nothing where pg_stat_statements is not there."""
        async with self._database.acquire() as connection:
            if not await connection.fetchval(SQL["has_statements"]):
                return []
            rows = await connection.fetch(SQL["read_statements"], STATEMENTS_MAX)
            return [StatementTotal(*row) for row in rows]
