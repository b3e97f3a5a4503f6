"""The database as the server sees it, and as whoever asks does."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from persistence.database import Database
from persistence.rls import ANONYMOUS_ROLE, RlsDatabase


@asynccontextmanager
async def both_roles(dsn: str) -> AsyncIterator[tuple[Database, RlsDatabase]]:
    """Open it in both roles for a block; raise `StartRefused` where that is not safe."""
    async with AsyncExitStack() as stack:
        database = await Database.open(dsn)
        stack.push_async_callback(database.close)
        anonymous = await Database.open(dsn, role=ANONYMOUS_ROLE)
        stack.push_async_callback(anonymous.close)
        yield database, RlsDatabase(anonymous)
