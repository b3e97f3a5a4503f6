"""The types of events and their schemas in PostgreSQL."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.errors import InvalidField
from protocol.telemetry import EventPurpose

SQL = load_queries("telemetry/schemas")

SCHEMAS_MAX: Final = 500  # each is compiled on every node


class StoredTelemetrySchema(NamedTuple):
    """A version of a type's schema, which is JSON."""

    event_type: str
    version: int
    schema: bytes
    purpose: EventPurpose
    kept_days: int
    registered_at: datetime


class NewTelemetrySchema(NamedTuple):
    """A schema as it is registered."""

    event_type: str
    version: int
    schema: Mapping[str, Any]
    purpose: EventPurpose
    kept_days: int


class TelemetrySchemaStore:
    """Registers and lists schemas."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_schemas(self) -> list[StoredTelemetrySchema]:
        """Read every schema, by type and version."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["list_schemas"], SCHEMAS_MAX)
        return [StoredTelemetrySchema(*row) for row in rows]

    async def add_missing(self, new: NewTelemetrySchema) -> None:
        """Register a schema unless its type is known."""
        async with self._database.transaction() as connection:
            values = (new.event_type, new.purpose, new.kept_days)
            if await connection.fetchval(SQL["add_type"], *values) is not None:
                await _put_schema(connection, new)

    async def put(self, new: NewTelemetrySchema, *, actor: str) -> None:
        """Register a schema or correct it, on record; raise `InvalidField`."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_types"])
            before = await connection.fetchrow(SQL["find_schema"], new.event_type, new.version)
            if before is None and await connection.fetchval(SQL["count_schemas"]) >= SCHEMAS_MAX:
                raise InvalidField(f"There are {SCHEMAS_MAX} schemas already.")
            values = (new.event_type, new.purpose, new.kept_days)
            if await connection.fetchval(SQL["put_type"], *values) is None:
                raise InvalidField(
                    "purpose: it cannot change, since people decided about it; register another "
                    "type.",
                    field="purpose",
                )
            await _put_schema(connection, new)
            await record_entry(
                connection,
                actor=actor,
                action="telemetry_schema",
                target=f"{new.event_type}/{new.version}",
                before=None if before is None else _on_record(StoredTelemetrySchema(*before)),
                after={**new._asdict(), "schema": dict(new.schema)},
            )


async def _put_schema(connection: Connection, new: NewTelemetrySchema) -> None:
    written = orjson.dumps(new.schema)
    await connection.execute(SQL["put_schema"], new.event_type, new.version, written)


def _on_record(stored: StoredTelemetrySchema) -> dict[str, object]:
    return {
        "event_type": stored.event_type,
        "version": stored.version,
        "schema": orjson.loads(stored.schema),
        "purpose": stored.purpose,
        "kept_days": stored.kept_days,
    }
