"""Small objects of players and games.

What a person does runs under row level security: policies say who may read and write. Objects of
games are read and written for whoever the caller has checked.
"""

from datetime import datetime
from typing import Any, Final, NamedTuple, TypeAlias

import asyncpg
import orjson

from persistence.database import Connection, Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.ids import GameId, PlayerId, UserId
from protocol.storage import ObjectChanged, ObjectNotFound, ObjectReadOnly, TooManyObjects

SQL: Final = load_queries("storage/store")

Json: TypeAlias = dict[str, Any]


class ObjectName(NamedTuple):
    """What an object is called within its account or game."""

    collection: str
    key: str


class StoredObjectRow(NamedTuple):
    """An object as it is stored; `value` is parsed JSON."""

    collection: str
    key: str
    value: Json
    version: int
    read_by: str
    write_by: str
    updated_at: datetime


class ObjectStore:
    """Objects in PostgreSQL."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    # ------------------------------------------------------------------ of players

    async def read_of_player(
        self, who: Requester | None, player_id: PlayerId, name: ObjectName
    ) -> StoredObjectRow:
        """Read a player's object; raise `ObjectNotFound`."""
        account_id = await self._find_account(player_id)
        async with self._rls.as_user(who) as connection:
            return _found(await connection.fetchrow(SQL["read_account_object"], account_id, *name))

    async def list_of_player(
        self,
        who: Requester | None,
        player_id: PlayerId,
        collection: str,
        *,
        prefix: str,
        after: str,
        limit: int,
    ) -> list[StoredObjectRow]:
        """List a player's objects that `who` may read, by key."""
        account_id = await self._find_account(player_id)
        async with self._rls.as_user(who) as connection:
            rows = await connection.fetch(
                SQL["list_account_objects"], account_id, collection, prefix, after, limit
            )
        return [_row(row) for row in rows]

    async def write_own(
        self,
        who: Requester,
        name: ObjectName,
        value: Json,
        *,
        read_by: str,
        version: int | None,
        at_most: int,
    ) -> StoredObjectRow:
        """Write an object of one's own.

        Raises `ObjectChanged`, `ObjectReadOnly` or `TooManyObjects`.
        """
        fields = (who.user_id, *name, orjson.dumps(value), read_by)
        async with self._rls.as_user(who) as connection:
            if version != 0:
                row = await connection.fetchrow(SQL["update_own_object"], *fields, version)
                if row is not None:
                    return _row(row)
            if not version:
                row = await connection.fetchrow(SQL["add_own_object"], *fields)
                if row is not None:
                    count = await connection.fetchval(SQL["count_account_objects"], who.user_id)
                    if count > at_most:  # without those that only the server sees
                        raise TooManyObjects
                    return _row(row)
        raise await self._refusal(who.user_id, name)

    async def delete_own(self, who: Requester, name: ObjectName, *, version: int | None) -> None:
        """Delete an object of one's own; raise what `write_own` does, or `ObjectNotFound`."""
        async with self._rls.as_user(who) as connection:
            values = (who.user_id, *name, version)
            if await connection.fetchval(SQL["delete_own_object"], *values) is not None:
                return
        raise await self._refusal(who.user_id, name)

    async def _find_account(self, player_id: PlayerId) -> UserId | None:
        async with self._database.acquire() as connection:
            account_id: UserId | None = await connection.fetchval(SQL["find_account"], player_id)
        return account_id

    async def _refusal(self, account_id: UserId, name: ObjectName) -> Exception:
        """Say why an object of one's own was not written."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["read_account_object"], account_id, *name)
        if row is None:
            return ObjectNotFound()
        if row["write_by"] == "server":
            return ObjectNotFound() if row["read_by"] == "server" else ObjectReadOnly()
        return ObjectChanged(f"The object has version {row['version']} by now; read it again.")

    # ------------------------------------------------------------------ of the server

    async def read_for_server(
        self, connection: Connection, account_id: UserId, name: ObjectName
    ) -> StoredObjectRow | None:
        """Read an object of an account."""
        row = await connection.fetchrow(SQL["read_account_object"], account_id, *name)
        return None if row is None else _row(row)

    async def write_for_server(
        self,
        connection: Connection,
        account_id: UserId,
        name: ObjectName,
        value: Json,
        *,
        read_by: str,
        write_by: str,
    ) -> StoredObjectRow:
        """Write an object of an account, whoever else may."""
        fields = (account_id, *name, orjson.dumps(value), read_by, write_by)
        return _found(await connection.fetchrow(SQL["put_account_object"], *fields))

    # ------------------------------------------------------------------ of games

    async def read_of_game(self, game_id: GameId, name: ObjectName) -> StoredObjectRow:
        """Read an object of a game; raise `ObjectNotFound`."""
        async with self._database.acquire() as connection:
            return _found(await connection.fetchrow(SQL["read_game_object"], game_id, *name))

    async def list_of_game(
        self,
        game_id: GameId,
        collection: str,
        *,
        is_seated: bool,
        prefix: str,
        after: str,
        limit: int,
    ) -> list[StoredObjectRow]:
        """List the objects of a game that its players, or all others, may read, by key."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(
                SQL["list_game_objects"], game_id, collection, prefix, after, is_seated, limit
            )
        return [_row(row) for row in rows]

    async def write_of_game(
        self,
        game_id: GameId,
        name: ObjectName,
        value: Json,
        *,
        read_by: str,
        version: int | None,
        at_most: int,
    ) -> StoredObjectRow:
        """Write an object of a game; raise as `write_own` does."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["hold_game"], game_id)
            present = await connection.fetchrow(SQL["read_game_object"], game_id, *name)
            _require_writable(present, version)
            fields = (game_id, *name, orjson.dumps(value), read_by)
            if present is not None:
                return _found(await connection.fetchrow(SQL["update_game_object"], *fields, None))
            if await connection.fetchval(SQL["count_game_objects"], game_id) >= at_most:
                raise TooManyObjects
            return _found(await connection.fetchrow(SQL["add_game_object"], *fields, "owner"))

    async def delete_of_game(
        self, game_id: GameId, name: ObjectName, *, version: int | None
    ) -> None:
        """Delete an object of a game; raise as `delete_own` does."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["hold_game"], game_id)
            present = await connection.fetchrow(SQL["read_game_object"], game_id, *name)
            if present is None:
                raise ObjectNotFound
            _require_writable(present, version)
            await connection.execute(SQL["delete_game_object"], game_id, *name, None)


def _require_writable(present: asyncpg.Record | None, version: int | None) -> None:
    """Check a write of players against what is there, which nobody else changes meanwhile."""
    if present is None:
        if version:
            raise ObjectNotFound
        return
    if present["write_by"] == "server":
        raise ObjectNotFound if present["read_by"] == "server" else ObjectReadOnly
    if version is not None and version != present["version"]:
        raise ObjectChanged(f"The object has version {present['version']} by now; read it again.")


def _found(row: asyncpg.Record | None) -> StoredObjectRow:
    if row is None:
        raise ObjectNotFound
    return _row(row)


def _row(row: asyncpg.Record) -> StoredObjectRow:
    return StoredObjectRow(**{**row, "value": orjson.loads(row["value"])})
