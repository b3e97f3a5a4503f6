"""A Supabase project's database, or its dump in a database elsewhere: read, never changed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Self

import asyncpg
import orjson

from persistence.errors import StartRefused
from persistence.queries import load_queries

SQL = load_queries("supabase/source")

CONNECT_S: Final = 15.0
ROWS_AT_ONCE: Final = 500
# The table of each query, where it is not that of the public schema.
_TABLES: Final = {
    "users": "auth.users",
    "identities": "auth.identities",
    "objects": "storage.objects",
}

Row = dict[str, Any]


class SupabaseSource:
    """One snapshot of a project."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator[Self]:
        """Connect; everything is read as it is at this moment. Raise `StartRefused`."""
        try:
            connection = await asyncpg.connect(url, timeout=CONNECT_S, statement_cache_size=0)
        except (OSError, ValueError, TimeoutError, asyncpg.PostgresError) as error:
            raise StartRefused(
                f"The project's database cannot be reached: {type(error).__name__}: {error}"
            ) from None
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield cls(connection)
        finally:
            connection.terminate()

    async def has(self, name: str) -> bool:
        """Say whether the project has a table."""
        table = _TABLES.get(name, f"public.{name}")
        return bool(await self._connection.fetchval(SQL["has_table"], table))

    async def read(self, name: str) -> AsyncIterator[list[Row]]:
        """Read a table in portions; nothing where there is none."""
        if not await self.has(name):
            return
        rows: list[Row] = []
        async for (row,) in self._connection.cursor(SQL[name], prefetch=ROWS_AT_ONCE):
            rows.append(orjson.loads(row))
            if len(rows) == ROWS_AT_ONCE:
                yield rows
                rows = []
        if rows:
            yield rows
