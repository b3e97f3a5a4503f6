"""The bundled PostgreSQL is killed, or its node is: it is started again, or taken over."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random

import psycopg
import pytest

from persistence.cluster import PostgresCluster
from persistence.embedded import EmbeddedPostgres
from tests.faults.bundled import WAIT_S, said, wait_until
from tests.faults.conftest import Rounds
from tests.faults.evidence import assert_kept
from tests.faults.playing import Hall, hall
from tests.faults.table import Figures
from tests.fixtures.node import Node
from tests.fixtures.postgres import postmaster_pid

pytestmark = pytest.mark.slow

STARTED_AGAIN = "the bundled PostgreSQL has exited and is being restarted"


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
    used_folder: Path, rounds: Rounds, figures: Figures
) -> None:
    with Node(used_folder, None) as node:
        async with playing(node) as games:
            for life in range(1, rounds(2, 6) + 1):
                os.kill(postmaster_pid(used_folder / "postgres"), signal.SIGKILL)
                await until(lambda life=life: said(node, STARTED_AGAIN) == life)
                await games.move_on()
                figures.count("kills of the bundled PostgreSQL survived")
        assert node.stop() == 0


async def test_killed_backend_leaves_games_going_on(used_folder: Path) -> None:
    with Node(used_folder, None) as node:
        async with playing(node) as games:
            postmaster = postmaster_pid(used_folder / "postgres")
            backends = backends_of(node)
            assert backends
            for pid in backends:
                with suppress(ProcessLookupError):  # the first one's death ends the others
                    os.kill(pid, signal.SIGKILL)
            await games.move_on()
            assert postmaster_pid(used_folder / "postgres") == postmaster
        assert node.stop() == 0


def backends_of(node: Node) -> list[int]:
    cluster = PostgresCluster(node.folder / "postgres" / "cluster")
    with psycopg.connect(cluster.dsn) as connection:
        return [
            pid
            for (pid,) in connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE usename = 'playhall_node'"
            )
        ]


def test_postgres_that_cannot_be_started_again_ends_the_node_with_a_sentence(
    used_folder: Path,
) -> None:
    with Node(used_folder, None) as node:
        broken = used_folder / "postgres" / "cluster" / "global" / "pg_control"
        broken.rename(broken.with_suffix(".away"))
        os.kill(postmaster_pid(used_folder / "postgres"), signal.SIGKILL)
        assert node.wait(120) == 1
        printed = "\n".join(node.output)
    assert "starts in a row failed" in printed
    assert "pg_control" in printed
    assert "Traceback" not in printed


def test_sigterm_while_postgres_is_dead_ends_the_node_cleanly(used_folder: Path) -> None:
    with Node(used_folder, None) as node:
        broken = used_folder / "postgres" / "cluster" / "global" / "pg_control"
        broken.rename(broken.with_suffix(".away"))
        os.kill(postmaster_pid(used_folder / "postgres"), signal.SIGKILL)
        wait_until(lambda: said(node, "cannot be restarted"))
        assert node.stop() == 0
        assert said(node, "Traceback") == 0


def test_killed_node_leaves_its_postgres_to_the_next_start(used_folder: Path) -> None:
    with Node(used_folder, None) as node:
        postmaster = postmaster_pid(used_folder / "postgres")
        node.kill()
        assert postmaster_pid(used_folder / "postgres") == postmaster
        node.start()
        assert postmaster_pid(used_folder / "postgres") == postmaster
        assert node.stop() == 0


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not holds():
            await asyncio.sleep(0.01)
