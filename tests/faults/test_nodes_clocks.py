"""Two nodes whose clocks are two hours apart: nothing expires early, and nothing comes twice.

Their clocks are those of their processes, by libfaketime; the database has the right one.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import aiohttp
import asyncpg
import pytest

from playhall.client import connect
from tests.faults.checker import findings
from tests.faults.client_line import lines, new_guests
from tests.faults.conftest import Nodes
from tests.faults.evidence import read_evidence
from tests.faults.recording import PATIENCE_S, Player, table
from tests.faults.table import Figures
from tests.faults.test_redis import connected, metric
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.redis import RedisServer

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed"),
]
SKEWS = {"ahead": "+1h", "behind": "-1h"}
LEASE_S = 2
QUICK_S, SLOW_S = 4, 1800
WAIT_S = 3
NEAR_S = 5  # a busy machine may take so long to do what is due


@pytest.fixture
async def skewed(
    nodes: Nodes, serving_dsn: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Node]:
    monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    started = await asyncio.gather(
        *(
            asyncio.to_thread(
                nodes,
                name,
                serving_dsn,
                # Not the program `faketime`, which stays the parent of what it starts.
                prefix=("env", f"LD_PRELOAD={LIBRARIES[0]}", f"FAKETIME={skew}"),
                lease_s=LEASE_S,
                quick_play_wait_s=WAIT_S,
                redis_url=redis_server.url,
                spread_games="false",
            )
            for name, skew in SKEWS.items()
        )
    )
    await connected(list(started))
    return dict(zip(SKEWS, started, strict=True))


async def test_clocks_two_hours_apart_are_one_time(
    skewed: dict[str, Node], fresh_dsn: str, figures: Figures
) -> None:
    for name, sign in (("ahead", 1), ("behind", -1)):
        assert await metric(skewed[name], "playhall_clock_ahead_seconds") == pytest.approx(
            sign * 3600, abs=1
        )
    await tokens_are_good_everywhere(skewed)
    await lobbies_are_filled_in_time(skewed)
    for owner, successor in (("ahead", "behind"), ("behind", "ahead")):
        await turns_end_in_time(skewed[owner], skewed[successor], fresh_dsn)
        figures.count("takeovers between clocks two hours apart")
        await asyncio.to_thread(skewed[owner].start)


async def tokens_are_good_everywhere(skewed: dict[str, Node]) -> None:
    """What one node signs, the other takes, and no socket is closed for it."""
    for here, there in (skewed.values(), reversed(skewed.values())):
        [guest] = await new_guests(here, 1)
        async with aiohttp.ClientSession(there.url) as web:
            async with web.get("/v1/me", headers=bearer(guest.token)) as answer:
                assert answer.status == 200, await answer.text()
            body = {"refresh_token": guest.session["refresh_token"]}
            async with web.post("/v1/auth/refresh", json=body) as answer:
                assert answer.status == 200, await answer.text()
        async with lines(there, [guest]) as [line]:
            await asyncio.sleep(2.5)  # silent and expired connections are looked for every second
            said = await line.ok("session.ping")
            at = datetime.fromisoformat(said["server_time"])
            assert abs((at - datetime.now(UTC)).total_seconds()) < NEAR_S


async def lobbies_are_filled_in_time(skewed: dict[str, Node]) -> None:
    """Who is alone gets bots after the wait, whichever node looks first."""
    for node in skewed.values():
        async with connect(node.url) as client:
            began = monotonic()
            async with asyncio.timeout(WAIT_S + PATIENCE_S):
                await client.quick_play("four_in_a_row", seats=2)
            assert WAIT_S - 0.5 <= monotonic() - began < WAIT_S + 2 * NEAR_S


async def turns_end_in_time(owner: Node, successor: Node, dsn: str) -> None:
    """Two games lose their node: one's turn has time left, the other's ends there."""
    async with (
        table(lambda: owner.url, "four_in_a_row", humans=2, turn_timeout_s=SLOW_S) as slow,
        table(lambda: owner.url, "four_in_a_row", humans=2, turn_timeout_s=QUICK_S) as quick,
    ):
        for seats in (slow, quick):
            await seats[0].act({"type": "drop", "column": 0})
        began = monotonic()
        await asyncio.to_thread(owner.kill)
        await moves_by_itself(dsn, quick[0])
        assert QUICK_S - 0.5 <= monotonic() - began < QUICK_S + LEASE_S + 2 * NEAR_S
        pauses = await pauses_before_drops(dsn, quick[0])
        assert pauses[1] >= QUICK_S
        assert len(await pauses_before_drops(dsn, slow[0])) == 1
        for player in (*slow, *quick):
            player.where = lambda: successor.url
        await slow[1].act({"type": "drop", "column": 1})
        assert findings(await read_evidence(dsn), [slow[1].witness]) == []


async def moves_by_itself(dsn: str, player: Player) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(await pauses_before_drops(dsn, player)) < 2:
            await asyncio.sleep(0.1)


async def pauses_before_drops(dsn: str, player: Player) -> list[float]:
    """How long after what came before each disc was dropped, in seconds."""
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        "SELECT type, extract(epoch FROM created_at - lag(created_at) OVER (ORDER BY event_index))"
        " FROM game_events WHERE game_id = $1 AND type NOT LIKE 'player\\_%' ORDER BY event_index",
        player.game_id,
    )
    await connection.close()
    return [float(pause or 0) for kind, pause in rows if kind == "disc_dropped"]
