"""Archives one game and is killed on the way: `python killed_archiver.py DSN FOLDER GAME POINT`."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, NoReturn

from persistence.archives import store as archives
from persistence.database import Database
from persistence.objects import ObjectStorage


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


class DeadlyStorage(ObjectStorage):
    def __init__(self, folder: Path, point: str) -> None:
        super().__init__("", folder=folder)
        self._point = point

    async def put(self, key: str, content: IO[bytes] | bytes) -> None:
        if self._point == "before the object":
            die()
        await super().put(key, content)
        if self._point == "after the object":
            die()

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        chunks = await super().read(key, start, end)
        if self._point == "reading back":
            die()
        return chunks


async def main(dsn: str, folder: str, game_id: str, point: str) -> None:
    if point == "before the commit":  # once the events are deleted
        queries = archives.SQL
        queries["release_events"] = (
            "WITH released AS (DELETE FROM game_events WHERE game_id = $1 RETURNING 1)"
            " SELECT count(*)::int, pg_terminate_backend(pg_backend_pid()) FROM released"
        )
    async with await Database.open(dsn, embedded=True, role="none") as database:
        store = archives.GameArchiveStore(database, DeadlyStorage(Path(folder), point))
        async with database.acquire() as connection:
            events = await connection.fetchval(
                "SELECT next_event_index FROM games WHERE id = $1", game_id
            )
        try:
            await store.archive(archives.DueGame(game_id, events))  # type: ignore[arg-type]
        finally:
            die()


asyncio.run(main(*sys.argv[1:]))
