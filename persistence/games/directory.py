"""The directory of public games that run, as people look for one to watch or to join."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from persistence.database import Database
from persistence.queries import load_queries
from protocol.history import GamesQuery
from protocol.ids import GameId, LobbyId

SQL = load_queries("games/directory")


class DirectoryEntry(NamedTuple):
    """A public game that runs; `created_at` gives its place in the list."""

    game_id: GameId
    lobby_id: LobbyId | None
    join_code: str
    ruleset: str
    ruleset_version: int
    max_players: int
    current_players: int
    can_watch: bool
    started_at: datetime
    created_at: datetime


class DirectoryPosition(NamedTuple):
    """Where a page ended."""

    created_at: datetime
    game_id: GameId


class HeldSeats(NamedTuple):
    """How many seats of a game are held, by the node that owns it at `owner_epoch`."""

    game_id: GameId
    owner_epoch: int
    players: int


class RoomDirectoryStore:
    """The directory in PostgreSQL. `public` reads what everybody may read."""

    def __init__(self, database: Database, *, public: Database) -> None:
        self._database = database
        self._public = public

    async def list_running(
        self, query: GamesQuery, after: DirectoryPosition | None
    ) -> list[DirectoryEntry]:
        """List at most `query.limit` public games that run on a live node, newest first."""
        filters = (query.ruleset, query.free_seats, query.can_watch)
        async with self._public.acquire() as connection:
            rows = await connection.fetch(
                SQL["list_running"], *filters, *(after or (None, None)), query.limit
            )
        return [DirectoryEntry(*row) for row in rows]

    async def set_player_counts(self, counts: Sequence[HeldSeats]) -> None:
        """Write how many seats of some games are held; games that others own stay as they are."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["set_players"], *map(list, zip(*counts, strict=True)))
