"""Wallets as they are stored: which account holds which Ethereum address."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from persistence.database import Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.bots import BadNonce, WalletNotFound
from protocol.ids import UserId

SQL = load_queries("bots/wallets")


class StoredWallet(NamedTuple):
    """An address, and when its account proved to hold it."""

    address: str
    linked_at: datetime


class WalletStore:
    """Wallets in PostgreSQL. People read their own; links are the server's to make."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    async def add_nonce(
        self, user_id: UserId, nonce: str, *, life_s: float, at_most: int
    ) -> datetime | float:
        """Keep a nonce, and say when it expires.

        If the account has `at_most` already, give the seconds until it may have another.
        """
        async with self._database.transaction() as connection:
            values = (nonce, user_id, life_s, at_most)
            expires_at: datetime | None = await connection.fetchval(SQL["add_nonce"], *values)
            if expires_at is not None:
                return expires_at
            wait_s: float | None = await connection.fetchval(SQL["nonce_wait"], user_id, at_most)
        return max(0.0, wait_s or 0.0)

    async def forget_nonces(self, *, limit: int) -> int:
        """Forget some nonces that have expired; says how many."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["forget_nonces"], limit))

    async def use_nonce(self, user_id: UserId, nonce: str) -> None:
        """Use up a nonce; raise `BadNonce`."""
        async with self._database.acquire() as connection:
            if await connection.fetchval(SQL["use_nonce"], nonce, user_id) is None:
                raise BadNonce

    async def link(self, user_id: UserId, address: str, *, at_most: int) -> UserId | None:
        """Link an address, unless an account holds it; says which one does now.

        That is None if the account has `at_most` already; about, when it links several at once.
        """
        async with self._database.transaction() as connection:
            values = (address, user_id, at_most)
            if await connection.fetchval(SQL["link_wallet"], *values) is not None:
                return user_id
            holder: UserId | None = await connection.fetchval(SQL["account_of_wallet"], address)
        return holder

    async def list(self, who: Requester) -> Sequence[StoredWallet]:
        """List somebody's own wallets, the first linked first."""
        async with self._rls.as_user(who) as connection:
            rows = await connection.fetch(SQL["list_wallets"], who.user_id)
        return [StoredWallet(*row) for row in rows]

    async def unlink(self, user_id: UserId, address: str) -> None:
        """Unlink somebody's own address; raise `WalletNotFound`."""
        async with self._database.acquire() as connection:
            if await connection.fetchval(SQL["unlink_wallet"], address, user_id) is None:
                raise WalletNotFound
