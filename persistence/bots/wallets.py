"""Wallets as they are stored: which account holds which Ethereum address."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from persistence.database import Database
from persistence.queries import load
from persistence.rls import Requester, RlsDatabase
from protocol.bots import BadNonce, TooManyWallets, WalletNotFound, WalletTaken
from protocol.errors import RateLimited
from protocol.ids import UserId

SQL = load("bots/wallets")
NONCE_S: Final = 600.0
NONCES_MAX: Final = 20  # of one account within their lives; each allows one signature to be checked
WALLETS_MAX: Final = 20  # of one account; about, when it links several at once
FORGOTTEN_AT_ONCE: Final = 100


class StoredWallet(NamedTuple):
    """An address, and when its account proved to hold it."""

    address: str
    linked_at: datetime


class WalletStore:
    """Wallets in PostgreSQL. People read their own; links are the server's to make."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    async def add_nonce(self, user_id: UserId, nonce: str) -> datetime:
        """Keep a nonce, and say when it expires; raise `RateLimited`."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["forget_nonces"], FORGOTTEN_AT_ONCE)
            values = (nonce, user_id, NONCE_S, NONCES_MAX)
            expires_at: datetime | None = await connection.fetchval(SQL["add_nonce"], *values)
        if expires_at is None:
            raise RateLimited("You have requested too many nonces; use one, or wait ten minutes.")
        return expires_at

    async def use_nonce(self, user_id: UserId, nonce: str) -> None:
        """Use up a nonce; raise `BadNonce`."""
        async with self._database.acquire() as connection:
            if await connection.fetchval(SQL["use_nonce"], nonce, user_id) is None:
                raise BadNonce

    async def link(self, user_id: UserId, address: str) -> None:
        """Link an address; harmless if it is somebody's own; raise `WalletTaken`."""
        async with self._database.transaction() as connection:
            values = (address, user_id, WALLETS_MAX)
            if await connection.fetchval(SQL["link_wallet"], *values) is not None:
                return
            holder = await connection.fetchval(SQL["account_of_wallet"], address)
        if holder is None:
            raise TooManyWallets
        if holder != user_id:
            raise WalletTaken

    async def list(self, who: Requester) -> Sequence[StoredWallet]:
        """List somebody's own wallets, the first linked first."""
        async with self._rls.of(who) as connection:
            rows = await connection.fetch(SQL["list_wallets"], who.user_id)
        return [StoredWallet(*row) for row in rows]

    async def unlink(self, user_id: UserId, address: str) -> None:
        """Unlink somebody's own address; raise `WalletNotFound`."""
        async with self._database.acquire() as connection:
            if await connection.fetchval(SQL["unlink_wallet"], address, user_id) is None:
                raise WalletNotFound
