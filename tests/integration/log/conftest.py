"""A log on a real database, and games to write to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from persistence.database import Database
from persistence.eventlog.completion import Completion
from persistence.eventlog.hashchain import canonical_json, genesis_hash, link_hash
from persistence.eventlog.writer import EventLogWriter, EventRow, GameLog, RowsLost
from persistence.games.model import GameRow
from persistence.games.store import GameStore
from protocol.ids import GameId, new_id

AT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


@dataclass
class Written:
    """One game, and what the log said about its rows."""

    game_id: GameId
    log: EventLogWriter
    next_index: int = 0
    hash: bytes = b""
    committed: list[int] = field(default_factory=list)
    lost: list[RowsLost] = field(default_factory=list)
    handle: GameLog | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def rows(self, count: int, **payload: object) -> list[EventRow]:
        """Make the next rows of the game."""
        rows = []
        for _ in range(count):
            data = canonical_json({"n": self.next_index, "_v": 1, **payload})
            self.hash = link_hash(self.hash, self.next_index, "moved", data)
            rows.append(EventRow(self.next_index, "moved", data, AT, self.hash))
            self.next_index += 1
        return rows

    def open(self, owner_epoch: int = 1) -> GameLog:
        """Open the game at an epoch."""
        self.handle = self.log.open_game(
            self.game_id, owner_epoch, committed=self._committed, failed=self._failed
        )
        return self.handle

    def append(
        self, count: int = 1, completion: Completion | None = None, **payload: object
    ) -> None:
        """Append the next rows."""
        assert self.handle is not None
        self.handle.append(self.rows(count, **payload), completion)

    def _committed(self, rows: list[EventRow]) -> None:
        self.committed += [row.event_index for row in rows]
        self.changed.set()

    def _failed(self, lost: RowsLost) -> None:
        self.lost.append(lost)
        self.changed.set()

    async def until(self, committed: int = 0, lost: int = 0) -> None:
        """Wait for so many committed rows, or losses."""
        async with asyncio.timeout(20):
            while len(self.committed) < committed or len(self.lost) < lost:
                self.changed.clear()
                await self.changed.wait()

    async def fate(self) -> RowsLost | None:
        """Wait until what was appended last is committed or lost; gives why it was lost."""
        committed = len(self.committed)
        async with asyncio.timeout(20):
            while not self.lost and len(self.committed) == committed:
                self.changed.clear()
                await self.changed.wait()
        return self.lost[-1] if self.lost else None


@dataclass
class Bench:
    """A running log on a database."""

    database: Database
    log: EventLogWriter
    store: GameStore

    async def game(self, first_rows: int = 1) -> Written:
        """Create a game of this node."""
        game = Written(GameId(new_id()), self.log)
        game.hash = genesis_hash(game.game_id)
        row = GameRow(
            id=game.game_id,
            ruleset="relay",
            ruleset_version=1,
            seed="seed",
            config={},
            node="here",
            created_at=AT,
        )
        await self.log.create_game(row, game.rows(first_rows))
        game.open()
        return game

    async def indexes(self, game: Written) -> list[int]:
        """Read the indexes that the database has."""
        return [row.event_index for row in await self.store.read_log(game.game_id)]


@pytest.fixture
async def bench(database: Database) -> AsyncIterator[Bench]:
    """A log with two writers."""
    log = EventLogWriter(database, writers=2)
    running = asyncio.create_task(log.run())
    yield Bench(database, log, GameStore(database, node="here"))
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
