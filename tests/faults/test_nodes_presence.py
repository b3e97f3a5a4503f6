"""One player, several nodes: the newest connection wins, and who is elsewhere is not away."""

import asyncio
from time import monotonic

import aiohttp
import pytest

from tests.faults.client_line import Guest, Line, lines, new_guests, until
from tests.faults.conftest import Nodes
from tests.faults.table import Figures
from tests.faults.test_nodes import LEASE_S, Cluster, cluster
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.redis import RedisServer

# Below the 10 s after which a node looks by itself while Redis works.
AT_ONCE_S = 5.0
# Above the 2 s of a node without it, and the time that it takes to notice a server that is gone.
BACKSTOP_S = 15.0
GRACE_S = 1
AT_ONCE = 20
UPLOADS = 4


async def moves(player: Guest, older: Line, to: Node, within_s: float) -> float:
    """Connect a player to another node; gives how long until the older connection was closed."""
    async with Line(to.websocket_url) as newer:
        await newer.greet(player)
        began = monotonic()
        async with asyncio.timeout(within_s):
            closed = await older.end()
        took_s = monotonic() - began
        assert (closed.code, closed.reason) == (4002, "superseded")
        assert older.updates[-1]["type"] == "session.closing"
        await newer.ok("session.ping")
    return took_s


@pytest.mark.slow
async def test_newest_connection_wins_on_any_node(
    nodes: Nodes, serving_dsn: str, redis_server: RedisServer, figures: Figures
) -> None:
    async with cluster(
        nodes, serving_dsn, redis_server, count=2, lobby_grace_s=GRACE_S, uploads_per_minute=UPLOADS
    ) as both:
        ann, host, *crowd = await new_guests(both.nodes[0], AT_ONCE + 2)
        for here, there in (both.nodes, both.nodes[::-1]):
            async with lines(here, [ann]) as [older]:
                took_s = await moves(ann, older, there, AT_ONCE_S)
                figures.measure("until an older connection on another node is closed", took_s)
        await one_stays(both, crowd)
        await uploads_are_counted_by_all(both, host)
        await a_member_stays(both, ann, host)

        redis_server.kill()
        async with lines(both.nodes[0], [ann]) as [older]:
            took_s = await moves(ann, older, both.nodes[1], BACKSTOP_S)
        figures.measure("until an older connection is closed, Redis killed", took_s)


async def one_stays(both: Cluster, crowd: list[Guest]) -> None:
    """Connect everybody to both nodes at once; each is left with one connection."""
    async with lines(both.nodes[0], crowd) as here, lines(both.nodes[1], crowd) as there:
        ends = [
            (asyncio.create_task(a.end()), asyncio.create_task(b.end()))
            for a, b in zip(here, there, strict=True)
        ]
        async with asyncio.timeout(AT_ONCE_S):
            while not all(one.done() or other.done() for one, other in ends):
                await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        for pair in ends:
            assert sum(each.done() for each in pair) == 1
            for each in pair:
                each.cancel()
        await asyncio.gather(*(each for pair in ends for each in pair), return_exceptions=True)


async def uploads_are_counted_by_all(both: Cluster, ann: Guest) -> None:
    """Announce uploads on two nodes in turn: together they allow as many as one."""
    statuses = []
    for n in range(UPLOADS + 2):
        at = both.nodes[n % 2]
        async with (
            aiohttp.ClientSession(at.url) as web,
            web.post(
                "/v1/files/uploads",
                json={"bucket": "no-such-bucket", "path": "a", "size": 1, "content_type": "a/b"},
                headers=bearer(ann.token),
            ) as answer,
        ):
            statuses.append(answer.status)
        await asyncio.sleep(0.2)
    assert statuses == [422] * UPLOADS + [429] * 2


async def a_member_stays(both: Cluster, ann: Guest, host: Guest) -> None:
    """Move a member of a lobby to another node; they leave it when they leave that one too."""
    here, there = both.nodes
    async with lines(here, [host]) as [owner]:
        made = await owner.ok("lobby.create", ruleset="el_dorado")
        lobby_id = made["lobby"]["lobby_id"]

        async def members() -> int:
            async with (
                aiohttp.ClientSession(here.url) as web,
                web.get(f"/v1/lobbies/{lobby_id}", headers=bearer(host.token)) as answer,
            ):
                return len((await answer.json())["members"])

        async with Line(here.websocket_url) as first:
            await first.greet(ann)
            await first.ok("lobby.join", lobby_id=lobby_id)
        async with lines(there, [ann]):
            await asyncio.sleep(GRACE_S + 2)
            assert await members() == 2
        await until(members, 1)

        # And when that node dies, whichever notices has them leave.
        async with Line(there.websocket_url) as second:
            await second.greet(ann)
            await second.ok("lobby.join", lobby_id=lobby_id)
            await asyncio.sleep(1)  # it is noted where they are
            await asyncio.to_thread(there.kill)
            async with asyncio.timeout(LEASE_S + GRACE_S + 20):
                await until(members, 1)
        await asyncio.to_thread(there.start)
