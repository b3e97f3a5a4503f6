"""Games in two databases on two servers, by their id: side by side, and independent of each other.

What this shows for docs/explanation/sharding.md: the log needs nothing from outside of its own
database, so a game can live in any of several; and what it costs. Run with `-s` to see figures.
"""

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from loadtest.benching.machine import process_cpu_s
from persistence.database import Database
from persistence.embedded import EmbeddedPostgres
from protocol.errors import PlayhallError
from protocol.ids import GameId
from server.domains.play.games.live_game import LiveGame
from server.ops.audit.commands import GameAuditor
from server.rulesets import find_rulesets
from tests.fixtures.postgres import copy_stopped, postmaster_pid, stop_immediately
from tests.integration.audit.conftest import open_room
from tests.integration.games.conftest import Room, act

pytestmark = pytest.mark.long("two more PostgreSQL servers")

GAMES = 32
MOVES = 60
FIRST_MOVES = 10


@pytest.fixture
def shards(stopped_data_dir: Path) -> Iterator[list[Path]]:
    """Two data folders, each with a PostgreSQL that runs; the first one's path comes first."""
    where = stopped_data_dir.parents[1]
    parents = [Path(tempfile.mkdtemp(prefix="playhall-", dir=where)) for _ in range(2)]
    servers = []
    for parent in parents:
        parent.chmod(0o755)
        copy_stopped(stopped_data_dir, parent / "postgres")
        server = EmbeddedPostgres()
        server.start(parent / "postgres")
        servers.append(server)
    yield [parent / "postgres" for parent in parents]
    for server, parent in zip(servers, parents, strict=True):
        server.stop()
        shutil.rmtree(parent)


def dsn_of(folder: Path) -> str:
    return f"postgresql://postgres@/postgres?host={str(folder / 'cluster').replace('/', '%2F')}"


def shard_of(game_id: GameId, count: int) -> int:
    """Say which database has a game: by its id alone, so that any node can say it."""
    return int(game_id[-8:], 16) % count


async def begin(room: Room, shard: int, count: int) -> LiveGame:
    """Begin a game whose id belongs to a shard; ids are drawn until one does."""
    while True:
        game = await room.game("relay", [None] * 2)
        if shard_of(game.game_id, count) == shard:
            return game


async def play(games: Sequence[LiveGame], numbers: range) -> list[object]:
    async def one(game: LiveGame) -> None:
        for number in numbers:
            reply = await act(game, 0, number, {"n": number})
            if isinstance(reply, PlayhallError):
                raise reply

    return await asyncio.gather(*map(one, games), return_exceptions=True)


async def measured(folders: Sequence[Path], work: Callable[[], Awaitable[object]]) -> str:
    """Do some work; gives moves a second and processor time per move, ours and PostgreSQL's."""

    def used() -> tuple[float, float]:
        pids = [postmaster_pid(folder) for folder in folders]
        theirs = sum(process_cpu_s(pid, with_children=True) for pid in pids)
        return time.process_time(), theirs

    began, before = time.perf_counter(), used()
    await work()
    took, after = time.perf_counter() - began, used()
    moves = GAMES * MOVES
    ours, theirs = ((after[n] - before[n]) / moves * 1e6 for n in (0, 1))
    return f"{moves / took:7.0f} moves/s, {ours:5.0f} µs + {theirs:5.0f} µs of PostgreSQL a move"


async def test_games_of_two_databases_run_side_by_side_and_one_outlives_the_other(
    shards: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    figures = []
    for folders in (shards[:1], shards):
        count = len(folders)
        async with AsyncExitStack() as stack:
            databases = [
                await stack.enter_async_context(await Database.open(dsn_of(each), embedded=True))
                for each in folders
            ]
            rooms = [await stack.enter_async_context(open_room(each)) for each in databases]
            games = [await begin(rooms[n % count], n % count, count) for n in range(GAMES)]
            said = await measured(folders, lambda g=games: play(g, range(1, MOVES + 1)))
            figures.append(f"{count} database(s): {said}")
            for game in games:
                shard = shard_of(game.game_id, count)
                for n, database in enumerate(databases):
                    auditor = GameAuditor(database, find_rulesets())
                    if n == shard:
                        report = await auditor.verify_game(game.game_id)
                        assert (report.holds, report.events) == (True, game.head + 1)
                    else:
                        found = await rooms[n].store.find(game.game_id)
                        assert found is None, "a game is in one database only"
            if count == 1:
                continue
            # One of the two dies; games of the other do not even notice.
            await asyncio.to_thread(stop_immediately, shards[1])
            mine = [game for game in games if shard_of(game.game_id, 2) == 0]
            numbers = range(MOVES + 1, MOVES + 1 + FIRST_MOVES)
            assert await play(mine, numbers) == [None] * len(mine)
    with capsys.disabled():
        print(*figures, sep="\n")
