"""Telemetry events in PostgreSQL: stored once, in partitions by day, as their account allows.

The server stores them in its own right, since one statement checks a whole batch and policies would
check each row. What an account allows is read behind a lock that its decisions and its erasure wait
for, so that nothing is stored on the ground of an older decision.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

import asyncpg

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.errors import BadToken
from protocol.ids import UserId
from protocol.telemetry import Purpose

SQL = load_queries("telemetry/store")

COUNTED_MAX: Final = 1_000_000

DeadLetterCode = Literal["unknown_type", "unknown_version", "invalid_payload"]


class EventColumns(NamedTuple):
    """Some events, column by column; payloads are JSON."""

    event_ids: Sequence[str]
    types: Sequence[str]
    payloads: Sequence[bytes]
    times: Sequence[datetime]
    sessions: Sequence[str | None]
    versions: Sequence[int | None]


class StoredDeadLetter(NamedTuple):
    """An event that no schema fits; `payload` is JSON."""

    letter_id: int
    account_id: UserId
    event_id: str
    event_type: str
    schema_version: int | None
    payload: bytes
    timestamp: datetime
    session: str | None
    is_shared: bool
    code: DeadLetterCode
    problem: str
    received_at: datetime


class TypeRetention(NamedTuple):
    """For how long a type is kept, and up to when it was cleared."""

    event_type: str
    kept_days: int
    cleared_before: datetime | None


class NoPartition(Exception):
    """A day has no partition yet."""


class IngestTransaction:
    """One account's events, while it is held; `decisions` is what it decided last."""

    def __init__(
        self, connection: Connection, account_id: UserId, decisions: dict[Purpose, bool]
    ) -> None:
        self._connection = connection
        self._account_id = account_id
        self.decisions = decisions

    async def store_events(self, events: EventColumns) -> set[str]:
        """Store events; gives the ids of those that were new. Raises `NoPartition`."""
        # An array of ids is encoded one by one, which takes longer than all other columns do.
        event_ids = f"{{{','.join(events.event_ids)}}}"
        try:
            new: list[str] | None = await self._connection.fetchval(
                SQL["insert_events"], self._account_id, event_ids, *events[1:]
            )
        except asyncpg.CheckViolationError as error:
            if error.constraint_name is None:  # there is no partition for a row
                raise NoPartition from error
            raise
        return set(events.event_ids if new is None else new)

    async def queue_forwards(self, event_ids: Sequence[str]) -> None:
        """Queue some of them for every target."""
        await self._connection.execute(SQL["queue_forwards"], self._account_id, event_ids)

    async def store_dead_letters(
        self,
        events: EventColumns,
        codes: Sequence[DeadLetterCode],
        problems: Sequence[str],
        *,
        is_shared: bool,
    ) -> None:
        """Keep events that no schema fits."""
        values = (self._account_id, is_shared, *events, codes, problems)
        await self._connection.execute(SQL["insert_letters"], *values)

    async def delete_dead_letters(self, letter_ids: Sequence[int]) -> set[int]:
        """Delete dead letters, in the transaction that stores their events."""
        rows = await self._connection.fetch(SQL["delete_letters"], letter_ids)
        return {letter_id for (letter_id,) in rows}


class TelemetryStore:
    """Stores events and looks after their partitions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def begin_ingest(self, account_id: UserId) -> AsyncIterator[IngestTransaction]:
        """Hold an account while its events are stored; raise `BadToken` if it is gone."""
        async with self._database.transaction() as connection:
            if await connection.fetchval(SQL["lock_account"], account_id) is None:
                raise BadToken("This account no longer exists.")
            # A statement of its own: it sees what was decided while the lock was waited for.
            rows = await connection.fetch(SQL["decisions"], account_id)
            yield IngestTransaction(connection, account_id, dict(rows))  # type: ignore[arg-type]

    async def create_partitions(self, days: Sequence[date]) -> int:
        """Make the partitions of some days; says how many were missing."""
        made = 0
        async with self._database.acquire() as connection:
            for first, last in _stretches(days):
                made += await connection.fetchval(SQL["make_days"], first, last)
        return made

    # ------------------------------------------------------------------ dead letters

    async def list_dead_letters(
        self, *, below: int, event_type: str | None, limit: int
    ) -> list[StoredDeadLetter]:
        """Read dead letters, newest first."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["list_letters"], below, event_type, limit)
        return [StoredDeadLetter(*row) for row in rows]

    async def list_dead_letters_to_replay(
        self, event_type: str, *, after: int, limit: int
    ) -> list[StoredDeadLetter]:
        """Read dead letters of a type, oldest first."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["letters_to_replay"], event_type, after, limit)
        return [StoredDeadLetter(*row) for row in rows]

    async def update_dead_letter_problems(
        self, problems: Sequence[tuple[int, DeadLetterCode, str]]
    ) -> None:
        """Note why dead letters still fit no schema."""
        async with self._database.acquire() as connection:
            columns = [list(column) for column in zip(*problems, strict=True)]
            await connection.execute(SQL["explain_letters"], *columns)

    async def record_access(
        self, *, actor: str, action: str, target: str, after: dict[str, object] | None = None
    ) -> None:
        """Put on record that somebody read or replayed what people sent."""
        async with self._database.acquire() as connection:
            await record_entry(connection, actor=actor, action=action, target=target, after=after)

    async def count_dead_letters(self) -> int:
        """Count the dead letters, up to `COUNTED_MAX`."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["count_letters"], COUNTED_MAX))

    async def delete_old_dead_letters(self, kept_s: float, *, limit: int) -> int:
        """Delete some old dead letters; says how many."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["clear_letters"], kept_s, limit))

    # ------------------------------------------------------------------ retention

    @asynccontextmanager
    async def lead_partitions(self) -> AsyncIterator[bool]:
        """Be the one node that tends to the partitions, if no other is."""
        # Held by the connection: a transaction would be idle for too long meanwhile.
        async with self._database.acquire(changes_session=True) as connection:
            is_leader = bool(await connection.fetchval(SQL["try_lead"]))
            try:
                yield is_leader
            finally:
                if is_leader:
                    await connection.execute(SQL["stop_leading"])

    async def drop_partitions(self, before: date) -> int:
        """Drop the partitions of the days before a day; says how many."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["drop_days"], before))

    async def read_first_day(self) -> date | None:
        """Read the oldest day that has a partition."""
        async with self._database.acquire() as connection:
            first: date | None = await connection.fetchval(SQL["first_day"])
        return first

    async def list_retention(self) -> list[TypeRetention]:
        """Read for how long each type is kept."""
        async with self._database.acquire() as connection:
            return [TypeRetention(*row) for row in await connection.fetch(SQL["types_to_clear"])]

    async def delete_type_events(self, event_type: str, first_id: str, end_id: str) -> int:
        """Delete a type's events whose ids are in a range; says how many."""
        async with self._database.acquire() as connection:
            values: tuple[Any, ...] = (first_id, end_id, event_type)
            return int(await connection.fetchval(SQL["clear_type"], *values))

    async def record_cleared(self, kept: TypeRetention, before: datetime) -> None:
        """Note up to when a type was cleared."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["cleared"], kept.event_type, before, kept.kept_days)


def utc_day(ms: int) -> date:
    """Give the day of a time, in UTC, which is that of its partition."""
    return datetime.fromtimestamp(ms / 1000, UTC).date()


def _stretches(days: Sequence[date]) -> list[tuple[date, date]]:
    """Join days that follow each other."""
    joined: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if joined and day - joined[-1][1] == timedelta(days=1):
            joined[-1] = (joined[-1][0], day)
        else:
            joined.append((day, day))
    return joined
