"""`playhall serve --workers N`: nodes behind one port, supervised, and nothing left in the end."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.faults.conftest import Nodes
from tests.faults.evidence import assert_kept
from tests.faults.playing import hall
from tests.faults.recording import PATIENCE_S
from tests.faults.table import Figures
from tests.fixtures.node import Node
from tests.fixtures.shell import playhall

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
WORKERS = 2


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.05)


def children(pid: int) -> dict[int, str]:
    """The processes that a process started and that live, with their command lines."""
    found: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(after_name[1]) == pid and after_name[0] != "Z":
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def serving(dsn: str) -> list[dict[str, Any]]:
    done = playhall("nodes", "--json", environment={"PLAYHALL_DATABASE_URL": dsn})
    assert done.status == 0, done.said
    rows = [json.loads(line) for line in done.out.splitlines()]
    return [row for row in rows if row["state"] == "serving"]


async def test_workers_serve_one_port_and_are_started_again(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, figures: Figures
) -> None:
    node: Node = await asyncio.to_thread(nodes, "workers", serving_dsn, workers=WORKERS, lease_s=2)
    own = children(node.pid)
    valkey = next(pid for pid, command in own.items() if "valkey" in command)
    workers = [pid for pid, command in own.items() if "--worker" in command]
    assert len(workers) == WORKERS
    rows = await asyncio.to_thread(serving, serving_dsn)
    assert len({row["address"] for row in rows} | {node.url}) == WORKERS + 1  # a port for each

    async with hall(lambda: node.url, Random(1), relays=4) as games:
        async with asyncio.TaskGroup() as group:
            group.create_task(games.play())
            await games.move_on()
            os.kill(valkey, signal.SIGKILL)
            await games.move_on()
            os.kill(workers[0], signal.SIGKILL)
            await games.move_on()
            await until(
                lambda: sum("--worker" in each for each in children(node.pid).values()) == WORKERS
            )
            games.enough.set()
        await assert_kept(fresh_dsn, games.players, figures)
    figures.count("workers killed and started again")

    left = children(node.pid)
    assert await asyncio.to_thread(node.stop) == 0
    assert not any(is_alive(pid) for pid in left)


async def test_nothing_outlives_a_supervisor_that_is_killed(nodes: Nodes, serving_dsn: str) -> None:
    node: Node = await asyncio.to_thread(nodes, "workers", serving_dsn, workers=WORKERS)
    own = children(node.pid)
    assert len(own) == WORKERS + 1
    await asyncio.to_thread(node.kill)
    await until(lambda: not any(is_alive(pid) for pid in own))


async def test_a_worker_that_cannot_start_ends_the_server_with_a_sentence(
    tmp_path: Path, serving_dsn: str
) -> None:
    done = await asyncio.to_thread(
        playhall,
        "serve",
        "--workers",
        "2",
        "--data-dir",
        str(tmp_path / ("long" * 30)),
        environment={"PLAYHALL_DATABASE_URL": serving_dsn, "PLAYHALL_PORT": "0"},
    )
    assert done.status == 1
    assert "is too long for a socket" in done.said
    done.assert_plain()
