"""Bots as they are stored: identities, and the history of who owned them."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias

import asyncpg

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.bots import BotNotFound, BotTaken, Status, TooManyBots, WalletRequired
from protocol.ids import BotId, EpochId, PlayerId, UserId

SQL = load_queries("bots/store")
OWNERS_LISTED_MAX: Final = 1000
COLOR: Final = "#7a8794"  # of every bot that competes, until its avatar is drawn


class BotDraft(NamedTuple):
    """What a new bot is written with; `token_id` is decimal digits."""

    bot_id: BotId
    slug: str
    player_id: PlayerId
    created_by: UserId
    chain_id: int
    contract_address: str
    token_id: str
    metadata_uri: str | None


class StoredBot(NamedTuple):
    """A bot; `token_id` is decimal digits."""

    bot_id: BotId
    player_id: PlayerId
    slug: str
    chain_id: int
    contract_address: str
    token_id: str
    metadata_uri: str | None
    active_avatar_id: str | None
    status: Status
    created_at: datetime


class BotAccess(NamedTuple):
    """How a bot stands with an account: `is_owner` if one of its wallets owns the bot now."""

    status: Status
    is_owner: bool


# Raises where an account may not act for a bot; None stands for no bot at all.
Require: TypeAlias = Callable[[BotAccess | None], None]


class BotOwnership(NamedTuple):
    """Who owned a bot from when until before when; without an end, it lasts."""

    address: str
    source: str
    effective_from: datetime
    effective_to: datetime | None


class BotStatsSnapshot(NamedTuple):
    """What a bot had come to: where that is written, and its SHA-256, hexadecimal."""

    id: str
    epoch_id: EpochId | None
    uri: str
    sha256: str | None
    created_at: datetime


class SnapshotPosition(NamedTuple):
    """Where in a list of snapshots a page begins: after the one of this time and id."""

    created_at: datetime
    id: str


NEWEST: Final = SnapshotPosition(
    datetime.max.replace(tzinfo=UTC), "00000000-0000-0000-0000-000000000000"
)


class BotStore:
    """Bots in PostgreSQL. Anybody may read them; owners are the server's to know."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    async def add(self, draft: BotDraft, *, at_most: int) -> StoredBot:
        """Register a bot; raise `WalletRequired`, `BotTaken`, or `TooManyBots` beyond `at_most`.

        About so many, when an account registers several at once.
        """
        async with self._database.transaction() as connection:
            if not await connection.fetchval(SQL["has_wallet"], draft.created_by):
                raise WalletRequired
            try:
                added = await connection.fetchval(SQL["add_bot"], *draft, COLOR, at_most)
            except asyncpg.UniqueViolationError as error:
                raise _taken(error) from None
            if added is None:
                raise TooManyBots
            return await _one(connection, slug=None, bot_id=draft.bot_id)

    async def read(
        self, who: Requester | None, *, slug: str | None = None, bot_id: BotId | None = None
    ) -> StoredBot:
        """Read a bot by its slug or its id; raise `BotNotFound`."""
        async with self._rls.as_user(who) as connection:
            return await _one(connection, slug=slug, bot_id=bot_id)

    async def search(
        self, who: Requester | None, *, text: str, after: str, limit: int
    ) -> Sequence[StoredBot]:
        """List bots with a text in their slugs, by slug, after a slug."""
        async with self._rls.as_user(who) as connection:
            return _stored(await connection.fetch(SQL["list_bots"], after, text, limit))

    async def list_own(
        self, user_id: UserId, *, text: str, after: str, limit: int
    ) -> Sequence[StoredBot]:
        """List the bots that somebody's wallets own now, in the same way."""
        async with self._database.acquire() as connection:
            return _stored(await connection.fetch(SQL["own_bots"], user_id, after, text, limit))

    async def find_owners_at(self, bot_ids: Collection[BotId], at: datetime) -> dict[BotId, str]:
        """Say which address owned each bot at a moment; a bot without an owner is left out.

        Exact at the boundaries: at the moment of a transfer the bot is the new owner's.
        """
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["owners_at"], list(bot_ids), at)
        return {row["bot_identity_id"]: row["owner_address"] for row in rows}

    async def list_owners(self, bot_id: BotId) -> list[BotOwnership]:
        """Read a bot's owners, the present one first."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["list_owners"], bot_id, OWNERS_LISTED_MAX)
        return [BotOwnership(*row) for row in rows]

    async def set_owner(self, bot_id: BotId, address: str, *, actor: str, reason: str) -> None:
        """Say who owns a bot from now on, on record; raise `BotNotFound`."""
        async with self._locked(bot_id) as (connection, _):
            before = await connection.fetchval(SQL["current_owner"], bot_id)
            if before == address:
                return
            ended_at = await connection.fetchval(SQL["end_ownership"], bot_id)
            await connection.execute(SQL["begin_ownership"], bot_id, address, ended_at)
            await record_entry(
                connection,
                actor=actor,
                action="set_bot_owner",
                target=bot_id,
                before={"owner": before},
                after={"owner": address, "reason": reason},
            )

    async def set_status(self, bot_id: BotId, status: Status, *, actor: str, reason: str) -> None:
        """Suspend or retire a bot, or make it active, on record; raise `BotNotFound`."""
        async with self._locked(bot_id) as (connection, before):
            if before == status:
                return
            await connection.execute(SQL["set_status"], bot_id, status)
            await record_entry(
                connection,
                actor=actor,
                action="set_bot_status",
                target=bot_id,
                before={"status": before},
                after={"status": status, "reason": reason},
            )

    async def list_snapshots(
        self, who: Requester | None, bot_id: BotId, *, after: SnapshotPosition, limit: int
    ) -> Sequence[BotStatsSnapshot]:
        """List what a bot had come to, newest first, after a place."""
        async with self._rls.as_user(who) as connection:
            rows = await connection.fetch(SQL["list_snapshots"], bot_id, *after, limit)
        return [BotStatsSnapshot(*row) for row in rows]

    @asynccontextmanager
    async def _locked(self, bot_id: BotId) -> AsyncIterator[tuple[Connection, Status]]:
        """Work on one bot, locked, in a transaction."""
        async with self._database.transaction() as connection:
            status = await connection.fetchval(SQL["lock_bot"], bot_id)
            if status is None:
                raise BotNotFound
            yield connection, status


async def lock_bot_access(
    connection: Connection, user_id: UserId, bot_id: BotId
) -> BotAccess | None:
    """Lock a bot and read how it stands with an account."""
    row = await connection.fetchrow(SQL["standing_of"], bot_id, user_id)
    return None if row is None else BotAccess(*row)


async def _one(connection: Connection, *, slug: str | None, bot_id: BotId | None) -> StoredBot:
    row = await connection.fetchrow(SQL["read_bot"], slug, bot_id)
    if row is None:
        raise BotNotFound
    return StoredBot(**row)


def _stored(rows: Sequence[asyncpg.Record]) -> list[StoredBot]:
    return [StoredBot(**row) for row in rows]


def _taken(error: asyncpg.UniqueViolationError) -> BotTaken:
    if error.constraint_name == "bot_identities_slug_key":
        return BotTaken("This slug is taken by another bot; choose another.", field="slug")
    return BotTaken("This token is already registered as a bot.", field="token_id")
