"""A node with its own PostgreSQL is sent signals, or killed in its first start: nothing is left."""

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.bundled import WAIT_S, processes_in, said, wait_until
from tests.fixtures.node import Node

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_signal_has_the_node_go_away_and_stops_postgres(
    used_folder: Path, number: signal.Signals
) -> None:
    with Node(used_folder, None) as node:
        node.send(number)
        assert node.wait() == 0
        assert said(node, "shutting down") == 1
        assert processes_in(used_folder) == []


def test_second_hangup_hurries_nothing(used_folder: Path) -> None:
    with Node(used_folder, None) as node:
        node.send(signal.SIGHUP)
        node.send(signal.SIGHUP)
        assert node.wait() == 0


def test_second_interrupt_stops_postgres_as_well(used_folder: Path) -> None:
    with Node(used_folder, None) as node:
        node.send(signal.SIGINT)
        wait_until(lambda: said(node, "shutting down") or node.has_ended)
        node.send(signal.SIGINT)
        assert node.wait() in (0, 130)
        assert processes_in(used_folder) == []


def test_hangup_under_nohup_is_ignored(used_folder: Path) -> None:
    with Node(used_folder, None, prefix=("nohup",)) as node:
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


@pytest.mark.parametrize("moment", ["while the cluster is made", "while it migrates"])
def test_node_killed_in_a_first_start_starts_the_next_time(folder: Path, moment: str) -> None:
    node = Node(folder, None)
    node.launch()
    wait_until(lambda: MOMENTS[moment](folder))
    node.kill()
    with Node(folder, None) as again:
        assert again.stop() == 0
