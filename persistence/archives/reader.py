"""Reading the logs of games whose events were moved to the object store.

The database says which these are. Whoever reads a log asks only where the database has no more
events of it, so a game that is played never leads here, and an archived one costs a lookup and
an object. What is small enough is kept for the pages that follow.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Final, NamedTuple

from persistence.archives.log_file import UnreadableLog, iterate_lines, read_line
from persistence.database import Connection
from persistence.errors import ArchiveDamaged
from persistence.eventlog.writer import EventRow
from persistence.objects import ObjectMissing, ObjectStorage
from persistence.queries import load_queries
from protocol.ids import GameId

SQL = load_queries("archives/store")

# Of unpacked lines: one log is kept up to the first, all together up to the second.
KEPT_LOG_BYTES_MAX: Final = 4 * 1024 * 1024
KEPT_BYTES_MAX: Final = 16 * 1024 * 1024
PAGE_ROWS: Final = 500


class GameArchive(NamedTuple):
    """Where the log of an archived game is, and what it must be."""

    game_id: GameId
    object_key: str
    events: int
    head_hash: bytes
    content_sha256: bytes
    content_bytes: int
    object_bytes: int


class ArchivedLogs:
    """The archived logs, as a reader of games sees them."""

    def __init__(self, objects: ObjectStorage | None) -> None:
        self._objects = objects
        self._kept: OrderedDict[GameId, list[bytes]] = OrderedDict()
        self._kept_bytes = 0

    async def find(self, connection: Connection, game_id: GameId) -> GameArchive | None:
        """Say where a game's log is, if its events are no longer in the database."""
        record = await connection.fetchrow(SQL["released_archive"], game_id)
        return None if record is None else GameArchive(*record)

    async def read(self, archive: GameArchive, *, after: int, limit: int) -> list[EventRow]:
        """Read at most `limit` events with an index above `after`; raise `ArchiveDamaged`."""
        first, end = after + 1, after + 1 + limit
        if first >= archive.events:
            return []
        if archive.content_bytes <= KEPT_LOG_BYTES_MAX:
            lines = await self._read_whole(archive)
            return [read_line(line) for line in lines[first:end]]
        rows: list[EventRow] = []
        index = 0
        async for line in self.iterate_lines(archive):
            if first <= index < end:
                rows.append(read_line(line))
            index += 1
            if index == end:
                break
        return rows

    async def iterate_rows(self, archive: GameArchive) -> AsyncIterator[EventRow]:
        """Go through a whole log; raise `ArchiveDamaged`, at the latest after its last event."""
        async for line in self.iterate_lines(archive):
            yield read_line(line)

    async def iterate_pages(self, archive: GameArchive) -> AsyncIterator[list[EventRow]]:
        """Go through a whole log, some events at a time; raise `ArchiveDamaged`."""
        rows: list[EventRow] = []
        async for row in self.iterate_rows(archive):
            rows.append(row)
            if len(rows) == PAGE_ROWS:
                yield rows
                rows = []
        if rows:
            yield rows

    async def iterate_lines(self, archive: GameArchive) -> AsyncIterator[bytes]:
        """Go through the lines of a log; raise `ArchiveDamaged`, at the latest after the last."""
        assert self._objects is not None, "whoever reads logs is given the object store"
        digest = sha256()
        try:
            chunks = await self._objects.read(archive.object_key, 0, archive.object_bytes)
            async for line in iterate_lines(chunks):
                digest.update(line + b"\n")
                yield line
        except ObjectMissing:
            raise _damaged(archive, "the object is missing in the store") from None
        except UnreadableLog as error:
            raise _damaged(archive, str(error)) from None
        if digest.digest() != archive.content_sha256:
            raise _damaged(archive, "its content is not what was archived")

    async def _read_whole(self, archive: GameArchive) -> list[bytes]:
        if (lines := self._kept.pop(archive.game_id, None)) is None:
            lines = [line async for line in self.iterate_lines(archive)]
            self._kept_bytes += archive.content_bytes
        self._keep(archive, lines)
        return lines

    def _keep(self, archive: GameArchive, lines: list[bytes]) -> None:
        """Keep a log as the one that was read last, in place of the one read longest ago."""
        if (twice := self._kept.pop(archive.game_id, None)) is not None:
            self._kept_bytes -= sum(map(len, twice)) + len(twice)  # another reader was as fast
        self._kept[archive.game_id] = lines
        while self._kept_bytes > KEPT_BYTES_MAX:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= sum(map(len, oldest)) + len(oldest)


def _damaged(archive: GameArchive, why: str) -> ArchiveDamaged:
    return ArchiveDamaged(
        f"The archived log of game {archive.game_id} ({archive.object_key}) cannot be read: {why}."
    )
