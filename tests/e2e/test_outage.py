"""What a server's log says while its database lets nobody in."""

import asyncio
from pathlib import Path

from tests.fixtures.node import Node
from tests.fixtures.postgres import Databases

WAIT_S = 30
LOGGED = (
    "WARNING lobbies: filling with bots waits: ",
    "WARNING the database cannot be connected to for now: ",
    "WARNING the lease could not be renewed: ",
)


async def test_database_that_is_away_leaves_sentences_and_no_trace(
    databases: Databases, serving_dsn: str, tmp_path: Path
) -> None:
    with Node(tmp_path, serving_dsn, lease_s=2) as node:
        databases.shut(serving_dsn)
        async with asyncio.timeout(WAIT_S):
            while not all(any(text in line for line in node.output) for text in LOGGED):
                await asyncio.sleep(0.05)
        printed = "\n".join(node.output)
    assert "Traceback" not in printed
    assert " ERROR " not in printed
