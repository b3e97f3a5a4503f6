"""Roles and bans as they are stored; every change is on record in the audit log with it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Literal, NamedTuple

import asyncpg

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.ids import PlayerId, UserId

SQL = load_queries("accounts/moderation")


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

    async def set_roles(self, user_id: UserId, roles: Sequence[str], *, actor: str) -> None:
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
                after={"roles": sorted(roles)},
            )

    async def read_roles(self, user_id: UserId) -> list[str]:
        """Read what an account was made."""
        async with self._database.acquire() as connection:
            return await _roles_of(connection, user_id)

    async def search_accounts(
        self, text: str, *, email_indexes: list[bytes], limit: int
    ) -> list[AccountDetails]:
        """Find accounts by an id, the beginning of a username, or an email's index."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["find_people"], text, email_indexes, limit)
        return [_person(row) for row in rows]

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
