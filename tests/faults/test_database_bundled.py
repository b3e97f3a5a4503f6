"""The bundled PostgreSQL is killed, or its node is: it is started again, or stopped.

PostgreSQL is told from other processes by the data folder that it was started with.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

import psycopg
import pytest

from persistence.cluster import Cluster
from persistence.embedded import EmbeddedPostgres
from tests.faults.conftest import Rounds
from tests.faults.evidence import assert_kept
from tests.faults.playing import Hall, hall
from tests.faults.table import Figures
from tests.fixtures.node import Node
from tests.fixtures.postgres import postmaster_pid

pytestmark = pytest.mark.slow

WAIT_S = 60
STARTED_AGAIN = "the bundled PostgreSQL ended and is started again"


@pytest.fixture
def folder(data_dir: Path) -> Iterator[Path]:
    """A data folder for a node with its own PostgreSQL; none is left of it in the end."""
    yield data_dir.parent
    assert processes_in(data_dir.parent) == []


@asynccontextmanager
async def playing(node: Node) -> AsyncIterator[Hall]:
    """Play games on a node for a block, and check in the end that all is kept."""
    async with hall(lambda: node.url, Random(41), relays=4, turns=2) as games:
        async with asyncio.TaskGroup() as group:
            group.create_task(games.play())
            await games.move_on()
            yield games
            games.enough.set()
        postgres = EmbeddedPostgres()
        dsn = await asyncio.to_thread(postgres.start, node.folder / "postgres")
        await assert_kept(dsn, games.players, Figures([]))
        await asyncio.to_thread(postgres.stop)


async def test_killed_postgres_is_started_again_and_games_go_on(
    folder: Path, rounds: Rounds, figures: Figures
) -> None:
    with Node(folder, None) as node:
        async with playing(node) as games:
            for life in range(1, rounds(2, 6) + 1):
                os.kill(postmaster_pid(folder / "postgres"), signal.SIGKILL)
                await until(lambda life=life: said(node, STARTED_AGAIN) == life)
                await games.move_on()
                figures.count("kills of the bundled PostgreSQL survived")
        assert node.stop() == 0


async def test_killed_backend_leaves_games_going_on(folder: Path) -> None:
    with Node(folder, None) as node:
        async with playing(node) as games:
            postmaster = postmaster_pid(folder / "postgres")
            backends = backends_of(node)
            assert backends
            for pid in backends:
                with suppress(ProcessLookupError):  # the first one's death ends the others
                    os.kill(pid, signal.SIGKILL)
            await games.move_on()
            assert postmaster_pid(folder / "postgres") == postmaster
        assert node.stop() == 0


def backends_of(node: Node) -> list[int]:
    cluster = Cluster(node.folder / "postgres" / "cluster")
    with psycopg.connect(cluster.dsn) as connection:
        return [
            pid
            for (pid,) in connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE usename = 'playhall_node'"
            )
        ]


def test_postgres_that_cannot_be_started_again_ends_the_node_with_a_sentence(folder: Path) -> None:
    with Node(folder, None) as node:
        broken = folder / "postgres" / "cluster" / "global" / "pg_control"
        broken.rename(broken.with_suffix(".away"))
        os.kill(postmaster_pid(folder / "postgres"), signal.SIGKILL)
        assert node.wait(120) == 1
        printed = "\n".join(node.output)
    assert "starts in a row failed" in printed
    assert "pg_control" in printed
    assert "Traceback" not in printed


def test_sigterm_while_postgres_is_dead_ends_the_node_cleanly(folder: Path) -> None:
    with Node(folder, None) as node:
        broken = folder / "postgres" / "cluster" / "global" / "pg_control"
        broken.rename(broken.with_suffix(".away"))
        os.kill(postmaster_pid(folder / "postgres"), signal.SIGKILL)
        wait_until(lambda: said(node, "does not start"))
        assert node.stop() == 0
        assert said(node, "Traceback") == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_signal_has_the_node_go_away_and_stops_postgres(
    folder: Path, number: signal.Signals
) -> None:
    with Node(folder, None) as node:
        node.send(number)
        assert node.wait() == 0
        assert said(node, "going away") == 1
        assert processes_in(folder) == []


def test_second_hangup_hurries_nothing(folder: Path) -> None:
    with Node(folder, None) as node:
        node.send(signal.SIGHUP)
        node.send(signal.SIGHUP)
        assert node.wait() == 0


def test_second_interrupt_stops_postgres_as_well(folder: Path) -> None:
    with Node(folder, None) as node:
        node.send(signal.SIGINT)
        wait_until(lambda: said(node, "going away") or node.has_ended)
        node.send(signal.SIGINT)
        assert node.wait() in (0, 130)
        assert processes_in(folder) == []


def test_hangup_under_nohup_is_ignored(folder: Path) -> None:
    with Node(folder, None, prefix=("nohup",)) as node:
        node.send(signal.SIGHUP)
        node.send(signal.SIGTERM)
        assert node.wait() == 0  # 143 if the first had asked already


MOMENTS: dict[str, Callable[[Path], bool]] = {
    "at once": lambda folder: folder.exists(),
    "while the cluster is made": lambda folder: (folder / "postgres" / "cluster.new").exists(),
    "when the cluster was made": lambda folder: (folder / "postgres" / "cluster").exists(),
    "when PostgreSQL is launched": lambda folder: (
        folder / "postgres" / "cluster" / "server.log"
    ).exists(),
    "while PostgreSQL starts": lambda folder: (
        folder / "postgres" / "cluster" / "postmaster.pid"
    ).exists(),
    "while it migrates": lambda folder: (
        folder / "postgres" / "cluster" / ".s.PGSQL.5432"
    ).exists(),
}


@pytest.mark.parametrize(
    ("moment", "number"),
    [
        *((moment, signal.SIGTERM) for moment in MOMENTS),
        ("while the cluster is made", signal.SIGINT),
        ("while the cluster is made", signal.SIGHUP),
    ],
)
def test_signal_in_a_first_start_leaves_no_process_and_nothing_half_made(
    folder: Path, moment: str, number: signal.Signals
) -> None:
    node = Node(folder, None)
    ready = node.launch()
    try:
        wait_until(lambda: MOMENTS[moment](folder) or node.has_ended)
        node.send(number)
        status = node.wait()
        ready.wait(WAIT_S)
    finally:
        node.kill()
    assert status in (0, 128 + number, -number)  # ended itself; at once where it had just begun
    assert processes_in(folder) == []
    assert not (folder / "postgres" / "cluster.new").exists()
    assert said(node, "Traceback") == 0
    with Node(folder, None) as again:
        assert again.stop() == 0


def test_killed_node_leaves_its_postgres_to_the_next_start(folder: Path) -> None:
    with Node(folder, None) as node:
        postmaster = postmaster_pid(folder / "postgres")
        node.kill()
        assert postmaster_pid(folder / "postgres") == postmaster
        node.start()
        assert postmaster_pid(folder / "postgres") == postmaster
        assert node.stop() == 0


@pytest.mark.parametrize("moment", ["while the cluster is made", "while it migrates"])
def test_node_killed_in_a_first_start_starts_the_next_time(folder: Path, moment: str) -> None:
    node = Node(folder, None)
    node.launch()
    wait_until(lambda: MOMENTS[moment](folder))
    node.kill()
    with Node(folder, None) as again:
        assert again.stop() == 0


def said(node: Node, words: str) -> int:
    return sum(words in line for line in node.output)


def processes_in(folder: Path) -> list[str]:
    """List the processes that were started with this data folder, or work in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            at = (process / "cwd").readlink()
            if process.name != str(os.getpid()) and (
                str(folder) in command or at.is_relative_to(folder)
            ):
                found.append(command)
    return found


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not holds():
            await asyncio.sleep(0.01)
