"""Roles and bans as they are stored; every change is on record in the audit log with it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Literal, NamedTuple

import asyncpg

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.ids import PlayerId, SessionId, UserId

SQL = load_queries("accounts/moderation")
_SESSIONS = load_queries("accounts/sessions")


DeactivatedBy = Literal["self", "staff"]


class Ban(NamedTuple):
    """Why somebody may not sign in, and until when; without an end, until it is lifted."""

    reason: str
    ends_at: datetime | None


class AccountDetails(NamedTuple):
    """An account as those who look after it see it."""

    user_id: UserId
    player_id: PlayerId
    username: str
    display_name: str
    created_at: datetime
    roles: list[str]
    ban: Ban | None
    deactivated_by: DeactivatedBy | None
    methods: list[str]


class AccountFilter(NamedTuple):
    """Which accounts to list; None for all. `lookups` are what `text` is indexed by."""

    text: str | None = None
    lookups: Sequence[bytes] = ()
    method: str | None = None
    role: str | None = None
    is_banned: bool = False


class NoSuchAccount(Exception):
    """There is no account with this id."""


class ModerationStore:
    """Roles and bans in PostgreSQL. `actor` is who does it: an account's id, or the console."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ban(self, user_id: UserId, ban: Ban, *, actor: str) -> None:
        """Ban an account, or change its ban; raise `NoSuchAccount`."""
        async with self._account(user_id) as connection:
            before = await _ban_of(connection, user_id)
            await connection.execute(SQL["ban"], user_id, *ban)
            await record_entry(
                connection,
                actor=actor,
                action="ban",
                target=user_id,
                before=before and before._asdict(),
                after=ban._asdict(),
            )

    async def unban(self, user_id: UserId, *, actor: str) -> None:
        """Lift a ban; harmless without one; raise `NoSuchAccount`."""
        async with self._account(user_id) as connection:
            if (before := await _ban_of(connection, user_id)) is None:
                return
            await connection.execute(SQL["lift_ban"], user_id)
            await record_entry(
                connection, actor=actor, action="unban", target=user_id, before=before._asdict()
            )

    async def deactivate(self, user_id: UserId, reason: str, *, actor: str) -> None:
        """Hide an account and refuse its sign-in; raise `NoSuchAccount`.

        What its owner deactivated is then staff's to reactivate.
        """
        async with self._account(user_id) as connection:
            before = await connection.fetchval(SQL["read_deactivation"], user_id)
            await connection.execute(SQL["deactivate"], user_id)
            await record_entry(
                connection,
                actor=actor,
                action="deactivate",
                target=user_id,
                before={"deactivated_by": before},
                after={"deactivated_by": "staff", "reason": reason},
            )

    async def reactivate(self, user_id: UserId, *, actor: str) -> None:
        """Make an account active again; harmless if it is; raise `NoSuchAccount`."""
        async with self._account(user_id) as connection:
            before = await connection.fetchval(SQL["read_deactivation"], user_id)
            if before is None:
                return
            await connection.execute(SQL["reactivate"], user_id)
            await record_entry(
                connection,
                actor=actor,
                action="reactivate",
                target=user_id,
                before={"deactivated_by": before},
            )

    async def set_roles(
        self, user_id: UserId, roles: Sequence[str], *, actor: str, reason: str | None = None
    ) -> None:
        """Make an account exactly this; raise `NoSuchAccount`."""
        async with self._account(user_id) as connection:
            before = await _roles_of(connection, user_id)
            if before == sorted(roles):
                return
            await connection.execute(SQL["take_roles"], user_id, roles)
            await connection.execute(SQL["give_roles"], user_id, roles)
            await record_entry(
                connection,
                actor=actor,
                action="set_roles",
                target=user_id,
                before={"roles": before},
                after={"roles": sorted(roles), **({"reason": reason} if reason else {})},
            )

    async def read_roles(self, user_id: UserId) -> list[str]:
        """Read what an account was made."""
        async with self._database.acquire() as connection:
            return await _roles_of(connection, user_id)

    async def search_accounts(
        self, which: AccountFilter, *, after: str | None = None, limit: int
    ) -> list[AccountDetails]:
        """List some accounts by username, after one of them."""
        text, lookups, *others = which
        async with self._database.acquire() as connection:
            rows = await connection.fetch(
                SQL["find_people"], text, list(lookups), *others, after, limit
            )
        return [_person(row) for row in rows]

    async def find_account(self, name: str) -> AccountDetails | None:
        """Find the account with a user id, a player id, or a username."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["find_account"], name)
        return None if row is None else _person(row)

    async def list_method_kinds(self) -> list[str]:
        """List the kinds of sign-in methods that accounts have."""
        async with self._database.acquire() as connection:
            return [kind for (kind,) in await connection.fetch(SQL["list_method_kinds"])]

    async def end_sessions(
        self, user_id: UserId, session_id: SessionId | None, reason: str, *, actor: str
    ) -> list[SessionId]:
        """End one session of an account, or all; says which; raise `NoSuchAccount`."""
        async with self._account(user_id) as connection:
            if session_id is None:
                rows = await connection.fetch(_SESSIONS["end_all_sessions"], user_id, None)
            else:
                rows = await connection.fetch(_SESSIONS["end_own_session"], session_id, user_id)
            ended: list[SessionId] = [row["id"] for row in rows]
            if ended:
                await record_entry(
                    connection,
                    actor=actor,
                    action="end_sessions",
                    target=user_id,
                    after={"sessions": ended, "reason": reason},
                )
        return ended

    @asynccontextmanager
    async def _account(self, user_id: UserId) -> AsyncIterator[Connection]:
        """Work on one account, locked, in a transaction."""
        async with self._database.transaction() as connection:
            if await connection.fetchrow(SQL["lock_account"], user_id) is None:
                raise NoSuchAccount(user_id)
            yield connection


async def _ban_of(connection: Connection, user_id: UserId) -> Ban | None:
    row = await connection.fetchrow(SQL["read_ban"], user_id)
    return None if row is None else Ban(*row)


async def _roles_of(connection: Connection, user_id: UserId) -> list[str]:
    return [role for (role,) in await connection.fetch(SQL["read_roles"], user_id)]


def _person(row: asyncpg.Record) -> AccountDetails:
    known = dict(row)
    reason, ends_at = known.pop("ban_reason"), known.pop("ban_ends_at")
    return AccountDetails(**known, ban=None if reason is None else Ban(reason, ends_at))
