"""What appending costs the database: processor time of its backend per event, in microseconds.

    python -m tools.time_append [ROUNDS]

Makes a server and databases of its own in a temporary folder, one for each form that the table of
events can have on it, and appends to both in turns through the writer that the server uses. Each
round is some thousands of events. Prints the median of the rounds, and the lowest and the highest.
"""

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from migrations import runner
from persistence.database import Database
from persistence.embedded import EmbeddedPostgres
from persistence.eventlog.writer import EventLogWriter, EventRow, GameLog, RowsLost
from protocol.ids import GameId

# Games in a batch, and events of each.
BATCHES = ((10, 2), (50, 4), (100, 8))
ROUND_EVENTS = 4_000
FORMS: Mapping[str, str] = {
    "stored id, enforced key": "SELECT playhall_auth.choose_event_form(false)",
    "id on read, key not enforced": "SELECT playhall_auth.choose_event_form()",
}


@dataclass
class Appender:
    """Appends batches of one size to games of its own."""

    log: EventLogWriter
    watcher: asyncpg.Connection
    games: list[GameLog]
    events_each: int
    head: int = 0
    waiting: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    async def open(cls, dsn: str, log: EventLogWriter, games: int, events_each: int) -> "Appender":
        """Make as many games."""
        watcher = await asyncpg.connect(dsn)
        appender = cls(log, watcher, [], events_each)
        made = await watcher.fetch(
            "INSERT INTO games (session_seed, config, status, ruleset, ruleset_version, owner_node)"
            " SELECT 's', '{}', 'in_progress', 'relay', 1, 'n' FROM generate_series(1, $1)"
            " RETURNING id",
            games,
        )
        for (game_id,) in made:
            appender.games.append(
                log.open_game(
                    GameId(game_id), 1, committed=appender._committed, failed=appender._failed
                )
            )
        return appender

    async def append(self, events: int) -> float:
        """Append about as many events; returns the processor time of each, in seconds."""
        pids = await self._backends()
        before = sum(map(_processor_s, pids))
        batches = max(1, events // (len(self.games) * self.events_each))
        for _ in range(batches):
            await self._append_batch()
        taken = sum(map(_processor_s, pids)) - before
        return taken / (batches * len(self.games) * self.events_each)

    async def _append_batch(self) -> None:
        # Without an await between them, so that the writer takes all of them at once.
        at = datetime.now(UTC)
        for game in self.games:
            rows = [_row(index, at) for index in range(self.head, self.head + self.events_each)]
            self.waiting += len(rows)
            game.append(rows)
        self.head += self.events_each
        await self.done.wait()
        self.done.clear()

    async def _backends(self) -> list[int]:
        found = await self.watcher.fetch(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return [pid for (pid,) in found]

    def _committed(self, rows: list[EventRow]) -> None:
        self.waiting -= len(rows)
        if not self.waiting:
            self.done.set()

    def _failed(self, lost: RowsLost) -> None:
        raise lost


def _processor_s(pid: int) -> float:
    # Finer than the ticks of `/proc/<pid>/stat`. A backend has one thread.
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _row(index: int, at: datetime) -> EventRow:
    payload = b'{"_cmd": [3, %d], "_v": 1, "data": {"kind": "move", "x": %d, "y": 17}}'
    return EventRow(index, "moved", payload % (index, index), at, index.to_bytes(16))


async def measure(forms: Mapping[str, str], dsns: Sequence[str], rounds: int) -> None:
    """Print what an event costs in each of the databases."""
    databases = [await Database.open(dsn, embedded=True) for dsn in dsns]
    logs = [EventLogWriter(database, writers=1) for database in databases]
    running = [asyncio.create_task(log.run()) for log in logs]
    for games, events_each in BATCHES:
        appenders = [
            await Appender.open(dsn, log, games, events_each)
            for dsn, log in zip(dsns, logs, strict=True)
        ]
        taken: list[list[float]] = [[] for _ in dsns]
        for each in appenders:
            await each.append(ROUND_EVENTS // 10)
        for _ in range(rounds):
            for each, times in zip(appenders, taken, strict=True):
                times.append(await each.append(ROUND_EVENTS) * 1e6)
        for name, times in zip(forms, taken, strict=True):
            figures = statistics.median(times), min(times), max(times)
            print(  # noqa: T201 - what it is for
                f"{games:>4} x {events_each} {name:<40} {'{:8.2f}' * 3}".format(*figures),
                flush=True,
            )
        for each in appenders:
            await each.watcher.close()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for database in databases:
        await database.close()


async def make_databases(dsn: str, forms: Mapping[str, str]) -> list[str]:
    """Make a copy of the migrated database for each form."""
    name = urlsplit(dsn).path[1:]
    admin = await asyncpg.connect(urlsplit(dsn)._replace(path="/template1").geturl())
    dsns = []
    for nth, statements in enumerate(forms.values()):
        await admin.execute(f"DROP DATABASE IF EXISTS append_{nth}")
        await admin.execute(f"CREATE DATABASE append_{nth} TEMPLATE {name}")
        made = urlsplit(dsn)._replace(path=f"/append_{nth}").geturl()
        owner = await asyncpg.connect(made)
        await owner.execute(statements)
        await owner.close()
        dsns.append(made)
    await admin.close()
    return dsns


async def main(dsn: str, rounds: int, forms: Mapping[str, str] = FORMS) -> None:
    """Measure on a server whose database is migrated."""
    await measure(forms, await make_databases(dsn, forms), rounds)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="playhall-") as folder:
        Path(folder).chmod(0o755)
        server = EmbeddedPostgres()
        try:
            made = server.start(Path(folder) / "postgres")
            runner.upgrade(made)
            asyncio.run(main(made, int(sys.argv[1]) if len(sys.argv) > 1 else 7))
        finally:
            server.stop()
