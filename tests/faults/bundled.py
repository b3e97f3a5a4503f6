"""A node with its own PostgreSQL: what it said, and which processes are at work for it.

PostgreSQL is told from other processes by the data folder that it was started with.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.fixtures.node import Node

WAIT_S = 60


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
