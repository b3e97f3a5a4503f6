"""Work on behalf of a person: the database's row level security says what they may do.

The pool's connections are `anon`, who may least. A block runs in one transaction as the role
and with the claims of whoever asked, both set for that transaction only, so nothing of it is
left when the connection goes to somebody else, whether the block ends, fails or is cancelled.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import asyncpg
import orjson

from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.errors import Forbidden
from protocol.ids import SessionId, UserId

ANONYMOUS_ROLE: Final = "anon"
AUTHENTICATED_ROLE: Final = "authenticated"

_queries = load_queries("rls")


class Requester(NamedTuple):
    """Who asks: an account, its session, and what it was made (`moderator`, `editor`, …)."""

    user_id: UserId
    session_id: SessionId
    roles: tuple[str, ...] = ()


class RlsDatabase:
    """A pool that works as whoever asks. `database` was opened with `ANONYMOUS_ROLE`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def anonymous(self) -> Database:
        """The pool as it is: it reads what everybody may read, and writes nothing."""
        return self._database

    @asynccontextmanager
    async def as_user(
        self, requester: Requester | None, *, changes_session: bool = True
    ) -> AsyncIterator[Connection]:
        """Borrow a connection in a transaction as this person; None is nobody in particular.

        A statement that goes too far raises `Forbidden`, or touches no row. The session is reset
        afterwards whatever the block did, lest its role or claims be lent to somebody else; only a
        block of which it is known that it sets neither may spare that, by `changes_session`.
        """
        role = AUTHENTICATED_ROLE if requester else ANONYMOUS_ROLE
        async with self._database.transaction(changes_session=changes_session) as connection:
            await connection.execute(_queries["speak_for"], role, write_claims(requester, role))
            try:
                yield connection
            except asyncpg.InsufficientPrivilegeError as error:
                raise Forbidden from error


@asynccontextmanager
async def open_with_rls(dsn: str) -> AsyncIterator[tuple[Database, RlsDatabase]]:
    """Open a database as the server and as whoever asks; raise `StartRefused` if that is unsafe."""
    async with (
        await Database.open(dsn) as database,
        await Database.open(dsn, role=ANONYMOUS_ROLE) as anonymous,
    ):
        yield database, RlsDatabase(anonymous)


def write_claims(requester: Requester | None, role: str) -> str:
    """Write what `auth.uid()` and the policies read, in the shape of Supabase's tokens."""
    if requester is None:
        return orjson.dumps({"role": role}).decode()
    claims = {
        "sub": requester.user_id,
        "session_id": requester.session_id,
        "role": role,
        "app_metadata": {"roles": requester.roles},
    }
    return orjson.dumps(claims).decode()
