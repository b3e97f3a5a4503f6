"""What the tests of faults share: how many rounds, which figures, and servers to break."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.faults.bundled import processes_in
from tests.faults.proxy import Proxy, proxied
from tests.faults.table import Figures, lines
from tests.fixtures.node import Node


class Nodes(Protocol):
    """Starts a node by name; the same name is the same folder."""

    def __call__(self, name: str, dsn: str, **settings: object) -> Node: ...


class Rounds(Protocol):
    """Chooses between the short form of a test and the long one."""

    def __call__(self, short: int, long: int) -> int: ...


@pytest.fixture
def rounds() -> Rounds:
    """How often: `rounds(3, 200)` is 200 in `make faults`, 3 otherwise."""
    is_long = os.environ.get("PLAYHALL_FAULTS") == "long"
    return lambda short, long: long if is_long else short


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """Where a test reports what it survived."""
    return Figures(request.node.user_properties)


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    """Makes nodes that are started, and killed at the end."""
    with ExitStack() as stack:

        def start(name: str, dsn: str, **settings: object) -> Node:
            return stack.enter_context(Node(tmp_path / name, dsn, **settings))

        yield start


@pytest.fixture
def folder(data_dir: Path) -> Iterator[Path]:
    """A data folder for a node with its own PostgreSQL; none is left of it in the end."""
    yield data_dir.parent
    assert processes_in(data_dir.parent) == []


@pytest.fixture
def used_folder(folder: Path, used_data_dir: Path) -> Path:
    """The same folder after a first start."""
    assert used_data_dir.parent == folder
    return folder


@pytest.fixture
async def proxy(serving_dsn: str) -> AsyncIterator[Proxy]:
    """A network between a server and the fresh database."""
    async with proxied(serving_dsn) as proxy:
        yield proxy


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was survived."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    table = list(lines(item for report in reports for item in report.user_properties))
    if table:
        terminalreporter.section("survived")
        for line in table:
            terminalreporter.line(line)
