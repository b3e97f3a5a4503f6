"""Real clients on a node that does not own their game, while its owner is killed.

Three nodes share a Redis. Whoever plays is connected to the first; the game, or the peers' meeting
node, is elsewhere, and dies as by a power failure. Nobody is redirected, and nothing is lost.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiohttp import web

from playhall.client import Client, Game, connect
from tests.e2e.test_peers_in_a_browser import PAGES
from tests.e2e.test_playing_in_a_browser import (
    BID,
    CARD,
    MOVES_MAX,
    head,
    log_of,
    moved,
    moves_of,
    my_turn,
)
from tests.faults.client_line import new_guests
from tests.faults.conftest import Nodes
from tests.faults.test_redis import connected, metric
from tests.fixtures.browser import CHROMIUM, browser
from tests.fixtures.node import Node
from tests.fixtures.redis import RedisServer

pytestmark = pytest.mark.slow
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
LEASE_S = 2
PATIENCE_S = 60


class Three:
    """Three nodes, of which the first is everybody's."""

    def __init__(self, started: list[Node], dsn: str) -> None:
        self.nodes = started
        self.mine = started[0]
        self._dsn = dsn

    def owner(self, game_id: str) -> Node | None:
        """Find the node that has a game."""
        with psycopg.connect(self._dsn) as database:
            row = database.execute(
                "SELECT n.address FROM games g JOIN nodes n ON n.id = g.owner_node"
                " WHERE g.id = %s AND n.lease_until > now()",
                (game_id,),
            ).fetchone()
        return next((node for node in self.nodes if row and node.url == row[0]), None)

    async def kill_owner(self, game_id: str) -> None:
        """Kill the node that has a game, which is not everybody's."""
        owner = self.owner(game_id)
        assert owner is not None
        assert owner is not self.mine
        await asyncio.to_thread(owner.kill)


@asynccontextmanager
async def three(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, redis_server: RedisServer, **settings: object
) -> AsyncIterator[Three]:
    started = await asyncio.gather(
        *(
            asyncio.to_thread(
                nodes, name, serving_dsn, lease_s=LEASE_S, redis_url=redis_server.url, **settings
            )
            for name in "abc"
        )
    )
    await connected(list(started))
    yield Three(list(started), fresh_dsn)


async def until_elsewhere(
    all_nodes: Three, begin: Callable[[], Any], id_of: Callable[[Any], Any]
) -> Any:
    """Begin games until one is on another node than everybody's."""
    for _ in range(20):
        game = await begin()
        if all_nodes.owner(await id_of(game)) is not all_nodes.mine:
            return game
    raise AssertionError("every game stayed on the node that it was started on")


async def test_python_bot_plays_on(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, redis_server: RedisServer
) -> None:
    async with (
        three(nodes, serving_dsn, fresh_dsn, redis_server) as cluster,
        connect(cluster.mine.url, name="Bot") as client,
    ):
        connects = await metric(cluster.mine, "playhall_connections")
        game: Game = await until_elsewhere(
            cluster, lambda: against_a_bot(client), lambda game: constant(game.game_id)
        )
        seen, moves = [], 0

        async def read() -> None:
            seen.extend([event async for event in game])

        reading = asyncio.create_task(read())
        while not reading.done():
            view = await game.view()
            if view["legal_moves"]:
                await game.act(view["legal_moves"][0])
                moves += 1
                if moves == 2:
                    await cluster.kill_owner(game.game_id)
            await asyncio.sleep(0.02)
        await reading
        assert [event.event_index for event in seen] == list(range(len(seen)))
        assert seen[-1].type == "game_completed"
        mine = [
            e
            for e in seen
            if e.type == "disc_dropped"
            and e.payload
            and e.payload["player_id"] == await client.player_id()
        ]
        assert len(mine) == moves >= 4
        assert await metric(cluster.mine, "playhall_connections") == connects


async def against_a_bot(client: Client) -> Game:
    lobby = (await client.call("lobby.create", ruleset="four_in_a_row"))["lobby"]
    at = {"lobby_id": lobby["lobby_id"]}
    await client.call("lobby.add_bot", **at, bot="random")
    started = await client.call("lobby.start", **at)
    return await client.game(started["lobby"]["game_id"])


async def constant(value: str) -> str:
    return value


@needs_browser
async def test_page_plays_on(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(
            three(nodes, serving_dsn, fresh_dsn, redis_server)
        )
        chromium = stack.enter_context(browser(tmp_path / "profile"))
        page = await stack.enter_async_context(chromium.person(cluster.mine.url))

        async def begin() -> str:
            await page.go(cluster.mine.url)
            await page.click("[data-bots=el_dorado]")
            await page.until("location.pathname.startsWith('/play/')")
            return str(await page.run("location.pathname.split('/')[2]"))

        game_id = await until_elsewhere(cluster, begin, constant)
        moves = 0
        while await my_turn(page):
            before = await head(page)
            if moves == 3:
                await cluster.kill_owner(game_id)
            await page.click(BID if await page.run(f"!!document.querySelector('{BID}')") else CARD)
            await moved(page, before)
            moves += 1
            assert moves < MOVES_MAX
        me, events = await log_of(page)
        assert moves_of(me, events) == moves == 10 + sum(range(1, 11))
        assert [each["event_index"] for each in events] == list(range(len(events)))
        # Its own node was there all the time, so its connection was never lost.
        assert await page.run("document.querySelector('.connection').hidden")


@needs_browser
async def test_peers_meet_again(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Unmodified PeerJS on two nodes; the third, where they met, is killed."""
    app = web.Application()
    app.router.add_static("/", PAGES)
    async with AsyncExitStack() as stack:
        runner = web.AppRunner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        site = f"http://{host}:{port}"
        cluster = await stack.enter_async_context(
            three(nodes, serving_dsn, fresh_dsn, redis_server, origins=site)
        )
        chromium = stack.enter_context(browser(tmp_path / "profile"))
        # Without a lobby, peers of a key meet on the oldest node: connect to the two others.
        with psycopg.connect(fresh_dsn) as database:
            oldest = database.execute(
                "SELECT address FROM nodes ORDER BY started_at, id LIMIT 1"
            ).fetchone()
        assert oldest is not None
        others = [node for node in cluster.nodes if node.url != oldest[0]]
        met = next(node for node in cluster.nodes if node.url == oldest[0])
        tokens = [guest.token for guest in await new_guests(others[0], 3)]

        def address(name: str, node: Node) -> str:
            return f"{site}/lobby.html?name={name}&server={node.url}"

        ann = await stack.enter_async_context(chromium.page(address("ann", others[0])))
        bob = await stack.enter_async_context(chromium.page(address("bob", others[1])))
        for page in (ann, bob):
            await page.until("typeof window.start === 'function'")
        code = await ann.run(f"start('{tokens[0]}')")
        await bob.run(f"start('{tokens[1]}', '{code}')")
        await bob.until("state.heard.includes('hello from bob, says ann!')")
        assert await metric(met, "playhall_peers") == 2

        await asyncio.to_thread(met.kill)
        cem = await stack.enter_async_context(chromium.page(address("cem", others[1])))
        await cem.until("typeof window.start === 'function'")
        async with asyncio.timeout(PATIENCE_S):
            while await metric(others[0], "playhall_peers") + await metric(
                others[1], "playhall_peers"
            ) != 2 or 0 not in [await metric(node, "playhall_peers") for node in others]:
                await asyncio.sleep(0.2)
        await cem.run(f"start('{tokens[2]}', '{code}')")
        await cem.until("state.heard.includes('hello from cem, says ann!')")
