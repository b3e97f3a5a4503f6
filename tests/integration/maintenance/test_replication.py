"""Whether the database's log is safe elsewhere: a receiver of it, and an archive that fails."""

import asyncio
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg

from persistence.cluster import postgres_program
from persistence.database import Database
from persistence.embedded import SETTINGS, EmbeddedPostgres
from persistence.maintenance.store import MaintenanceStore
from server.domains.social.maintenance.replication import ReplicationFigures

PATIENCE_S = 20
ARCHIVE = {"archive_mode": "on", "archive_command": "false", "shared_buffers": "16MB"}


async def read(figures: ReplicationFigures) -> dict[str, float]:
    await figures.look()
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in figures.collect()
        for sample in family.samples
    }


async def wait_for(
    figures: ReplicationFigures, is_so: Callable[[dict[str, float]], bool]
) -> dict[str, float]:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so(found := await read(figures)):
            await asyncio.sleep(0.05)
        return found


async def test_a_standby_that_falls_behind_and_an_archive_that_fails_are_seen(
    data_dir: Path, tmp_path: Path
) -> None:
    server = EmbeddedPostgres(settings={**SETTINGS, **ARCHIVE})
    dsn = await asyncio.to_thread(server.start, data_dir)
    try:
        with psycopg.connect(dsn, autocommit=True) as admin:
            admin.execute("CREATE ROLE playhall_server")
            admin.execute("GRANT pg_monitor TO playhall_server")
            async with await Database.open(dsn, embedded=True, pool_max=2) as database:
                figures = ReplicationFigures(MaintenanceStore(database))
                assert await read(figures) == {
                    "playhall_replication_standbys": 0,
                    "playhall_wal_archive_failing": 0,
                }
                with receiving(dsn, tmp_path) as receiver:
                    await fall_behind(figures, admin, receiver)
                with connecting(dsn):
                    await wait_for_row(admin, "startup")
                    standbys = "playhall_replication_standbys"
                    await wait_for(figures, lambda found: found[standbys] == 0)
                admin.execute("SELECT pg_switch_wal()")
                await wait_for(figures, lambda found: found["playhall_wal_archive_failing"] == 1)

                admin.execute("REVOKE pg_monitor FROM playhall_server")
                assert (await read(figures))["playhall_replication_standbys"] == 0
    finally:
        await asyncio.to_thread(server.stop)


@contextmanager
def receiving(dsn: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Have PostgreSQL's own program receive the log."""
    host = parse_qs(urlsplit(dsn).query)["host"][0]
    with subprocess.Popen(
        [
            postgres_program("pg_receivewal"),
            f"--dbname=host={host} user=postgres application_name=standby",
            f"--directory={folder}",
            "--no-loop",
            "--status-interval=1",
        ],
        stderr=subprocess.DEVNULL,
    ) as receiver:
        try:
            yield receiver
        finally:
            receiver.kill()


@contextmanager
def connecting(dsn: str) -> Iterator[None]:
    """Open a connection for replication that asks for nothing."""
    host = parse_qs(urlsplit(dsn).query)["host"][0]
    connection = psycopg.pq.PGconn.connect(f"host={host} user=postgres replication=true".encode())
    assert connection.status == psycopg.pq.ConnStatus.OK, connection.error_message
    try:
        yield
    finally:
        connection.finish()


async def wait_for_row(admin: psycopg.Connection, state: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        asked = "SELECT FROM pg_stat_replication WHERE state = %s"
        while admin.execute(asked, [state]).fetchone() is None:
            await asyncio.sleep(0.05)


async def fall_behind(
    figures: ReplicationFigures, admin: psycopg.Connection, receiver: subprocess.Popen[bytes]
) -> None:
    lag = "playhall_replication_lag_bytes standby"
    await wait_for(figures, lambda found: lag in found)
    receiver.send_signal(signal.SIGSTOP)
    admin.execute("CREATE TABLE written AS SELECT repeat('x', 500) FROM generate_series(1, 9999)")
    found = await wait_for(figures, lambda found: found[lag] > 1_000_000)
    assert found["playhall_replication_standbys"] == 1
    assert "playhall_replication_lag_seconds standby" in found
