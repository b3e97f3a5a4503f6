"""Reads what has changed in published tables, and asks the policies who may see it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
import orjson

from persistence.database import Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase, write_claims

READERS_TIMEOUT_S: Final = 5.0

# Of a statement, on a connection that is well.
_TOO_SLOW: Final = (
    TimeoutError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
)
_queries = load_queries("realtime/store")


class PoliciesTooSlow(Exception):
    """Policies took longer than they may, or wait for what others hold."""


class InvalidValue(Exception):
    """A filter's value is none of its column; the message is PostgreSQL's."""


class Reader(NamedTuple):
    """Somebody who subscribed: a role, and whose account where it is a person's."""

    role: str
    requester: Requester | None = None


class PublishedTable(NamedTuple):
    """A table whose changes are noted. `columns` are names and types in their order."""

    relation: int
    schema: str
    name: str
    columns: Mapping[str, str]
    readers: Mapping[str, frozenset[str]]
    key: tuple[str, ...]


class Change(NamedTuple):
    """A committed change: the row afterwards, and the deleted one or the key before an update."""

    seq: int
    relation: int
    operation: str
    record: bytes | None
    old_record: bytes | None
    is_cut: bool
    changed_at: datetime

    @property
    def image(self) -> bytes:
        """The row that policies are asked about."""
        row = self.old_record if self.operation == "DELETE" else self.record
        assert row is not None
        return row


class ChannelRights(NamedTuple):
    """What somebody may do on a private channel."""

    receives_broadcast: bool
    sends_broadcast: bool
    receives_presence: bool
    sends_presence: bool


class RealtimeStore:
    """Changes of published tables. The server reads them all; `rls` says who may see which."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    async def publish(self, tables: Sequence[str]) -> list[str]:
        """Have the changes of these tables noted, and of no others; gives those that cannot be."""
        async with self._database.acquire() as connection:
            return list(await connection.fetchval(_queries["publish"], list(tables)))

    async def read_published(self, roles: Sequence[str]) -> list[PublishedTable]:
        """Read which tables are published, and what these roles may read of them."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(_queries["published"], list(roles))
        return [_table(row) for row in rows]

    async def read_snapshot(self) -> str:
        """Say what is committed by now, for `read_changes` to go on from."""
        async with self._database.acquire() as connection:
            return str(await connection.fetchval(_queries["snapshot"]))

    async def read_changes(
        self, since: str, *, until: str | None, after: int, limit: int
    ) -> tuple[str, list[Change]]:
        """Read what was committed after one snapshot, up to another; and the present one."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(_queries["read_changes"], since, until, after, limit)
        changes = [Change(*tuple(row)[1:]) for row in rows if row["seq"] is not None]
        return str(rows[0]["snapshot"]), changes

    async def find_readers(
        self,
        relation: int,
        changes: Sequence[Change],
        readers: Sequence[Reader],
        asked: Sequence[Sequence[int]],
        *,
        timeout_s: float = READERS_TIMEOUT_S,
    ) -> list[tuple[int, int]]:
        """Say which readers may read which changes, of those that each is asked about.

        All numbers are places in the lists. Raises `PoliciesTooSlow`, what a policy raises, and
        `Unavailable` and `Overloaded` where the database is.
        """
        numbers = orjson.dumps([[place + 1 for place in of_one] for of_one in asked])
        async with self._rls.anonymous.acquire() as connection:
            try:
                rows = await connection.fetch(
                    _queries["readers"],
                    relation,
                    [change.image for change in changes],
                    [change.is_cut for change in changes],
                    [reader.role for reader in readers],
                    [write_claims(reader.requester, reader.role) for reader in readers],
                    numbers,
                    timeout=timeout_s,
                )
            except _TOO_SLOW as error:
                raise PoliciesTooSlow from error
        return [(row["reader"] - 1, row["image"] - 1) for row in rows]

    async def write_canonical(self, relation: int, given: Sequence[tuple[str, str]]) -> list[bytes]:
        """Write values of columns as rows have them in JSON; raise `InvalidValue`."""
        objects = [orjson.dumps({column: value}) for column, value in given]
        async with self._rls.anonymous.acquire() as connection:
            try:
                return list(await connection.fetchval(_queries["canonical"], relation, objects))
            except asyncpg.DataError as error:
                raise InvalidValue(str(error.args[0])) from None

    async def read_channel_rights(self, reader: Reader, topic: str) -> ChannelRights:
        """Say what somebody may do on a private channel."""
        claims = write_claims(reader.requester, reader.role)
        async with self._rls.anonymous.acquire() as connection:
            row = await connection.fetchrow(_queries["channel_rights"], reader.role, claims, topic)
        assert row is not None
        return ChannelRights(*(bool(each) for each in row))

    async def clear_changes(self, kept_s: float, *, limit: int) -> int:
        """Delete some changes that are older than that; says how many.

        A transaction that lasts longer than `kept_s` may find its changes gone before all nodes
        have read them.
        """
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(_queries["clear_changes"], kept_s, limit))


def _table(row: asyncpg.Record) -> PublishedTable:
    columns = orjson.loads(row["columns"])
    return PublishedTable(
        row["relation"],
        row["schema"],
        row["name"],
        {name: type_name for name, type_name, _ in columns},
        {name: frozenset(readers) for name, _, readers in columns},
        tuple(row["key"]),
    )
