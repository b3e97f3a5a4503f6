"""What is stored about one person: read out whole, or erased.

Which tables that is, the database finds by their foreign keys (`playhall_auth.person_tables`).
It reads and erases in functions of its own, with the rights of the schema's owner and one
person's id as all that is passed, so neither needs a grant for every table that is added.
"""

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from persistence.accounts.audit_log import record_entry
from persistence.accounts.merges import lock_merges
from persistence.archives.reader import ArchivedLogs
from persistence.database import Connection, Database
from persistence.event_outbox import append_durable_event
from persistence.eventlog.writer import row_columns
from persistence.objects import ObjectStorage
from persistence.queries import load_queries
from protocol.domain_events import UserErased
from protocol.ids import GameId, PlayerId, SessionId, UserId

SQL = load_queries("profiles/personal_data")

PAGE_ROWS: Final = 200
# What names a wallet, by its address: no key leads from there to a person.
BY_WALLET: Final = {
    "votes": SQL["own_votes"],
    "bots": SQL["own_bots"],
    "bot_tokens": SQL["own_bot_tokens"],
    "loadouts": SQL["own_loadouts"],
    "payouts": SQL["own_payouts"],
}
ERASED_MAX: Final = 10_000  # of a look; what is over is closed when its token expires


class ErasureProof(NamedTuple):
    """What an erasure is checked against; a guest cannot sign in, so never did."""

    username: str
    can_sign_in: bool
    signed_in_at: datetime | None


class AccountWasMerged(Exception):
    """The account was merged into another one, which is the one to erase."""


class PersonalRows:
    """Everything that names one person, as one moment has it. A row is JSON without a newline."""

    def __init__(self, connection: Connection, user_id: UserId, archived: ArchivedLogs) -> None:
        self._connection = connection
        self._user_id = user_id
        self._archived = archived

    async def iterate_parts(self) -> Mapping[str, AsyncIterator[bytes]]:
        """Name every part there may be, and give its rows; go through one at a time."""
        tables = [name for (name,) in await self._connection.fetch(SQL["person_tables"])]
        return {
            "games/games": self._rows(SQL["own_games"]),
            "games/moves": self._moves(),
            **{f"wallets/{name}": self._rows(query) for name, query in BY_WALLET.items()},
            **{
                f"tables/{name.removeprefix('public.')}": self._rows(SQL["person_rows"], name)
                for name in tables
            },
        }

    async def _rows(self, query: str, *arguments: str) -> AsyncIterator[bytes]:
        for (user_id,) in await self._connection.fetch(SQL["parts_of"], self._user_id):
            async for (row,) in self._read(query, user_id, *arguments):
                yield row

    async def _moves(self) -> AsyncIterator[bytes]:
        """Give the moves of all games, the archived ones at their places among the others."""
        for (user_id,) in await self._connection.fetch(SQL["parts_of"], self._user_id):
            after = 0
            async for seq, game_id, seat in self._read(SQL["own_archived_games"], user_id):
                async for (row,) in self._read(SQL["own_moves"], user_id, after, seq):
                    yield row
                async for row in self._archived_moves(game_id, seat):
                    yield row
                after = seq
            async for (row,) in self._read(SQL["own_moves"], user_id, after, None):
                yield row

    async def _archived_moves(self, game_id: GameId, seat: int) -> AsyncIterator[bytes]:
        archive = await self._archived.find(self._connection, game_id)
        assert archive is not None, "it is read in the transaction that has found it"
        async for rows in self._archived.iterate_pages(archive):
            query = SQL["own_archived_moves"]
            for (move,) in await self._connection.fetch(query, game_id, seat, *row_columns(rows)):
                yield move

    def _read(self, query: str, *arguments: object) -> AsyncIterable[asyncpg.Record]:
        return self._connection.cursor(query, *arguments, prefetch=PAGE_ROWS)


class PersonalDataStore:
    """One person's data in PostgreSQL."""

    def __init__(self, database: Database, objects: ObjectStorage | None = None) -> None:
        self._database = database
        self._archived = ArchivedLogs(objects)

    @asynccontextmanager
    async def begin_export(self, user_id: UserId) -> AsyncIterator[PersonalRows]:
        """Read as of one moment; that it was done is put on record when all was read."""
        async with self._database.acquire() as connection:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                yield PersonalRows(connection, user_id, self._archived)
            await record_entry(connection, actor=user_id, action="export", target=user_id)

    async def read_erasure_proof(
        self, user_id: UserId, session_id: SessionId
    ) -> ErasureProof | None:
        """Read what an erasure is checked against; None if the account is gone."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["read_proof"], user_id, session_id)
        return None if row is None else ErasureProof(*row)

    async def erase(self, user_id: UserId, *, actor: str | None = None) -> PlayerId | None:
        """Erase a person, with what was merged into them, and put it on record.

        `actor` is who does it, if it is not the person. Gives the player that is left, nameless.
        Raises `AccountWasMerged`.
        """
        async with self._database.transaction() as connection:
            await lock_merges(connection)
            if await connection.fetchval(SQL["is_merged"], user_id):
                raise AccountWasMerged
            parts = await connection.fetch(SQL["parts_of"], user_id)
            player_id: PlayerId | None = await connection.fetchval(SQL["erase_person"], user_id)
            await record_entry(connection, actor=actor or user_id, action="erase", target=user_id)
            for (part,) in parts:
                await append_durable_event(connection, UserErased(user_id=part))
        return player_id

    async def read_recently_erased(self, within_s: float) -> frozenset[PlayerId]:
        """Read who was erased within some seconds, by the database's clock."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["erased_lately"], within_s, ERASED_MAX)
        return frozenset(player_id for (player_id,) in rows)
