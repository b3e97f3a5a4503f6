"""A node that goes away: it says so while it still answers, and finishes what is under way."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import psycopg

from tests.faults.conftest import Nodes
from tests.faults.conftest import nodes as nodes
from tests.faults.recording import table
from tests.integration.deploy.test_manifests import STOP_WITHIN_S

PATIENCE_S = 20


@contextmanager
def nothing_commits(dsn: str) -> Iterator[None]:
    """Keep every event from being written, as a database that is stuck for a while."""
    with psycopg.connect(dsn) as connection:
        connection.execute("LOCK TABLE game_events IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()


async def test_a_node_that_drains_is_alive_not_ready_and_answers_the_moves_that_it_took(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str
) -> None:
    node = await asyncio.to_thread(nodes, "one", serving_dsn)

    async def status_of(path: str) -> tuple[int, str]:
        async with web.get(path) as answer:
            return answer.status, (await answer.json()).get("code", "")

    async with (
        table(lambda: node.url, "relay", humans=1) as (player,),
        aiohttp.ClientSession(node.url) as web,
    ):
        await player.act({"n": 0})
        assert await status_of("/readyz") == (200, "")
        with nothing_commits(fresh_dsn):
            player.witness.sent[2] = {"n": 1}
            moving = asyncio.create_task(player.send_once(2))
            await asyncio.sleep(0.3)  # it is with the log by now
            began_at = time.monotonic()
            stopping = asyncio.create_task(asyncio.to_thread(node.stop))
            async with asyncio.timeout(PATIENCE_S):
                while await status_of("/readyz") != (503, "going_away"):
                    await asyncio.sleep(0.02)
            assert await status_of("/healthz") == (200, "")
            assert not moving.done()
        reply = await moving
        assert reply["type"] == "ok", reply
        assert await stopping == 0
        assert time.monotonic() - began_at < STOP_WITHIN_S
    with psycopg.connect(fresh_dsn) as connection:
        stored = connection.execute(
            "SELECT max(event_index) FROM game_events WHERE game_id::text = %s", [player.game_id]
        ).fetchone()
    assert stored == (reply["event_index"],)
