"""What bots sign in with, as it is stored: hashes, and what each is good for."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from persistence.bots.store import Require, lock_bot_access
from persistence.database import Database
from persistence.queries import load_queries
from protocol.bots import BotTokenNotFound, Scope, Status, TooManyBotTokens
from protocol.ids import BotId, PlayerId, UserId

SQL = load_queries("bots/tokens")
LISTED_MAX: Final = 100


class BotTokenDraft(NamedTuple):
    """What a new token is written with."""

    token_id: str
    bot_id: BotId
    token_hash: bytes
    label: str
    scopes: Sequence[Scope]
    expires_at: datetime | None


class StoredToken(NamedTuple):
    """A token; the secret is not kept."""

    token_id: str
    label: str
    scopes: Sequence[Scope]
    created_by_address: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class TokenStatus(NamedTuple):
    """Which bot a token is for, and whether it is good.

    `is_owners`: its maker owns the bot now, by a linked wallet of an account that is not banned.
    """

    token_id: str
    bot_id: BotId
    player_id: PlayerId
    slug: str
    status: Status
    scopes: Sequence[Scope]
    expires_at: datetime | None
    is_revoked: bool
    is_expired: bool
    is_owners: bool


class BotTokenStore:
    """Tokens of bots in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, user_id: UserId, draft: BotTokenDraft, require: Require, *, at_most: int
    ) -> StoredToken:
        """Keep a token that the owner of an active bot makes.

        Raises what `require` raises, or `TooManyBotTokens` for more than `at_most` good ones of
        one bot; about so many, when several are made at once.
        """
        async with self._database.transaction() as connection:
            added = await connection.fetchrow(SQL["add_token"], *draft, user_id, at_most)
            if added is not None:
                return StoredToken(**added)
            require(await lock_bot_access(connection, user_id, draft.bot_id))
        raise TooManyBotTokens

    async def list(self, user_id: UserId, bot_id: BotId) -> Sequence[StoredToken]:
        """List what somebody's wallets made of a bot's tokens, newest first."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["list_tokens"], bot_id, user_id, LISTED_MAX)
        return [StoredToken(**row) for row in rows]

    async def revoke(self, user_id: UserId, bot_id: BotId, token_id: str) -> None:
        """Revoke a token that somebody's wallet made; raise `BotTokenNotFound`."""
        async with self._database.acquire() as connection:
            values = (token_id, bot_id, user_id)
            if await connection.fetchval(SQL["revoke_token"], *values) is None:
                raise BotTokenNotFound

    async def read_status(self, token_hash: bytes) -> TokenStatus | None:
        """Say what a token is good for; None if it is not known."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["read_status"], token_hash)
        return None if row is None else TokenStatus(**row)

    async def find_valid(self, token_ids: Collection[str]) -> set[str]:
        """Say which of these tokens are neither revoked nor their former owner's."""
        async with self._database.acquire() as connection:
            return {
                token_id for (token_id,) in await connection.fetch(SQL["still_good"], token_ids)
            }
