"""Rows of the social platform by the hundred thousand, for development: copied, then added in bulk.

It needs the login that owns the tables. Whatever a batch adds is there whole or not at all, and a
row that is there already stays as it is.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self

import asyncpg

from persistence.database import SESSION
from persistence.dsn import normalise_dsn
from persistence.errors import StartRefused
from persistence.preflight import CONNECT_TIMEOUT_S
from persistence.queries import load_queries

SQL: Final = load_queries("social/seeding")
# What takes long here is no mistake; words are indexed in fewer, larger portions.
_SESSION: Final = SESSION | {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "maintenance_work_mem": "256MB",
    "gin_pending_list_limit": "64MB",
}
Row = tuple[Any, ...]


class NotTheOwner(StartRefused):
    """The login may not leave out triggers."""


@dataclass(slots=True)
class SocialBatch:
    """Rows of one transaction; their columns are those of the staged tables."""

    people: Sequence[Row] = ()
    blocks: Sequence[Row] = ()
    follows: Sequence[Row] = ()
    creations: list[Row] = field(default_factory=list)
    likes: list[Row] = field(default_factory=list)
    comments: list[Row] = field(default_factory=list)
    comment_likes: list[Row] = field(default_factory=list)
    notifications: list[Row] = field(default_factory=list)


# In the order of foreign keys: which staged tables a statement adds from.
_ADDED: Final = (
    ("add_people", ("people",)),
    ("add_ties", ("blocks", "follows")),
    ("add_creations", ("creations",)),
    ("list_creations", ("creations",)),
    ("add_likes", ("likes",)),
    ("add_comments", ("comments",)),
    ("add_comment_likes", ("comment_likes",)),
    ("add_notifications", ("notifications",)),
)


class SocialSeedStore:
    """One connection of the owner's, with its temporary tables."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @classmethod
    @asynccontextmanager
    async def open(cls, dsn: str) -> AsyncIterator[Self]:
        """Connect for a block."""
        connection = await asyncpg.connect(
            normalise_dsn(dsn), timeout=CONNECT_TIMEOUT_S, server_settings=_SESSION
        )
        try:
            await connection.execute(SQL["stage"])
            yield cls(connection)
        finally:
            connection.terminate()

    async def find_person(self, username: str) -> str | None:
        """Find the account of a username."""
        found = await self._connection.fetchval(SQL["find_person"], username)
        return None if found is None else str(found)

    async def has_members(self) -> bool:
        """Say whether anybody has an account to come back to."""
        return bool(await self._connection.fetchval(SQL["has_members"]))

    async def add(self, batch: SocialBatch) -> None:
        """Add a batch; raise `NotTheOwner` where the login may not."""
        try:
            async with self._connection.transaction():
                await self._connection.execute(SQL["clear_staged"])
                await self._connection.execute(SQL["hold_triggers"])
                for statement, tables in _ADDED:
                    await self._add(statement, {name: getattr(batch, name) for name in tables})
                await self._connection.execute(SQL["release_triggers"])
        except asyncpg.InsufficientPrivilegeError as error:
            raise NotTheOwner(
                f"This login may not do it ({error}); use the one that owns the tables, with which "
                "`playhall migrate` is run."
            ) from None

    async def tidy(self) -> None:
        """Count days, and have the tables analysed and vacuumed."""
        await self._connection.execute(SQL["count_days"])
        await self._connection.execute(SQL["tidy_tables"])

    async def _add(self, statement: str, staged: dict[str, Iterable[Row]]) -> None:
        if not any(staged.values()):
            return
        if statement != "list_creations":  # those are staged already
            for name, rows in staged.items():
                await self._connection.copy_records_to_table(f"staged_{name}", records=rows)
        await self._connection.execute(SQL[statement])
