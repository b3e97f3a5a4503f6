"""When players were last here."""

from collections.abc import Collection

from persistence.database import Database
from persistence.queries import load_queries
from protocol.ids import PlayerId

SQL = load_queries("profiles/last_seen")


class LastSeenStore:
    """`players.last_seen` in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_seen(self, player_ids: Collection[PlayerId]) -> None:
        """Note that some players were here just now."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["note_seen"], list(player_ids))
