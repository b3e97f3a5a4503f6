"""Reading archived logs by pages: each is unpacked once, and not by the event loop."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest

from persistence.archives import log_file, reader
from persistence.archives.log_file import LogFileWriter, LogUnpacker, UnpackedLines
from persistence.archives.reader import ArchivedLogs, GameArchive
from persistence.eventlog.hashchain import canonical_json, genesis_hash, link_hash
from persistence.eventlog.writer import EventRow
from persistence.objects import ObjectStorage
from protocol.ids import GameId, new_id

EVENTS = 4000
PAGE = 100


class CountingStorage(ObjectStorage):
    """A store that counts how often it is read."""

    reads = 0

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        self.reads += 1
        await asyncio.sleep(0)
        return await super().read(key, start, end)


@pytest.fixture
def storage(tmp_path: Path) -> CountingStorage:
    return CountingStorage("", folder=tmp_path)


def make_rows(game_id: GameId) -> list[EventRow]:
    rows, link, chance = [], genesis_hash(game_id), random.Random(1)
    for index in range(EVENTS):
        payload = canonical_json({"n": chance.randbytes(40).hex(), "_v": 1})
        link = link_hash(link, index, "moved", payload)
        rows.append(EventRow(index, "moved", payload, datetime(2026, 1, 2, tzinfo=UTC), link))
    return rows


async def archive_rows(storage: ObjectStorage, rows: list[EventRow]) -> GameArchive:
    game_id, file = GameId(new_id()), BytesIO()
    rows[:] = make_rows(game_id)
    writer = LogFileWriter(game_id, file)
    writer.write(rows)
    contents = writer.finish()
    await storage.put("log", file.getvalue())
    return GameArchive(
        game_id,
        "log",
        contents.events,
        contents.head_hash,
        contents.sha256,
        contents.content_bytes,
        len(file.getvalue()),
    )


async def read_pages(logs: ArchivedLogs, archive: GameArchive) -> list[EventRow]:
    rows: list[EventRow] = []
    while page := await logs.read(archive, after=len(rows) - 1, limit=PAGE):
        rows += page
    return rows


async def test_pages_of_a_large_log_are_unpacked_once_and_in_threads(
    storage: CountingStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "KEPT_LOG_BYTES_MAX", 0)
    monkeypatch.setattr(log_file, "UNPACKED_AT_ONCE", 2048)
    threads, packed_bytes, unpack = set(), 0, LogUnpacker.unpack

    def counting(self: LogUnpacker, packed: bytes) -> UnpackedLines:
        nonlocal packed_bytes
        threads.add(threading.current_thread())
        some = unpack(self, packed)
        packed_bytes += self.packed_bytes - some.began.packed_bytes
        return some

    monkeypatch.setattr(LogUnpacker, "unpack", counting)
    rows: list[EventRow] = []
    archive = await archive_rows(storage, rows)
    logs = ArchivedLogs(storage)
    for found in await asyncio.gather(*(read_pages(logs, archive) for _ in range(2))):
        assert found == rows
    assert packed_bytes < 3 * archive.object_bytes  # two readers, and a little twice at each page
    assert threading.main_thread() not in threads
    # Pages in any other order are the same.
    for after in (3000, 10, 2000, EVENTS - 2, -1):
        assert await logs.read(archive, after=after, limit=7) == rows[after + 1 : after + 8]


async def test_places_that_are_kept_are_bounded(
    storage: CountingStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "KEPT_LOG_BYTES_MAX", 0)
    monkeypatch.setattr(reader, "KEPT_PLACES_MAX", 3)
    monkeypatch.setattr(log_file, "UNPACKED_AT_ONCE", 2048)
    rows: list[EventRow] = []
    archive = await archive_rows(storage, rows)
    logs = ArchivedLogs(storage)
    assert await read_pages(logs, archive) == rows
    assert len(logs._places) == 3


async def test_readers_of_a_small_log_share_its_object(storage: CountingStorage) -> None:
    rows: list[EventRow] = []
    archive = await archive_rows(storage, rows)
    logs = ArchivedLogs(storage)
    for found in await asyncio.gather(*(read_pages(logs, archive) for _ in range(5))):
        assert found == rows
    assert storage.reads == 1
