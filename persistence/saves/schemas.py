"""The save schemas of titles in PostgreSQL; a version never changes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.ids import UserId

SQL: Final = load_queries("saves/schemas")
VERSIONS_MAX: Final = 500  # of a title


class StoredSaveSchema(NamedTuple):
    """A version of a title's save schema."""

    title: str
    version: int
    schema: Any
    merge: Mapping[str, Any]
    otherwise: Any
    upgrade: list[dict[str, Any]]
    created_at: datetime


class SaveSchemaStore:
    """Save schemas."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(
        self, title: str, *, above: int = 0, connection: Connection | None = None
    ) -> list[StoredSaveSchema]:
        """Read the versions of a title above one, oldest first.

        `connection`: the caller's, so that whoever holds a connection waits for no second one.
        """
        if connection is None:
            async with self._database.acquire() as acquired:
                return await self.read(title, above=above, connection=acquired)
        rows = await connection.fetch(SQL["read_schemas"], title, above, VERSIONS_MAX)
        return [
            StoredSaveSchema(
                row["title"],
                row["version"],
                orjson.loads(row["schema"]),
                orjson.loads(row["merge"]),
                row["otherwise"],
                orjson.loads(row["upgrade"]),
                row["created_at"],
            )
            for row in rows
        ]

    async def add(self, new: StoredSaveSchema, *, actor: UserId) -> datetime | None:
        """Add a version, on record; None if there is one of this number."""
        parts = (orjson.dumps(part) for part in (new.schema, new.merge))
        schema, merge = parts
        async with self._database.transaction() as connection:
            added: datetime | None = await connection.fetchval(
                SQL["add_schema"],
                new.title,
                new.version,
                schema,
                merge,
                new.otherwise,
                orjson.dumps(new.upgrade),
            )
            if added is not None:
                await record_entry(
                    connection,
                    actor=actor,
                    action="save_schema",
                    target=f"{new.title} {new.version}",
                    after={"otherwise": new.otherwise, "rules": len(new.merge)},
                )
        return added
