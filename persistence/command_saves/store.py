"""Logs of saves: how they began, their events, and which requests led to them.

Everything is done in the caller's transaction, which holds the slot's row.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from persistence.database import Connection, Database
from persistence.eventlog.hashchain import genesis_hash, link_hash
from persistence.queries import load_queries
from protocol.command_saves import EVENTS_MAX
from protocol.ids import GameId, PlayerId, UserId

SQL: Final = load_queries("command_saves/store")
LISTED_AT_ONCE: Final = 500
FIRST_ID: Final = "00000000-0000-0000-0000-000000000000"


class StoredSaveLog(NamedTuple):
    """How a log began, and how far it is."""

    slot_id: str
    account_id: UserId
    player_id: PlayerId
    ruleset: str
    ruleset_version: int
    config: dict[str, Any]
    seed: str
    next_index: int
    hash: bytes


class StoredSaveLogEvent(NamedTuple):
    """An event; `payload` is canonical JSON."""

    event_index: int
    type: str
    payload: bytes
    hash: bytes
    at: datetime


class LogMutation(NamedTuple):
    """What a request led to: the events from one index to before another."""

    content_hash: str
    first_index: int
    end_index: int


class SaveLogStore:
    """The logs."""

    async def find_log(self, connection: Connection, slot_id: str) -> StoredSaveLog | None:
        """Read how a slot's log began; None where it is none."""
        row = await connection.fetchrow(SQL["find_log"], slot_id)
        if row is None:
            return None
        return StoredSaveLog(**{**dict(row), "config": orjson.loads(row["config"])})

    async def add_log(self, connection: Connection, log: StoredSaveLog) -> None:
        """Make a slot a log, without events as yet."""
        config = orjson.dumps(log.config)
        values = (*log[:5], config, log.seed, log.hash)
        await connection.execute(SQL["add_log"], *values)

    async def read_events(
        self, connection: Connection, slot_id: str, *, after: int = -1, limit: int = EVENTS_MAX
    ) -> list[StoredSaveLogEvent]:
        """Read the events after an index, in order."""
        rows = await connection.fetch(SQL["read_events"], slot_id, after, limit)
        return [StoredSaveLogEvent(*row) for row in rows]

    async def append_events(
        self,
        connection: Connection,
        log: StoredSaveLog,
        events: Sequence[tuple[str, bytes]],
        at: datetime,
    ) -> list[StoredSaveLogEvent]:
        """Add events, given by type and canonical payload, and chain them to those before."""
        added, previous = [], log.hash
        for index, (kind, payload) in enumerate(events, start=log.next_index):
            previous = link_hash(previous, index, kind, payload)
            added.append(StoredSaveLogEvent(index, kind, payload, previous, at))
        columns = [list(column) for column in zip(*added, strict=True)]
        await connection.execute(SQL["add_events"], log.slot_id, *columns)
        end = log.next_index + len(added)
        await connection.execute(SQL["advance_log"], log.slot_id, end, previous)
        return added

    async def find_mutation(
        self, connection: Connection, slot_id: str, mutation_id: str
    ) -> LogMutation | None:
        """Find what a request led to before."""
        row = await connection.fetchrow(SQL["find_mutation"], slot_id, mutation_id)
        return None if row is None else LogMutation(*row)

    async def add_mutation(
        self, connection: Connection, slot_id: str, mutation_id: str, mutation: LogMutation
    ) -> None:
        """Note what a request led to."""
        await connection.execute(SQL["add_mutation"], slot_id, mutation_id, *mutation)


async def iterate_log_ids(database: Database) -> AsyncIterator[str]:
    """Go through the ids of all slots that are logs."""
    after = FIRST_ID
    while True:
        async with database.acquire() as connection:
            rows = await connection.fetch(SQL["list_logs"], after, LISTED_AT_ONCE)
        for row in rows:
            yield row["slot_id"]
        if len(rows) < LISTED_AT_ONCE:
            return
        after = rows[-1]["slot_id"]


async def read_slot_state(connection: Connection, slot_id: str) -> dict[str, Any]:
    """Read the state that a slot has."""
    return dict(orjson.loads(await connection.fetchval(SQL["read_state"], slot_id)))


def genesis_of_slot(slot_id: str) -> bytes:
    """Give what stands before the first event of a slot's log."""
    return genesis_hash(GameId(slot_id))
