"""What goes to a Supabase project, read in one snapshot as the owner of the tables."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, NamedTuple, Self

import asyncpg

from persistence.database import prepare_owner_connection
from persistence.queries import load_queries
from protocol.ids import UserId

SQL = load_queries("supabase/export")

# In this order, what a row refers to is there before it.
TABLES: Final = (
    "profiles",
    "luminors",
    "creations",
    "comments",
    "likes",
    "follows",
    "notifications",
    "luminor_conversations",
    "luminor_messages",
    "luminor_relationships",
)


class ExportedUser(NamedTuple):
    """An account; its metadata is JSON."""

    user_id: UserId
    is_anonymous: bool
    created_at: datetime
    updated_at: datetime
    user_data: bytes
    app_data: bytes
    banned_until: datetime | None
    is_banned: bool


class ExportedMethod(NamedTuple):
    """What an account signs in with."""

    user_id: UserId
    kind: str
    sealed: bytes
    password_hash: str | None
    linked_at: datetime


class ExportedFile(NamedTuple):
    """A file, and where its object lies."""

    bucket: str
    path: str
    key: str
    size: int


class SupabaseExport:
    """One snapshot."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, dsn: str) -> AsyncIterator[Self]:
        """Connect; everything is read as it is at this moment."""
        connection = await asyncpg.connect(dsn, command_timeout=None)
        try:
            await prepare_owner_connection(connection)
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield cls(connection)
        finally:
            connection.terminate()

    async def iterate_users(self) -> AsyncIterator[ExportedUser]:
        """Go through the accounts."""
        async for row in self._connection.cursor(SQL["users"]):
            yield ExportedUser(*row)

    async def read_methods(self) -> dict[UserId, list[ExportedMethod]]:
        """Read what accounts sign in with."""
        methods: dict[UserId, list[ExportedMethod]] = {}
        for row in await self._connection.fetch(SQL["methods"]):
            methods.setdefault(row["user_id"], []).append(ExportedMethod(*row))
        return methods

    async def iterate_files(self) -> AsyncIterator[ExportedFile]:
        """Go through the files of people."""
        async for row in self._connection.cursor(SQL["files"]):
            yield ExportedFile(*row)

    async def read_columns(self, table: str) -> list[str]:
        """Read which columns of a table are copied."""
        statement = await self._connection.prepare(SQL[table])
        return [attribute.name for attribute in statement.get_attributes()]

    async def copy(
        self, table: str, files_at: str, write: Callable[[bytes], Coroutine[Any, Any, None]]
    ) -> int:
        """Write a table as COPY does; says how many rows."""
        query = SQL[table].rstrip().rstrip(";")  # it is put in brackets
        status = await self._connection.copy_from_query(query, files_at, output=write)
        return int(status.rpartition(" ")[2])
