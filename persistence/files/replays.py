"""Which finished games want a replay, and what it is made from."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import orjson

from persistence.archives.reader import ArchivedLogs, GameArchive
from persistence.database import Database
from persistence.eventlog.writer import EventRow
from persistence.games.model import StoredGame
from persistence.objects import ObjectStorage
from persistence.queries import load_queries
from protocol.history import GameSummary
from protocol.ids import GameId, MatchId

SQL = load_queries("files/replays")

# Of `replay_source`, in the order of an event's fields.
LOG_COLUMNS: Final = ("indexes", "types", "payloads", "times", "hashes")


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
        self._archived = ArchivedLogs(objects)

    async def take_due(self, *, again_after_s: float) -> DueReplay | None:
        """Take one that is due; whoever fails leaves it to be tried again after so long."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["take_due_replay"], again_after_s)
        return None if record is None else DueReplay(*record)

    async def read_source(self, game_id: GameId) -> ReplaySource | None:
        """Read a finished game; None where something of it is missing.

        Raises `ArchiveDamaged` where its log was moved to the object store and cannot be read.
        """
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["replay_source"], game_id)
            if record is None:
                return None
            fields = {
                name: orjson.loads(value) if isinstance(value, bytes) else value
                for name, value in record.items()
            }
            columns = [fields.pop(name) for name in LOG_COLUMNS]
            if columns[0] is not None:
                rows = list(map(EventRow, *columns))
            else:  # the log was moved between two tries
                archive = await self._archived.find(connection, game_id)
                rows = [] if archive is None else await self._read_archive(archive)
        summary = {name: fields.pop(name) for name in GameSummary.model_fields}
        return ReplaySource(
            StoredGame.parse_columns(fields), rows, GameSummary.model_construct(**summary)
        )

    async def _read_archive(self, archive: GameArchive) -> list[EventRow]:
        return [row async for row in self._archived.iterate_rows(archive)]
