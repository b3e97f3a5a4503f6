"""Accounts as they are stored: users, their sessions, refresh tokens and signing keys."""

from datetime import datetime
from typing import NamedTuple

import asyncpg

from persistence.database import Database
from persistence.queries import load
from protocol.ids import PlayerId, SessionId, UserId

SQL = load("accounts")


class StoredKey(NamedTuple):
    """A signing key: its id and its private half (PKCS#8 PEM), which contains the public one."""

    kid: str
    private_pem: str


class Guest(NamedTuple):
    """Everything that is written for a new guest."""

    user_id: UserId
    player_id: PlayerId
    username: str
    display_name: str
    avatar_seed: str
    color: str


class Holder(NamedTuple):
    """Whose session it is."""

    session_id: SessionId
    user_id: UserId
    player_id: PlayerId
    display_name: str


class SpentToken(NamedTuple):
    """A refresh token that could not be spent (again)."""

    holder: Holder
    used_at: datetime | None
    salt: str | None
    revoked: bool


class Account(NamedTuple):
    """A user, with the profile and the player."""

    user_id: UserId
    player_id: PlayerId
    username: str
    display_name: str
    is_anonymous: bool
    created_at: datetime


class IssuedToken(NamedTuple):
    """A refresh token that is handed out: its hash is stored, the token is not."""

    token_hash: bytes
    issued_at: datetime
    expires_at: datetime


class UsernameTaken(Exception):
    """Another profile has this username."""


class AccountStore:
    """Accounts in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def signing_keys(self) -> list[StoredKey]:
        """Read the keys in use, newest first."""
        async with self._database.acquire() as connection:
            records = await connection.fetch(SQL["signing_keys"])
        return [StoredKey(*record) for record in records]

    async def add_first_key(self, key: StoredKey, public_pem: str) -> None:
        """Add a key if there is none, so that nodes that start at once agree on one."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_signing_keys"])
            if not await connection.fetch(SQL["signing_keys"]):
                await connection.execute(SQL["add_signing_key"], *key, public_pem)

    async def rotate_keys(self, key: StoredKey, public_pem: str) -> None:
        """Add a key that signs from now on; all but it and the one before are retired."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_signing_keys"])
            await connection.execute(SQL["add_signing_key"], *key, public_pem)
            await connection.execute(SQL["retire_signing_keys"])

    async def add_guest(self, guest: Guest, session_id: SessionId, token: IssuedToken) -> None:
        """Make a guest with a session, or nothing; raise `UsernameTaken`."""
        values = (*guest, session_id, *token)
        async with self._database.acquire() as connection:
            try:
                await connection.execute(SQL["add_guest"], *values)
            except asyncpg.UniqueViolationError as error:
                if error.table_name != "profiles":
                    raise
                raise UsernameTaken(guest.username) from None

    async def spend_refresh_token(
        self, token_hash: bytes, *, salt: str, successor: IssuedToken
    ) -> Holder | None:
        """Trade an unused token for its successor; None if it is not good for that (any more).

        Of two that come at once with the same token, one gets None and finds it spent.
        """
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(
                SQL["spend_refresh_token"],
                token_hash,
                successor.issued_at,
                salt,
                successor.token_hash,
                successor.expires_at,
            )
        return None if record is None else Holder(*record)

    async def find_refresh_token(self, token_hash: bytes) -> SpentToken | None:
        """Read a token that could not be spent."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["find_refresh_token"], token_hash)
        if record is None:
            return None
        *holder, used_at, salt, revoked = record
        return SpentToken(Holder(*holder), used_at, salt, revoked)

    async def session_holder(self, session_id: SessionId) -> Holder | None:
        """Say whose session this is; None if it was revoked or never was."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["session_holder"], session_id)
        return None if record is None else Holder(*record)

    async def revoke_session(self, session_id: SessionId, at: datetime) -> None:
        """End a session for good; harmless if it has ended."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["revoke_session"], session_id, at)

    async def find_account(self, user_id: UserId) -> Account | None:
        """Read a user's account."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["find_account"], user_id)
        return None if record is None else Account(*record)

    async def rename(self, user_id: UserId, display_name: str) -> None:
        """Change how a user is called."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["rename_account"], user_id, display_name)
