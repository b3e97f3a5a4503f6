"""Runs composed statements as whoever asks, and reads the catalogue that they are composed from."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import asyncpg

from persistence.database import Database
from persistence.queries import load_queries
from persistence.rls import (
    ANONYMOUS_ROLE,
    AUTHENTICATED_ROLE,
    Requester,
    RlsDatabase,
    write_claims,
)

SERVICE_ROLE: Final = "service_role"
ROLES: Final = (ANONYMOUS_ROLE, AUTHENTICATED_ROLE, SERVICE_ROLE)

_queries = load_queries("rest/catalogue")


class StatementTimeout(Exception):
    """A statement took longer than its role may."""


class ChangedByRead(Exception):
    """What is only to read tried to change something; the message is PostgreSQL's."""


class NoServiceRole(Exception):
    """The server's login may not work as `service_role`, and no other login was configured."""


class Asker(NamedTuple):
    """As which role, and for whom, a statement is carried out."""

    role: str
    requester: Requester | None = None


class Composed(NamedTuple):
    """A statement and its arguments, and what has to be true of its rows or all is undone."""

    text: str
    arguments: list[str]
    is_read: bool
    exactly: int | None
    at_most: int | None
    is_rehearsal: bool


class Found(NamedTuple):
    """What a statement gave: the body, the rows in it, all that there are, and those inserted."""

    body: str | None
    page: int
    total: int | None
    inserted: int | None


class CatalogueRows(NamedTuple):
    """The catalogue as it was read."""

    tables: Sequence[asyncpg.Record]
    keys: Sequence[asyncpg.Record]
    view_columns: Sequence[asyncpg.Record]
    functions: Sequence[asyncpg.Record]
    types: Sequence[asyncpg.Record]


class RestStore:
    """Statements of the REST interface, under row level security."""

    def __init__(self, rls: RlsDatabase) -> None:
        self._rls = rls
        self._service: Database | None = None

    async def use_service(self, database: Database | None) -> None:
        """Choose what the service key works with: a login of its own, or ours if it may."""
        if database is not None:
            self._service = database
            return
        async with self._rls.anonymous.acquire() as connection:
            if await connection.fetchval(_queries["may_be_service"]):
                self._service = self._rls.anonymous

    async def read_catalogue(
        self, schemas: Sequence[str], functions: Sequence[str]
    ) -> CatalogueRows:
        """Read what is exposed of these schemas, and these functions of the first."""
        async with self._rls.anonymous.acquire() as connection:
            return CatalogueRows(
                await connection.fetch(_queries["tables"], schemas, ROLES),
                await connection.fetch(_queries["foreign_keys"], schemas),
                await connection.fetch(_queries["view_columns"], schemas),
                await connection.fetch(_queries["functions"], schemas, ROLES, functions),
                await connection.fetch(_queries["types"], schemas),
            )

    async def run(
        self, asker: Asker, composed: Composed, *, timeout_s: float, changes_session: bool
    ) -> Found:
        """Carry out a statement: a transaction of its own, in one round trip.

        Raises `StatementTimeout`, `ChangedByRead`, `NoServiceRole`, the database's own errors,
        `Overloaded` and `Unavailable`.
        """
        database = self._rls.anonymous
        if asker.role == SERVICE_ROLE:
            if self._service is None:
                raise NoServiceRole
            database = self._service
        async with database.acquire(changes_session=changes_session) as connection:
            try:
                row: Any = await connection.fetchrow(
                    _queries["run"],
                    asker.role,
                    write_claims(asker.requester, asker.role),
                    composed.is_read,
                    composed.text,
                    composed.arguments,
                    composed.exactly,
                    composed.at_most,
                    composed.is_rehearsal,
                    timeout=timeout_s,
                )
            except TimeoutError:
                raise StatementTimeout from None
            except asyncpg.ReadOnlySQLTransactionError as error:
                if not composed.is_read:  # this is the standby, after a failover
                    raise
                raise ChangedByRead(str(error)) from None
        return Found(row[0], row[1], row[2], row[3])
