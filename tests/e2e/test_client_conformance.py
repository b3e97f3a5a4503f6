"""Both clients carry out `clients/conformance.md` against one real server, at the same time."""

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from persistence.address_space import lift_limit
from tests.fixtures.node import Node

CLIENTS = Path(__file__).parents[2] / "clients"
NODE = shutil.which("node")
TIMEOUT_S = 120
# Node 20 has WebSocket behind this flag; later ones have it anyway, and know the flag.
COMMANDS = {
    "python": [sys.executable, str(CLIENTS / "python" / "conformance.py")],
    "js": [NODE or "", "--experimental-websocket", str(CLIENTS / "js" / "conformance.js")],
}


async def carry_out(name: str, url: str) -> dict[str, int]:
    lift_limit()  # which a server in this process has set: Node.js maps gigabytes
    process = await asyncio.create_subprocess_exec(
        *COMMANDS[name],
        url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NODE_NO_WARNINGS": "1"},
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            said, problem = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, problem.decode()
    counted: dict[str, int] = json.loads(said)
    return counted


async def test_clients_are_cut_off_twenty_times_and_miss_nothing(
    tmp_path: Path, serving_dsn: str
) -> None:
    names = [name for name in COMMANDS if name != "js" or NODE is not None]
    with Node(tmp_path, serving_dsn, quick_play_wait_s=0.5) as node:
        for counted in await asyncio.gather(*(carry_out(name, node.url) for name in names)):
            assert counted["cuts"] == 20, counted
            assert counted["reconnects"] >= counted["cuts"]
    if NODE is None:
        pytest.skip("node is not installed: only the Python client was tested")
