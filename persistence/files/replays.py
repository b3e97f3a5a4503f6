"""Which finished games want a replay, and what it is made from."""

from collections.abc import Sequence
from typing import NamedTuple

from persistence.audit.store import AuditStore
from persistence.database import Database
from persistence.eventlog.writer import EventRow
from persistence.games.model import StoredGame
from persistence.objects import ObjectStorage
from persistence.queries import load_queries
from protocol.history import GameSummary
from protocol.ids import GameId, MatchId

SQL = load_queries("files/replays")


class DueReplay(NamedTuple):
    """A match whose replay is to be built."""

    match_id: MatchId
    game_id: GameId


class ReplaySource(NamedTuple):
    """A finished game, read at one moment."""

    game: StoredGame
    rows: Sequence[EventRow]
    summary: GameSummary


class ReplayStore:
    """The replays that are due. Any number of nodes may take them."""

    def __init__(self, database: Database, objects: ObjectStorage) -> None:
        self._database = database
        self._audit = AuditStore(database, objects)

    async def take_due(self, *, again_after_s: float) -> DueReplay | None:
        """Take one that is due; whoever fails leaves it to be tried again after so long."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["take_due_replay"], again_after_s)
        return None if record is None else DueReplay(*record)

    async def read_source(self, game_id: GameId) -> ReplaySource | None:
        """Read a finished game; None where something of it is missing."""
        async with self._audit.read_snapshot() as books:
            found, summary = await books.read_game(game_id), await books.read_summary(game_id)
            if found is None or summary is None:
                return None
            return ReplaySource(found[0], await books.read_events(game_id), summary)
