"""A base backup and the archived WAL bring back any moment, and no confirmed move is missing.

The steps are those of docs/operations/backups.md, on a server and an archive of their own.
"""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from migrations import runner
from persistence.cluster import PostgresCluster, postgres_program
from persistence.database import Database
from persistence.embedded import SETTINGS, EmbeddedPostgres
from protocol.ids import GameId
from server.ops.audit.commands import GameAuditor
from server.rulesets import find_rulesets
from tests.integration.audit.conftest import open_room
from tests.integration.games.conftest import act

pytestmark = pytest.mark.long("two more PostgreSQL servers")

ARCHIVED_WITHIN_S = 60
DURABLE = {**SETTINGS, "shared_buffers": "64MB", "archive_mode": "on", "archive_timeout": "60"}


class Site(NamedTuple):
    """A server that archives its WAL, and where to."""

    dsn: str
    wal: Path
    base: Path
    folder: Path


@pytest.fixture
def site(data_dir: Path) -> Iterator[Site]:
    wal, base = data_dir.parent / "wal", data_dir.parent / "base"
    copy = f'test ! -f "{wal}/%f" && cp "%p" "{wal}/%f.part" && mv "{wal}/%f.part" "{wal}/%f"'
    server = EmbeddedPostgres(settings={**DURABLE, "archive_command": copy})
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    dsn = server.start(data_dir)
    owner = (data_dir / "cluster").stat()
    for folder in (wal, base):
        folder.mkdir(mode=0o700)
        os.chown(folder, owner.st_uid, owner.st_gid)
    runner.upgrade(dsn)
    yield Site(dsn, wal, base, data_dir.parent)
    server.stop()


def as_postgres(site: Site, program: str, *arguments: str) -> None:
    owner = site.base.stat()
    done = subprocess.run(
        [postgres_program(program), *arguments],
        check=False,
        capture_output=True,
        text=True,
        user=owner.st_uid,
        group=owner.st_gid,
        extra_groups=[] if os.geteuid() == 0 else None,
        cwd=site.base,
    )
    assert done.returncode == 0, done.stderr


def recovered(site: Site, target: str) -> tuple[PostgresCluster, str]:
    """Start a server from the base backup and the archive, up to a target."""
    path = site.folder / "recovered" / "cluster"
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir()
    owner = site.base.stat()
    os.chown(path.parent, owner.st_uid, owner.st_gid)
    shutil.copytree(site.base, path)
    for each in (path, *path.rglob("*")):
        os.chown(each, owner.st_uid, owner.st_gid)
    path.chmod(0o700)
    (path / "recovery.signal").touch()
    cluster = PostgresCluster(path)
    cluster.ensure_running(
        {
            **SETTINGS,
            "shared_buffers": "64MB",
            "restore_command": f'cp "{site.wal}/%f" "%p"',
            **dict([target.split("=", 1)]),
            "recovery_target_action": "promote",
        }
    )
    deadline = time.monotonic() + ARCHIVED_WITHIN_S
    while True:  # it answers before it has come to its target
        with psycopg.connect(cluster.dsn) as connection:
            if connection.execute("SELECT pg_is_in_recovery()").fetchone() == (False,):
                return cluster, cluster.dsn
        assert time.monotonic() < deadline
        time.sleep(0.1)


def run(dsn: str, statement: str) -> str:
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = connection.execute(statement.encode()).fetchone()
    return str(found and found[0])


async def play(site: Site) -> tuple[GameId, str, GameId]:
    """Play a game; between two of its moves, make a restore point and note the time."""
    database = await Database.open(site.dsn, embedded=True)
    async with database, open_room(database) as room:
        over = await room.game("relay", [None] * 2)
        for number in (1, 2):
            await act(over, 0, number, {"n": number})
        run(site.dsn, "SELECT pg_create_restore_point('between two moves')")
        moment = run(site.dsn, "SELECT clock_timestamp()")
        await asyncio.sleep(0.05)
        await act(over, 0, 3, {"n": 3})
        later = await room.game("relay", [None] * 2)
        await act(later, 0, 1, {"n": 1})
    return over.game_id, moment, later.game_id


async def checked(dsn: str, game_id: GameId) -> tuple[int, bool]:
    """Say how far a game is in a database, and whether all of it is as it must be."""
    async with await Database.open(dsn, embedded=True) as database:
        report = await GameAuditor(database, find_rulesets()).verify_game(game_id)
    return report.events, report.holds


async def test_recovery_stops_between_two_moves_and_the_log_up_to_there_is_whole(
    site: Site,
) -> None:
    as_postgres(site, "pg_basebackup", f"--dbname={site.dsn}", f"--pgdata={site.base}", "-cfast")
    as_postgres(site, "pg_verifybackup", str(site.base))
    game_id, moment, later = await play(site)
    events, _ = await checked(site.dsn, game_id)
    last = run(site.dsn, "SELECT pg_walfile_name(pg_switch_wal())")
    deadline = time.monotonic() + ARCHIVED_WITHIN_S
    while not (site.wal / last).exists():
        assert time.monotonic() < deadline, run(site.dsn, "SELECT pg_stat_archiver")
        await asyncio.sleep(0.1)

    for target, left, has_later in (
        ("recovery_target_name=between two moves", events - 1, False),
        (f"recovery_target_time={moment}", events - 1, False),
        ("recovery_target_timeline=latest", events, True),
    ):
        cluster, dsn = await asyncio.to_thread(recovered, site, target)
        try:
            assert await checked(dsn, game_id) == (left, True)
            there = run(dsn, f"SELECT count(*) FROM games WHERE id = '{later}'")
            assert there == str(int(has_later))
            # It is a server like any other: the game goes on from there.
            assert run(dsn, "SELECT pg_is_in_recovery()") == "False"
        finally:
            cluster.stop()
