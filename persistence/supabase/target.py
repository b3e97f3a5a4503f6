"""Playhall's tables, as an import from a Supabase project writes them: the rows that fit."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, NamedTuple, Self

import asyncpg
import orjson

from persistence.accounts.metadata import METADATA_BYTES_MAX, Metadata, merge_metadata
from persistence.accounts.sign_in import MethodLinkedElsewhere, NewSignInMethod, link_method
from persistence.accounts.store import (
    AccountExists,
    NewAccount,
    UsernameTaken,
    insert_account_of_absent,
)
from persistence.database import prepare_owner_connection
from persistence.queries import load_queries
from persistence.supabase.source import Row
from protocol.errors import InvalidField
from protocol.ids import UserId

SQL = load_queries("supabase/target")

IMPORTED: Final = "supabase"
# In this order, what a row refers to is there before it.
SOCIAL_TABLES: Final = {
    "creations": "add_creations",
    "comments": "add_comments",
    "likes": "add_likes",
    "follows": "add_follows",
    "notifications": "add_notifications",
    "luminor_conversations": "add_luminor_conversations",
    "luminor_messages": "add_luminor_messages",
    "luminor_relationships": "add_luminor_relationships",
}
_ADDING: Final = {"luminors": "add_luminors", **SOCIAL_TABLES}

Refused = Callable[[str, str], None]


class ImportedAccount(NamedTuple):
    """An account of a project as it will be here; `profile` is its row there, if it has one."""

    account: NewAccount
    methods: Sequence[NewSignInMethod]
    metadata: Metadata
    created_at: str | None
    username: str | None
    profile: Row | None
    banned_until: datetime | None


class ImportTarget:
    """One connection of the owner's. `refused` is told of what was left out, and why."""

    def __init__(self, connection: asyncpg.Connection, refused: Refused) -> None:
        self._connection = connection
        self._refused = refused

    @classmethod
    @asynccontextmanager
    async def open(cls, dsn: str, refused: Refused) -> AsyncIterator[Self]:
        """Connect as the owner of the tables."""
        connection = await asyncpg.connect(dsn, command_timeout=None)
        try:
            await prepare_owner_connection(connection)
            yield cls(connection, refused)
        finally:
            connection.terminate()

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[None]:
        """Write some rows in one transaction, without the triggers for what happens anew."""
        async with self._connection.transaction():
            await self._connection.execute(SQL["hold_triggers"])
            yield
            await self._connection.execute(SQL["release_triggers"])

    async def has_account(self, user_id: str) -> bool:
        """Say whether there is an account with an id."""
        return bool(await self._connection.fetchval(SQL["has_account"], user_id))

    async def add_account(self, imported: ImportedAccount) -> bool:
        """Add an account; False if its names are taken, so that others have to be drawn."""
        account = imported.account
        try:
            async with self._connection.transaction():
                await insert_account_of_absent(self._connection, account, method=IMPORTED)
        except UsernameTaken:
            return False
        except AccountExists:
            return True
        user_id = account.user_id
        created_at = imported.created_at and datetime.fromisoformat(imported.created_at)
        await self._connection.execute(SQL["date_account"], user_id, created_at)
        for method in imported.methods:
            await self._try(f"account {user_id}: {method.kind}", self._link, user_id, method)
        await self._try(f"account {user_id}: metadata", self._keep, user_id, imported.metadata)
        if imported.banned_until is not None:
            ban = (user_id, "Banned before the move.", imported.banned_until)
            await self._connection.execute(SQL["ban_account"], *ban)
        if imported.profile is not None:
            row = orjson.dumps(imported.profile)
            await self._try(f"profile {user_id}", self._execute, "copy_profile", row)
        if imported.username is not None:
            named = (user_id, imported.username)
            await self._try(f"username {user_id}", self._execute, "set_username", *named)
        return True

    async def add_luminors(self, rows: Sequence[Row]) -> dict[str, str]:
        """Add companions; gives the ids here of those whose slugs are taken, by theirs there."""
        others = {}
        for row in rows:
            found = await self._connection.fetchval(SQL["find_luminor"], row["slug"])
            if found is None:
                await self._add_one("luminors", row)
            elif found != row["id"]:
                others[row["id"]] = found
        return others

    async def add_rows(self, table: str, rows: Sequence[Row]) -> int:
        """Add rows of a table; gives how many are there now."""
        try:
            async with self._connection.transaction():
                await self._connection.execute(SQL[_ADDING[table]], orjson.dumps(rows))
        except asyncpg.PostgresError:  # then each by itself
            return sum([await self._add_one(table, row) for row in rows])
        return len(rows)

    async def _add_one(self, table: str, row: Row) -> bool:
        return await self._try(
            f"{table} {row.get('id')}", self._execute, _ADDING[table], orjson.dumps([row])
        )

    async def _execute(self, query: str, *values: object) -> None:
        await self._connection.execute(SQL[query], *values)

    async def _link(self, user_id: UserId, method: NewSignInMethod) -> None:
        await link_method(self._connection, user_id, method)

    async def _keep(self, user_id: UserId, metadata: Metadata) -> None:
        await merge_metadata(self._connection, user_id, metadata)

    async def _try(self, what: str, act: Callable[..., object], *values: object) -> bool:
        """Do something in a savepoint; what does not fit is left out and named."""
        try:
            async with self._connection.transaction():
                await act(*values)  # type: ignore[misc]
        except MethodLinkedElsewhere:
            self._refused(what, "another account signs in with it")
        except InvalidField:
            self._refused(what, f"more than {METADATA_BYTES_MAX} bytes")
        except asyncpg.PostgresError as error:
            self._refused(what, str(error).partition("\n")[0])
        else:
            return True
        return False
