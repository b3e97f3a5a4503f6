"""Moving the logs of finished games to the object store, and back.

The order is what makes it safe to stop at any moment, by whatever::

    write the object  ->  read it back and compare  ->  one transaction: note it, delete the events

Until that transaction commits, the events are in the database and the object is not used. After
it, the object has them, durably. In no state is an event in neither place. Nor does it matter who
else archives the game at the same time: the key of an object has the digest of its bytes, so what
is written under a key is always the same, and the lock of the game's row lets one of them release.
Only the owner of the tables may do this: the server's login cannot delete events, and a trigger
refuses it to everybody where no archive is noted.
"""

import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import file_digest
from os import SEEK_END
from typing import IO, Final, NamedTuple

import asyncpg

from persistence.archives.log_file import BrokenLog, LogContents, LogFileWriter
from persistence.archives.reader import SQL, ArchivedLogs, GameArchive
from persistence.database import Database
from persistence.eventlog.writer import row_columns
from persistence.games.store import GameStore
from persistence.objects import ObjectStorage
from protocol.ids import GameId

GAMES_A_PAGE: Final = 500
_FIRST_ID: Final = "00000000-0000-0000-0000-000000000000"
_FIRST_TIME: Final = datetime(1, 1, 1, tzinfo=UTC)


class ArchiveTotals(NamedTuple):
    """What is archived, and what it takes: unpacked, and in the store."""

    games: int
    events: int
    content_bytes: int
    object_bytes: int


class DueGame(NamedTuple):
    """A finished game whose log may be archived."""

    game_id: GameId
    events: int


class GameArchiveStore:
    """Archives, as their operator sees them; `database` is of the login that owns the tables."""

    def __init__(self, database: Database, objects: ObjectStorage) -> None:
        self._database = database
        self._objects = objects
        self._games = GameStore(database, node="", objects=objects)
        self._logs = ArchivedLogs(objects)

    async def iterate_due(self, before: datetime) -> AsyncIterator[DueGame]:
        """Go through the games that ended before a time and are not archived, oldest first."""
        position: tuple[datetime, str] = (_FIRST_TIME, _FIRST_ID)
        while page := await self._page("page_of_games", before, *position, GAMES_A_PAGE):
            for record in page:
                if record["is_due"]:
                    yield DueGame(record["id"], record["events"])
            position = (page[-1]["created_at"], page[-1]["id"])

    async def iterate_archived(self) -> AsyncIterator[GameArchive]:
        """Go through the archived games."""
        last = _FIRST_ID
        while page := await self._page("released_archives", last, GAMES_A_PAGE):
            for record in page:
                yield GameArchive(*record)
            last = page[-1]["game_id"]

    async def find(self, game_id: GameId) -> GameArchive | None:
        """Find the archive of a game whose events are not in the database."""
        async with self._database.acquire() as connection:
            return await self._logs.find(connection, game_id)

    async def count(self) -> ArchiveTotals:
        """Count what is archived."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["archive_totals"])
        assert record is not None
        return ArchiveTotals(*record)

    async def archive(self, game: DueGame) -> GameArchive | None:
        """Move a game's log to the object store; None where another process has just done it.

        Raises `BrokenLog` where the log is not whole: then it stays where it is.
        """
        if await self.find(game.game_id) is not None:
            return None
        with tempfile.TemporaryFile() as file:
            contents = await self._write(game, file)
            size = file.seek(0, SEEK_END)
            file.seek(0)
            key = object_key(game.game_id, file_digest(file, "sha256").hexdigest())
            file.seek(0)
            await self._objects.put(key, file)
        archive = GameArchive(
            game.game_id,
            key,
            contents.events,
            contents.head_hash,
            contents.sha256,
            contents.content_bytes,
            size,
        )
        await self._read_back(archive)
        return archive if await self._release(archive, contents.last_event_at) else None

    async def put_back(self, archive: GameArchive) -> bool:
        """Insert the events of an archived game again; False if they are there.

        The object stays, and is written again should the game be archived once more.
        """
        async with self._database.transaction() as connection:
            if await connection.fetchval(SQL["lock_archive"], archive.game_id) is None:
                return False
            async for rows in self._logs.iterate_pages(archive):
                await connection.execute(
                    SQL["put_back_events"], archive.game_id, *row_columns(rows)
                )
            await connection.execute(SQL["put_back"], archive.game_id)
        return True

    async def _write(self, game: DueGame, file: IO[bytes]) -> LogContents:
        # Should somebody else release the game meanwhile, the rest is read from their archive.
        writer, cursor = LogFileWriter(game.game_id, file), -1
        while rows := await self._games.read_events(game.game_id, after=cursor):
            writer.write(rows)
            cursor = rows[-1].event_index
        contents = writer.finish()
        if contents.events != game.events:
            raise BrokenLog(f"{contents.events} events are there, {game.events} were written")
        return contents

    async def _read_back(self, archive: GameArchive) -> None:
        """Read the object to its end, which compares it; raise `ArchiveDamaged`."""
        async for _ in self._logs.iterate_rows(archive):
            pass

    async def _release(self, archive: GameArchive, last_event_at: datetime) -> bool:
        async with self._database.transaction() as connection:
            events = await connection.fetchval(SQL["lock_due"], archive.game_id)
            if events is None:
                return False
            await connection.execute(
                SQL["record_archive"],
                archive.game_id,
                archive.object_key,
                archive.events,
                archive.head_hash,
                last_event_at,
                archive.content_sha256,
                archive.content_bytes,
                archive.object_bytes,
            )
            released = await connection.fetchval(SQL["release_events"], archive.game_id)
            if not archive.events == events == released:
                raise BrokenLog(f"{archive.events} events were archived, {released} are there")
        return True

    async def _page(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        async with self._database.acquire() as connection:
            return list(await connection.fetch(SQL[query], *arguments))


def object_key(game_id: GameId, digest: str) -> str:
    """Say where a game's log is archived; folders hold a 256th of the games each."""
    return f"archive/games/{game_id[:2]}/{game_id}.{digest}.jsonl.gz"
