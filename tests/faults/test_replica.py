"""A real standby is read from while it follows closely, and the primary whenever it does not."""

import asyncio
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import aiohttp
import psycopg
import pytest

from migrations import runner
from persistence.cluster import PostgresCluster, postgres_program
from persistence.database import Connection, Database
from persistence.embedded import SETTINGS, EmbeddedPostgres
from persistence.games.store import GameStore
from persistence.replica import ReplicaReads
from server.domains.services import watch_replica
from tests.faults.client_line import new_guests
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.integration.audit.conftest import open_room, play_and_leave

pytestmark = pytest.mark.long("two more PostgreSQL servers")

SMALL = {**SETTINGS, "shared_buffers": "64MB"}
LAG_MAX_S = 0.5
PATIENCE_S = 60


class Pair(NamedTuple):
    """A primary and its standby: their superuser's names, and the server's."""

    primary: str
    serving: str
    standby: PostgresCluster


@pytest.fixture
def pair(data_dir: Path) -> Iterator[Pair]:
    server = EmbeddedPostgres(settings=SMALL)
    primary = server.start(data_dir)
    runner.upgrade(primary)
    serving = server.ensure_login()
    owner = (data_dir / "cluster").stat()
    folder = data_dir.parent / "standby"
    folder.mkdir()
    os.chown(folder, owner.st_uid, owner.st_gid)
    subprocess.run(
        [
            *(postgres_program("pg_basebackup"), f"--dbname={primary}"),
            *(f"--pgdata={folder / 'cluster'}", "--write-recovery-conf", "--checkpoint=fast"),
        ],
        check=True,
        user=owner.st_uid,
        group=owner.st_gid,
        extra_groups=[] if os.geteuid() == 0 else None,
        cwd=folder,
    )
    standby = PostgresCluster(folder / "cluster")
    standby.ensure_running(SMALL)
    yield Pair(primary, serving, standby)
    standby.stop()
    server.stop()


def admin(dsn: str, statement: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


async def until(is_so: Callable[[], bool], reads: ReplicaReads) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await reads.look()
            await asyncio.sleep(0.05)


async def is_standby(connection: Connection) -> bool:
    return bool(await connection.fetchval("SELECT pg_is_in_recovery()"))


def reads_of(primary: Database, dsn: str) -> ReplicaReads:
    return ReplicaReads(
        primary,
        open_replica=partial(Database.open, dsn, only_reads=True, pool_max=2),
        lag_max_s=LAG_MAX_S,
        now=asyncio.get_running_loop().time,
    )


async def test_standby_is_read_from_while_it_is_close_and_never_beyond_that(pair: Pair) -> None:
    async with await Database.open(pair.serving) as primary:
        reads = reads_of(primary, pair.standby.serving_dsn)
        assert not await reads.read(is_standby)  # nobody has looked yet
        await until(lambda: reads.is_fresh, reads)
        assert await reads.read(is_standby)
        assert reads.lag_s < LAG_MAX_S + 1

        # Its finished games are the primary's, to the byte.
        async with open_room(primary) as room:
            game = await room.game("el_dorado", [None, "random"], rounds=1)
            await play_and_leave(game)
            await room.completed(game.game_id)
            running = await room.game("relay", [None] * 2)
        log = await room.store.read_log(game.game_id)
        await until(lambda: reads.is_fresh and reads.lag_s < 0.2, reads)
        games = GameStore(primary, node="", replica=reads)
        before = reads.reads
        assert await games.read_finished_events(game.game_id, after=-1) == log
        assert await games.read_finished_events(game.game_id, after=3, limit=2) == log[4:6]
        assert reads.reads > before
        # Of a game that it does not know to be over, the primary is asked.
        assert len(await games.read_finished_events(running.game_id, after=-1)) == 1

        # It replays no more, and nobody is shown what is older than allowed.
        admin(pair.standby.dsn, "SELECT pg_wal_replay_pause()")
        admin(pair.primary, "CREATE TABLE something (at int)")
        await until(lambda: not reads.is_fresh, reads)
        assert not await reads.read(is_standby)
        admin(pair.standby.dsn, "SELECT pg_wal_replay_resume()")
        await until(lambda: reads.is_fresh, reads)
        assert await reads.read(is_standby)

        # It goes away in the middle: the reader does not notice, and it is found again.
        await asyncio.to_thread(pair.standby.stop)
        for _ in range(3):
            assert not await reads.read(is_standby)
        await reads.look()
        assert not reads.is_fresh
        await asyncio.to_thread(pair.standby.ensure_running, SMALL)
        await until(lambda: reads.is_fresh, reads)
        assert await reads.read(is_standby)


async def test_watch_finds_the_standby_and_leaves_no_connection_behind(pair: Pair) -> None:
    async with await Database.open(pair.serving) as primary:
        reads = reads_of(primary, pair.standby.serving_dsn)
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(watch_replica(reads))
            async with asyncio.timeout(PATIENCE_S):
                while not reads.is_fresh:
                    await asyncio.sleep(0.05)
            watch.cancel()
        with psycopg.connect(pair.standby.dsn) as connection:
            left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'playhall_node'"
            assert connection.execute(left).fetchone() == (0,)


async def test_primary_is_taken_for_no_standby(pair: Pair) -> None:
    async with await Database.open(pair.serving) as primary:
        reads = reads_of(primary, pair.serving)
        for _ in range(3):
            with suppress(TimeoutError):
                await reads.look()
        assert not reads.is_fresh
        assert not await reads.read(is_standby)


async def test_node_reads_public_boards_from_it_and_those_of_somebody_from_the_primary(
    pair: Pair, tmp_path: Path
) -> None:
    replica = pair.standby.serving_dsn
    with Node(tmp_path, pair.serving, database_replica_url=replica, workers=1) as node:
        [guest] = await new_guests(node, 1)

        async def reads(path: str, **headers: str) -> float:
            async with aiohttp.ClientSession(node.url, headers=headers) as web:
                async with web.get(path) as answer:
                    assert answer.status == 200, await answer.text()
                async with web.get("/metrics") as answer:
                    found = re.search(
                        r"^playhall_replica_reads_total (\S+)", await answer.text(), re.M
                    )
            assert found is not None
            return float(found[1])

        board = "/v1/leaderboards/wins"
        async with asyncio.timeout(PATIENCE_S):
            while (before := await reads(board)) == 0:
                await asyncio.sleep(0.1)
        assert await reads(board) == before + 1
        assert await reads(board, **bearer(guest.token)) == before + 1
    assert "Traceback" not in (said := "\n".join(node.output)), said
