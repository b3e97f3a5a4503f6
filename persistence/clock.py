"""The database's clock, which is the one that all nodes share."""

from persistence.database import Database
from persistence.queries import load_queries

SQL = load_queries("clock")


async def read_database_clock(database: Database) -> float:
    """Read it, in milliseconds since 1970."""
    async with database.acquire() as connection:
        return float(await connection.fetchval(SQL["read_clock"]))
