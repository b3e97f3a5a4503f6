"""Reading the logs of games whose events were moved to the object store.

The database says which these are. Whoever reads a log asks only where the database has no more
events of it, so a game that is played never leads here, and an archived one costs a lookup and
an object. What is small enough is kept for the pages that follow; of what is larger, the place
where a page ended, so that pages in order unpack a log once. That takes time: threads do it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from persistence.archives.log_file import LogUnpacker, UnpackedLines, UnreadableLog, read_line
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
KEPT_PLACES_MAX: Final = 64  # some 50 KB each
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
        self._places: OrderedDict[tuple[str, int], LogUnpacker] = OrderedDict()
        self._turns: WeakValueDictionary[GameId, asyncio.Lock] = WeakValueDictionary()

    async def find(self, connection: Connection, game_id: GameId) -> GameArchive | None:
        """Say where a game's log is, if its events are no longer in the database."""
        record = await connection.fetchrow(SQL["released_archive"], game_id)
        return None if record is None else GameArchive(*record)

    async def read(self, archive: GameArchive, *, after: int, limit: int) -> list[EventRow]:
        """Read at most `limit` events with an index above `after`; raise `ArchiveDamaged`."""
        first, end = after + 1, min(after + 1 + limit, archive.events)
        if first >= end:
            return []
        turn = self._turns.setdefault(archive.game_id, asyncio.Lock())
        async with turn:  # who comes second finds what the first one kept
            if archive.content_bytes <= KEPT_LOG_BYTES_MAX:
                lines = (await self._read_whole(archive))[first:end]
            else:
                lines = await self._read_part(archive, first, end)
        return [_read_line(archive, line) for line in lines]

    async def iterate_rows(self, archive: GameArchive) -> AsyncIterator[EventRow]:
        """Go through a whole log; raise `ArchiveDamaged`, at the latest after its last event."""
        async for some in self._unpack(archive, LogUnpacker()):
            for line in some.lines:
                yield _read_line(archive, line)

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

    async def _unpack(
        self, archive: GameArchive, unpacker: LogUnpacker
    ) -> AsyncGenerator[UnpackedLines, None]:
        """Unpack a log from a place on; raise `ArchiveDamaged`, at the latest at its end."""
        assert self._objects is not None, "whoever reads logs is given the object store"
        try:
            start, end = unpacker.packed_bytes, archive.object_bytes
            async for chunk in await self._objects.read(archive.object_key, start, end):
                some = await asyncio.to_thread(unpacker.unpack, chunk)
                yield some
                while not some.is_all:
                    some = await asyncio.to_thread(unpacker.unpack, some.left)
                    yield some
            digest = unpacker.finish()
        except ObjectMissing:
            raise _damaged(archive, "the object is missing in the store") from None
        except UnreadableLog as error:
            raise _damaged(archive, str(error)) from None
        if digest != archive.content_sha256:
            raise _damaged(archive, "its content is not what was archived")

    async def _read_part(self, archive: GameArchive, first: int, end: int) -> list[bytes]:
        """Read some lines from the nearest place that is kept; the last page reads to the end."""
        lines: list[bytes] = []
        async with aclosing(self._unpack(archive, self._find_place(archive, first))) as unpacked:
            async for some in unpacked:
                begin = some.began.lines
                lines += some.lines[max(first - begin, 0) : end - begin]
                if begin + len(some.lines) >= end and end < archive.events:
                    self._keep_place(archive, some.began)
                    break
        return lines

    def _find_place(self, archive: GameArchive, first: int) -> LogUnpacker:
        """Go on from the last place that is kept before a line, or begin."""
        before = [
            place
            for (key, line), place in self._places.items()
            if key == archive.object_key and line <= first
        ]
        if not before:
            return LogUnpacker()
        return max(before, key=lambda place: place.lines).copy()

    def _keep_place(self, archive: GameArchive, place: LogUnpacker) -> None:
        key = archive.object_key, place.lines
        self._places[key] = place
        self._places.move_to_end(key)
        if len(self._places) > KEPT_PLACES_MAX:
            self._places.popitem(last=False)

    async def _read_whole(self, archive: GameArchive) -> list[bytes]:
        if (lines := self._kept.pop(archive.game_id, None)) is None:
            unpacked = self._unpack(archive, LogUnpacker())
            lines = [line async for some in unpacked for line in some.lines]
            self._kept_bytes += archive.content_bytes
        self._kept[archive.game_id] = lines  # as the one that was read last
        while self._kept_bytes > KEPT_BYTES_MAX:
            _, oldest = self._kept.popitem(last=False)
            self._kept_bytes -= sum(map(len, oldest)) + len(oldest)
        return lines


def _read_line(archive: GameArchive, line: bytes) -> EventRow:
    try:
        return read_line(line)
    except UnreadableLog as error:
        raise _damaged(archive, str(error)) from None


def _damaged(archive: GameArchive, why: str) -> ArchiveDamaged:
    return ArchiveDamaged(
        f"The archived log of game {archive.game_id} ({archive.object_key}) cannot be read: {why}."
    )
