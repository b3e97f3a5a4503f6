"""Several services in one transaction: inside `joined`, whatever they do is one piece of work.

For commands that make much at once, such as demonstration data: a batch is committed once, and it
is there as a whole or not at all. A transaction of a service becomes a savepoint, so a service that
refuses something leaves nothing of it behind.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from persistence.database import Connection, Database
from persistence.rls import Requester, RlsDatabase

# The transaction that the present task has joined.
_held: ContextVar[Connection | None] = ContextVar("held", default=None)


class JoinedDatabase(Database):
    """A database whose blocks are one transaction inside `joined`, for the task that opened it."""

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        """Have everything in this block, in this task, be one transaction."""
        async with super().transaction() as connection:
            token = _held.set(connection)
            try:
                yield
            finally:
                _held.reset(token)

    @asynccontextmanager
    async def acquire(self, *, changes_session: bool = False) -> AsyncIterator[Connection]:
        """Borrow a connection: the joined transaction's, if there is one."""
        held = _held.get()
        if held is not None:
            yield held
            return
        async with super().acquire(changes_session=changes_session) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self, *, changes_session: bool = False) -> AsyncIterator[Connection]:
        """Borrow a connection in a transaction, or in a savepoint of the joined one."""
        held = _held.get()
        if held is not None:
            async with held.transaction():
                yield held
            return
        async with super().transaction(changes_session=changes_session) as connection:
            yield connection


class JoinedRls(RlsDatabase):
    """Reads inside a joined transaction as the server, since nobody else sees its rows yet."""

    @asynccontextmanager
    async def as_user(
        self, requester: Requester | None, *, changes_session: bool = True
    ) -> AsyncIterator[Connection]:
        """Borrow a connection as this person; inside a joined transaction, as the server."""
        held = _held.get()
        if held is not None:
            yield held
            return
        async with super().as_user(requester, changes_session=changes_session) as connection:
            yield connection
