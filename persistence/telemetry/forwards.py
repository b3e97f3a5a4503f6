"""What waits to be forwarded, in PostgreSQL: a row for each batch and target, until it is there.

One node at a time forwards to a target; it holds a lease, and no transaction while it sends. If it
dies, another goes on when the lease is over, and sends again what was not yet taken away.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple, TypeAlias

from persistence.database import Database
from persistence.queries import load_queries
from protocol.telemetry import Purpose

SQL = load_queries("telemetry/forwards")

COUNTED_MAX: Final = 100_000
ERROR_CHARS_MAX: Final = 300

TargetName: TypeAlias = Literal["webhook", "redis"]


class QueuedForward(NamedTuple):
    """A batch that waits: ids of events, or a purpose that its account withdrew."""

    seq: int
    account_id: str
    event_ids: list[str]
    withdrawn: Purpose | None
    queued_at: datetime


class ForwardedEvent(NamedTuple):
    """An event as it is forwarded; `payload` is JSON."""

    event_id: str
    account_id: str
    event_type: str
    payload: bytes
    timestamp: datetime
    session: str | None
    schema_version: int


class ForwardStore:
    """The queue in front of each target."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set_targets(self, enabled: Collection[TargetName]) -> None:
        """Say which targets there are; for the others nothing is queued any more."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["set_targets"], list(enabled))

    async def claim_target(self, target: TargetName, lease_s: float) -> int | None:
        """Be the one who forwards to a target; gives its failures so far, None if not now."""
        async with self._database.acquire() as connection:
            attempts: int | None = await connection.fetchval(SQL["claim_target"], target, lease_s)
        return attempts

    async def list_waiting(self, target: TargetName, *, limit: int) -> list[QueuedForward]:
        """Read what waits for a target, oldest first."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["next_forwards"], target, limit)
        return [QueuedForward(*row) for row in rows]

    async def read_events(self, event_ids: Sequence[str]) -> list[ForwardedEvent]:
        """Read those of some events that are still stored."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["events_to_forward"], event_ids)
        return [ForwardedEvent(*row) for row in rows]

    async def delete_forwarded(
        self, target: TargetName, seqs: Sequence[int], *, lease_s: float
    ) -> None:
        """Take away what a target has."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["forwarded"], target, seqs, lease_s)

    async def record_failure(self, target: TargetName, error: str, *, pause_s: float) -> None:
        """Note that a target failed."""
        async with self._database.acquire() as connection:
            values = (target, error[:ERROR_CHARS_MAX], pause_s)
            await connection.execute(SQL["not_forwarded"], *values)

    async def release_target(self, target: TargetName) -> None:
        """Let any node forward to a target."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["release_target"], target)

    async def delete_expired(self, kept_s: float, *, limit: int) -> int:
        """Give up some of what waited for too long; says how many batches."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["clear_forwards"], kept_s, limit))

    async def count_waiting(self) -> int:
        """Count the batches that wait, up to `COUNTED_MAX`."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["count_forwards"], COUNTED_MAX))
