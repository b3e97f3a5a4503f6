"""Whose digest is due, and what was mailed."""

from datetime import datetime
from typing import Final, NamedTuple

from persistence.database import Database
from persistence.queries import load_queries
from protocol.ids import UserId

SQL: Final = load_queries("notifications/digests")


class DueDigest(NamedTuple):
    """Whose digest is due, and what the one before it contained."""

    user_id: UserId
    sent_through_at: datetime


class DigestStore:
    """Digests in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim_due(self, *, limit: int) -> list[DueDigest]:
        """Take some digests that are due; each is due again a day later, whatever happens."""
        async with self._database.acquire() as connection:
            return [DueDigest(*row) for row in await connection.fetch(SQL["claim_due"], limit)]

    async def note_sent(self, user_id: UserId, through: datetime) -> None:
        """Note which notification was the newest one that was mailed."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["note_sent"], user_id, through)
