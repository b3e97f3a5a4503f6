"""Accounts as they are stored: users, their sessions, refresh tokens and signing keys."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from persistence.accounts.audit_log import record_entry
from persistence.accounts.metadata import NO_METADATA, Metadata, merge_metadata
from persistence.accounts.moderation import Ban, DeactivatedBy
from persistence.batched_reads import BatchedReads
from persistence.database import Connection, Database
from persistence.event_outbox import event_columns
from persistence.queries import load_queries
from protocol.domain_events import UserCreated
from protocol.ids import PlayerId, SessionId, UserId

SQL = load_queries("accounts/store")

# How many refresh tokens one session is given, its first among them, and for how long those that
# were used are kept: so a session has at most one more than that.
REFRESHES_MAX: Final = 10
REFRESHES_WITHIN_S: Final = 60.0
ELSEWHERE: Final = "supabase"  # what people signed in with whose accounts another service keeps


class StoredSigningKey(NamedTuple):
    """A signing key: its id and its private half, PKCS#8 PEM or that sealed (`sealed:…`)."""

    kid: str
    private_pem: str


class ListedSigningKey(NamedTuple):
    """What may be shown of a signing key."""

    kid: str
    created_at: datetime
    retired_at: datetime | None
    is_sealed: bool


class NewAccount(NamedTuple):
    """Everything that is written for a new guest."""

    user_id: UserId
    player_id: PlayerId
    username: str
    display_name: str
    avatar_seed: str
    color: str


class SessionOwner(NamedTuple):
    """Whose session it is."""

    session_id: SessionId
    user_id: UserId
    player_id: PlayerId
    display_name: str


class SessionStatus(NamedTuple):
    """What is to be known about a session before it is believed."""

    holder: SessionOwner
    roles: tuple[str, ...]
    is_ended: bool
    ban: Ban | None
    deactivated_by: DeactivatedBy | None


class AccountStatus(NamedTuple):
    """What is to be known about somebody whose sessions another service keeps."""

    player_id: PlayerId
    display_name: str
    roles: tuple[str, ...]
    ban: Ban | None
    deactivated_by: DeactivatedBy | None


class UsedRefreshToken(NamedTuple):
    """A refresh token that could not be spent (again)."""

    holder: SessionOwner
    used_at: datetime | None
    salt: str | None
    is_ended: bool
    expires_at: datetime
    free_at: datetime | None  # when its session may have the next one, if it had too many


class Account(NamedTuple):
    """A user, with the profile and the player; `preferences` are JSON."""

    user_id: UserId
    player_id: PlayerId
    username: str
    display_name: str
    avatar_seed: str
    color: str
    is_anonymous: bool
    created_at: datetime
    xp_total: int
    preferences: bytes
    arcanean_id: str
    tier: str
    subscription_status: str | None
    avatar_url: str | None
    bio: str | None
    onboarding_completed: bool
    onboarding_step: int
    creation_count: int
    follower_count: int
    following_count: int
    is_verified: bool
    updated_at: datetime
    last_active_at: datetime | None


class IssuedRefreshToken(NamedTuple):
    """A refresh token that is handed out: hashes of it and its family are stored, it is not."""

    token_hash: bytes
    issued_at: datetime
    expires_at: datetime
    family: bytes


class NewSession(NamedTuple):
    """A session that is opened: what was signed in with, and its first refresh token."""

    session_id: SessionId
    token: IssuedRefreshToken
    method: str


class NoSuchUser(Exception):
    """There is no such row in auth.users."""


class AccountExists(Exception):
    """There is an account with this id."""


class UsernameTaken(Exception):
    """Another profile has this username."""


class AccountStore:
    """Accounts in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._session_statuses = BatchedReads(self._read_session_statuses)

    async def read_signing_keys(self) -> list[StoredSigningKey]:
        """Read the keys in use, newest first."""
        async with self._database.acquire() as connection:
            records = await connection.fetch(SQL["signing_keys"])
        return [StoredSigningKey(*record) for record in records]

    async def add_first_signing_key(self, key: StoredSigningKey, public_pem: str) -> None:
        """Add a key if there is none, so that nodes that start at once agree on one."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_signing_keys"])
            if not await connection.fetch(SQL["signing_keys"]):
                await connection.execute(SQL["add_signing_key"], *key, public_pem)

    async def rotate_signing_keys(self, key: StoredSigningKey, public_pem: str) -> None:
        """Add a key that signs from now on; all but it and the one before are retired."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_signing_keys"])
            await connection.execute(SQL["add_signing_key"], *key, public_pem)
            await connection.execute(SQL["retire_signing_keys"])

    async def rotate_signing_keys_if_old(
        self, key: StoredSigningKey, public_pem: str, *, age_s: float
    ) -> bool:
        """Rotate if the newest key is older than that; of nodes that try at once, one does."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_signing_keys"])
            if not await connection.fetchval(SQL["is_newest_key_older"], age_s):
                return False
            await connection.execute(SQL["add_signing_key"], *key, public_pem)
            return True

    async def retire_expired_signing_keys(self, outlived_s: float) -> None:
        """Retire keys that were replaced longer ago than what they signed was good for."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["retire_outlived_keys"], outlived_s)

    async def retire_signing_keys(self, kids: list[str]) -> None:
        """Retire some keys: they neither sign nor verify any more."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["retire_keys"], kids)

    async def list_signing_keys(self) -> list[ListedSigningKey]:
        """List every key there ever was, newest first."""
        async with self._database.acquire() as connection:
            return [ListedSigningKey(*row) for row in await connection.fetch(SQL["list_keys"])]

    async def replace_private_key(self, old: StoredSigningKey, private_pem: str) -> None:
        """Store a key's private half anew; nothing happens if it has changed meanwhile."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["replace_private_half"], *old, private_pem)

    async def add_guest(
        self, guest: NewAccount, session: NewSession, *, metadata: Metadata = NO_METADATA
    ) -> None:
        """Make a guest with a session, or nothing; raise `UsernameTaken`."""
        if not any(metadata):
            async with self._database.acquire() as connection:
                await insert_account(connection, guest, session)
            return
        async with self._database.transaction() as connection:
            await insert_account(connection, guest, session)
            await merge_metadata(connection, guest.user_id, metadata)

    async def has_members(self) -> bool:
        """Say whether anybody has an account that is more than a guest's."""
        async with self._database.acquire() as connection:
            return bool(await connection.fetchval(SQL["has_members"]))

    async def find_user_by_username(self, username: str) -> UserId | None:
        """Find whose a username is."""
        async with self._database.acquire() as connection:
            found = await connection.fetchval(SQL["find_username"], username)
        return None if found is None else UserId(found)

    async def open_session(self, user_id: UserId, session: NewSession) -> SessionOwner | None:
        """Open a session; None if the account is banned, deactivated or gone."""
        async with self._database.acquire() as connection:
            return await open_session(connection, user_id, session)

    async def find_active_ban(self, user_id: UserId) -> Ban | None:
        """Read why an account may not sign in now."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["active_ban"], user_id)
        return None if row is None else Ban(*row)

    async def find_deactivation(self, user_id: UserId) -> DeactivatedBy | None:
        """Read who deactivated an account; None if it is active."""
        async with self._database.acquire() as connection:
            found: DeactivatedBy | None = await connection.fetchval(SQL["deactivated_by"], user_id)
        return found

    async def deactivate_own(self, user_id: UserId) -> None:
        """Deactivate an account for its owner, on record."""
        await self._change_activity("deactivate_own", user_id, action="deactivate")

    async def reactivate_own(self, user_id: UserId) -> bool:
        """Reactivate what its owner deactivated, on record; False if there was nothing to do."""
        return await self._change_activity("reactivate_own", user_id, action="reactivate")

    async def _change_activity(self, query: str, user_id: UserId, *, action: str) -> bool:
        async with self._database.transaction() as connection:
            changed = await connection.fetch(SQL[query], user_id)
            for (target,) in changed:
                await record_entry(connection, actor=user_id, action=action, target=target)
        return bool(changed)

    async def use_refresh_token(
        self, token_hash: bytes, *, salt: str, successor: IssuedRefreshToken
    ) -> SessionOwner | None:
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
                successor.family,
                REFRESHES_WITHIN_S,
                REFRESHES_MAX,
            )
        return None if record is None else SessionOwner(*record)

    async def find_refresh_token(self, token_hash: bytes) -> UsedRefreshToken | None:
        """Read a token that could not be spent."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(
                SQL["find_refresh_token"], token_hash, REFRESHES_MAX, REFRESHES_WITHIN_S
            )
        if record is None:
            return None
        *holder, used_at, salt, is_ended, expires_at, free_at = record
        return UsedRefreshToken(SessionOwner(*holder), used_at, salt, is_ended, expires_at, free_at)

    async def find_session_by_family(self, family: bytes) -> SessionId | None:
        """Find the session whose tokens have this in common."""
        async with self._database.acquire() as connection:
            found = await connection.fetchval(SQL["session_of_family"], family)
        return None if found is None else SessionId(found)

    async def read_session_status(self, session_id: SessionId) -> SessionStatus | None:
        """Say whose session this is and whether it is good at this moment; None if it is unknown.

        Sessions that are asked for at the same time are read by one query.
        """
        return await self._session_statuses.read(session_id)

    async def _read_session_statuses(
        self, session_ids: Sequence[SessionId]
    ) -> dict[SessionId, SessionStatus]:
        async with self._database.acquire() as connection:
            records = await connection.fetch(SQL["session_statuses"], session_ids)
        return {record[0]: _session_status(record) for record in records}

    async def read_account_status(self, user_id: UserId) -> AccountStatus | None:
        """Say who an account is; None if it has no profile and player yet."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["account_status"], user_id)
        if record is None:
            return None
        player_id, display_name, roles, reason, ends_at, deactivated_by = tuple(record)
        ban = None if reason is None else Ban(reason, ends_at)
        return AccountStatus(player_id, display_name, tuple(roles), ban, deactivated_by)

    async def ensure_profile_and_player(self, guest: NewAccount) -> None:
        """Make profile and player where missing; raise `UsernameTaken` or `NoSuchUser`."""
        event = event_columns(UserCreated(user_id=guest.user_id, method=ELSEWHERE))
        async with self._database.acquire() as connection:
            try:
                await connection.execute(SQL["welcome_person"], *guest, *event)
            except asyncpg.UniqueViolationError:
                raise UsernameTaken(guest.username) from None
            except asyncpg.ForeignKeyViolationError:
                raise NoSuchUser(guest.user_id) from None

    async def end_session(self, session_id: SessionId) -> None:
        """End a session for good; harmless if it has ended."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["end_session"], session_id)

    async def find_account(self, user_id: UserId) -> Account | None:
        """Read a user's account."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["find_account"], user_id)
        return None if record is None else Account(*record)


async def insert_account(connection: Connection, guest: NewAccount, session: NewSession) -> None:
    """Make a user, profile, player and session; raise `UsernameTaken`."""
    values = (*guest, session.session_id, *session.token, session.method)
    event = event_columns(UserCreated(user_id=guest.user_id, method=session.method))
    try:
        await connection.execute(SQL["add_guest"], *values, *event)
    except asyncpg.UniqueViolationError as error:
        if error.table_name != "profiles":
            raise
        raise UsernameTaken(guest.username) from None


async def insert_account_of_absent(
    connection: Connection, account: NewAccount, *, method: str
) -> None:
    """Make a user, profile and player, but no session.

    Raises `UsernameTaken`, or `AccountExists` for an id that is taken.
    """
    event = event_columns(UserCreated(user_id=account.user_id, method=method))
    try:
        await connection.execute(SQL["add_account"], *account, *event)
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == "idx_profiles_username":
            raise UsernameTaken(account.username) from None
        raise AccountExists(account.user_id) from None


async def open_session(
    connection: Connection, user_id: UserId, session: NewSession
) -> SessionOwner | None:
    """Open a session for an account; None if it is banned or gone."""
    record = await connection.fetchrow(
        SQL["open_session"], user_id, session.session_id, *session.token, session.method
    )
    return None if record is None else SessionOwner(*record)


def _session_status(record: asyncpg.Record) -> SessionStatus:
    *holder, roles, is_ended, reason, ends_at, deactivated_by = record
    ban = None if reason is None else Ban(reason, ends_at)
    return SessionStatus(SessionOwner(*holder), tuple(roles), is_ended, ban, deactivated_by)
