"""Domain events that must not be lost, from the transaction that caused them to their listeners.

    append        in the transaction of what happened: both are kept, or neither
    claim         any node takes what is due, for a while; another skips what is taken
    finish        every listener has it
    postpone      some listener failed: who has it is noted, the others get it again later
    clear         what everybody has had for long enough goes

A claim is a lease, not a lock: no transaction stays open while listeners work. A node that dies
between the commit of an event and its delivery, or halfway through its listeners, leaves a row
that is due again when the lease is over. So every listener gets every event at least once, and may
get it twice, with the same `event_id`.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.domain_events import DurableEvent

SQL = load_queries("event_outbox")

COUNTED_MAX: Final = 10_000  # what a look at the backlog counts at most, of each
ERROR_CHARS_MAX: Final = 300


class ClaimedEvent(NamedTuple):
    """An event that this node may deliver now; `delivered_to` are the listeners that have it."""

    seq: int
    event_id: str
    name: str
    version: int
    payload: bytes
    occurred_at: datetime
    attempts: int
    delivered_to: list[str]


class WaitingEvent(NamedTuple):
    """An event that some listener does not have; `dead_at` is when it was given up."""

    seq: int
    event_id: str
    name: str
    occurred_at: datetime
    attempts: int
    delivered_to: list[str]
    last_error: str | None
    next_attempt_at: datetime
    dead_at: datetime | None


class OutboxBacklog(NamedTuple):
    """How many events wait and how many were given up (`COUNTED_MAX` stands for more)."""

    pending: int = 0
    dead: int = 0
    oldest_s: float = 0.0


def event_columns(event: DurableEvent) -> tuple[str, int, bytes]:
    """Lay an event out as the columns `name`, `version` and `payload`."""
    return event.name, event.version, event.model_dump_json().encode()


async def append_durable_event(connection: Connection, event: DurableEvent) -> None:
    """Write an event in the transaction that caused it. Not as a person: the table is closed."""
    await connection.execute(SQL["append_event"], *event_columns(event))


class EventOutbox:
    """The events of the outbox, for whoever delivers them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(
        self, names: Collection[str], *, limit: int, lease_s: float
    ) -> list[ClaimedEvent]:
        """Take some events that are due, for so long; each take counts as an attempt."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["claim_events"], list(names), limit, lease_s)
        return sorted(ClaimedEvent(*row) for row in rows)

    async def finish(self, events: Sequence[ClaimedEvent], listeners: Sequence[str]) -> None:
        """Note that all these listeners have these events."""
        if events:
            seqs = [event.seq for event in events]
            async with self._database.acquire() as connection:
                await connection.execute(SQL["finish_events"], seqs, listeners)

    async def postpone(
        self,
        event: ClaimedEvent,
        *,
        delivered_to: Sequence[str],
        error: str,
        pause_s: float,
        is_dead: bool,
    ) -> None:
        """Note who has an event, and that it is tried again after a pause, or given up.

        Nothing happens if another node has taken it meanwhile.
        """
        values = (delivered_to, error[:ERROR_CHARS_MAX], pause_s, is_dead)
        async with self._database.acquire() as connection:
            await connection.execute(SQL["postpone_event"], event.seq, event.attempts, *values)

    async def release(self, events: Sequence[ClaimedEvent]) -> None:
        """Give back events that were not tried."""
        if events:
            async with self._database.acquire() as connection:
                await connection.execute(SQL["release_events"], [event.seq for event in events])

    async def delete_delivered(self, kept_s: float, *, dead_kept_s: float, limit: int) -> int:
        """Delete some events that were done, or given up, so long ago; says how many."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["clear_events"], kept_s, dead_kept_s, limit))

    async def list_events(self, *, is_dead: bool, after: int, limit: int) -> list[WaitingEvent]:
        """List events that wait, or that were given up, oldest first, after one of them."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["list_events"], is_dead, after, limit)
        return [WaitingEvent(*row) for row in rows]

    async def retry_event(self, event_id: str, *, actor: str) -> bool:
        """Have an event delivered again now; False if none with this id waits."""
        async with self._database.transaction() as connection:
            name = await connection.fetchval(SQL["retry_event"], event_id)
            if name is None:
                return False
            await record_entry(
                connection,
                actor=actor,
                action="retry_event",
                target=event_id,
                after={"name": name},
            )
        return True

    async def count_backlog(self) -> OutboxBacklog:
        """Count what waits."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["backlog"], COUNTED_MAX)
        assert row is not None
        return OutboxBacklog(*row)
