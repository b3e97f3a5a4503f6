"""Two nodes and a real Valkey: what one does reaches the other, also when the server fails."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from time import monotonic
from typing import NamedTuple

import aiohttp
import pytest

from persistence.database import Database
from persistence.rls import RlsDatabase
from playhall import connect
from playhall.client import Client
from tests.faults.conftest import Nodes, Rounds
from tests.faults.days import begin, prepare, token_of, watching
from tests.faults.evidence import assert_kept
from tests.faults.playing import hall
from tests.faults.recording import PATIENCE_S
from tests.faults.table import Figures
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.redis import RedisServer
from tests.integration.epochs.line import Json, Line
from tests.integration.epochs.stage import Stage

# Well below the intervals at which nodes poll while Redis works: 30 s for lobbies and their list,
# 10 s for ended sessions.
AT_ONCE_S = 4.0
# Above those without it, 5 s at most, and above the time until a node notices a server that hangs.
BACKSTOP_S = 30.0


@pytest.fixture
async def stage(database: Database, rls: RlsDatabase) -> Stage:
    return Stage(database, rls)


class Pair(NamedTuple):
    """Two nodes, and somebody on each."""

    nodes: list[Node]
    here: Client
    there: Client
    stage: Stage

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes]


async def start(nodes: Nodes, dsn: str, redis_url: str) -> list[Node]:
    """Start two nodes, and wait until they hear of each other."""
    both = [
        await asyncio.to_thread(nodes, name, dsn, lease_s=2, redis_url=redis_url) for name in "ab"
    ]
    await connected(both)
    return both


async def connected(both: list[Node], *, is_so: bool = True) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while {await metric(node, "playhall_broker_connected") for node in both} != {float(is_so)}:
            await asyncio.sleep(0.05)


async def metric(node: Node, name: str) -> float:
    async with aiohttp.ClientSession() as web, web.get(f"{node.url}/metrics") as answer:
        found = re.search(rf"^{name} (\S+)$", await answer.text(), re.M)
    assert found is not None, name
    return float(found[1])


@asynccontextmanager
async def pair(
    nodes: Nodes, stage: Stage, dsn: str, redis_server: RedisServer
) -> AsyncIterator[Pair]:
    await prepare(stage)
    both = await start(nodes, dsn, redis_server.url)
    await begin(stage)
    async with connect(both[0].url, name="Ann") as here, connect(both[1].url, name="Eve") as there:
        yield Pair(both, here, there, stage)


async def test_changes_reach_the_other_node(
    nodes: Nodes, stage: Stage, serving_dsn: str, redis_server: RedisServer, figures: Figures
) -> None:
    async with pair(nodes, stage, serving_dsn, redis_server) as both:
        for part in (
            lobby_reaches,
            list_reaches,
            chat_reaches,
            session_reaches,
            erasure_reaches,
            day_reaches,
        ):
            await timed(
                figures,
                f"{part.__name__.removesuffix('_reaches')}, with Redis",
                part(both, AT_ONCE_S),
            )
        assert await metric(both.nodes[1], "playhall_broker_received_total") > 0

        redis_server.kill()
        await connected(both.nodes, is_so=False)
        for part in (lobby_reaches, list_reaches, session_reaches, erasure_reaches, day_reaches):
            await timed(
                figures,
                f"{part.__name__.removesuffix('_reaches')}, Redis killed",
                part(both, BACKSTOP_S),
            )

        redis_server.start()
        await connected(both.nodes)
        for part in (
            lobby_reaches,
            list_reaches,
            chat_reaches,
            session_reaches,
            erasure_reaches,
            day_reaches,
        ):
            await timed(
                figures,
                f"{part.__name__.removesuffix('_reaches')}, Redis back",
                part(both, AT_ONCE_S),
            )


async def test_server_that_hangs_or_is_emptied_keeps_nothing_back(
    nodes: Nodes, stage: Stage, serving_dsn: str, redis_server: RedisServer, figures: Figures
) -> None:
    async with pair(nodes, stage, serving_dsn, redis_server) as both:
        with redis_server.client() as client:
            client.flushall()
            client.client_kill_filter(_type="pubsub")
        for part in (lobby_reaches, list_reaches, session_reaches, erasure_reaches, day_reaches):
            await part(both, BACKSTOP_S)
        await connected(both.nodes)

        redis_server.pause()
        async with asyncio.TaskGroup() as group:
            for part in (lobby_reaches, session_reaches, day_reaches):
                group.create_task(
                    timed(
                        figures,
                        f"{part.__name__.removesuffix('_reaches')}, Redis hangs",
                        part(both, BACKSTOP_S),
                    )
                )
        redis_server.go_on()
        await connected(both.nodes)
        await chat_reaches(both, AT_ONCE_S)


async def test_node_stops_in_time_though_its_redis_hangs(
    nodes: Nodes, serving_dsn: str, redis_server: RedisServer
) -> None:
    (node, _) = await start(nodes, serving_dsn, redis_server.url)
    async with connect(node.url) as client:
        redis_server.pause()
        await client.call("lobby.create", ruleset="relay")
    began = monotonic()
    assert await asyncio.to_thread(node.stop) == 0
    assert monotonic() - began < 15
    redis_server.go_on()


@pytest.mark.slow
async def test_redis_that_fails_amid_play_loses_nothing(
    nodes: Nodes,
    serving_dsn: str,
    fresh_dsn: str,
    redis_server: RedisServer,
    rounds: Rounds,
    figures: Figures,
) -> None:
    both = await start(nodes, serving_dsn, redis_server.url)
    chance = Random(12)
    async with AsyncExitStack() as stack:
        halls = [
            await stack.enter_async_context(
                hall(lambda node=node: node.url, Random(n), relays=4, turns=2)  # type: ignore[misc]
            )
            for n, node in enumerate(both)
        ]
        async with asyncio.TaskGroup() as group:
            for each in halls:
                group.create_task(each.play())
            for _ in range(rounds(3, 40)):
                await fail(redis_server, chance, figures)
                for each in halls:
                    await each.move_on()
            for each in halls:
                each.enough.set()
        players = [player for each in halls for player in each.players]
        await assert_kept(fresh_dsn, players, figures)
    assert all(player.witness.is_over for player in players)
    await connected(both)


async def fail(server: RedisServer, chance: Random, figures: Figures) -> None:
    """Let the server fail in one of its ways, and come back."""
    way = chance.choice(("kill", "pause", "empty"))
    if way == "kill":
        server.kill()
        await asyncio.sleep(chance.uniform(0.1, 1.0))
        server.start()
    elif way == "pause":
        server.pause()
        await asyncio.sleep(chance.uniform(0.1, 4.0))
        server.go_on()
    else:
        with server.client() as client:
            client.flushall()
            client.client_kill_filter(_type="pubsub")
            client.client_kill_filter(_type="normal", skipme=True)
    figures.count("failures of Redis amid play survived")


# ---------------------------------------------------------------------- what reaches the other node


async def timed(figures: Figures, what: str, work: Awaitable[float]) -> None:
    figures.measure(f"from a change to the other node: {what}", await work)


async def heard(client: Client, kind: str, **wanted: object) -> Json:
    """Wait for an update."""
    async for update in client.updates():
        if update["type"] == kind and wanted.items() <= update.items():
            return update
    raise AssertionError("updates end only with an error")


async def arrives(change: Awaitable[object], news: Awaitable[object], within_s: float) -> float:
    """Make a change and wait for the news of it; gives the seconds between."""
    await change
    began = monotonic()
    async with asyncio.timeout(within_s):
        await news
    return monotonic() - began


@asynccontextmanager
async def lobby(both: Pair) -> AsyncIterator[Json]:
    """A lobby of the one here, in which the one there is as well; closed in the end."""
    made = await both.here.call("lobby.create", ruleset="el_dorado")
    at = {"lobby_id": made["lobby"]["lobby_id"]}
    await both.there.call("lobby.join", **at)
    await asyncio.sleep(0.2)  # the topic is confirmed, and what was announced is read
    yield at
    await both.there.call("lobby.leave", **at)
    await both.here.call("lobby.close", **at)


async def lobby_reaches(both: Pair, within_s: float) -> float:
    async with lobby(both) as at:
        change = both.here.call("lobby.add_bot", **at, bot="random")
        return await arrives(change, heard(both.there, "lobby.update", **at, version=3), within_s)


async def list_reaches(both: Pair, within_s: float) -> float:
    await both.there.call("lobby.watch", text="watched")
    await asyncio.sleep(0.2)
    made = await both.here.call("lobby.create", ruleset="relay", name="Watched by others")
    at = {"lobby_id": made["lobby"]["lobby_id"]}
    shown = heard(both.there, "lobby.listed", **at, version=1)
    took_s = await arrives(asyncio.sleep(0), shown, within_s)
    gone = heard(both.there, "lobby.listed", **at, lobby=None)
    await arrives(both.here.call("lobby.close", **at), gone, within_s)
    await both.there.call("lobby.unwatch")
    return took_s


async def chat_reaches(both: Pair, within_s: float) -> float:
    async with lobby(both) as at:
        change = both.here.call("chat.say", **at, text="Hello")
        return await arrives(change, heard(both.there, "chat.message", text="Hello"), within_s)


async def session_reaches(both: Pair, within_s: float) -> float:
    """Somebody signs out everywhere on one node; their socket is on the other."""
    async with aiohttp.ClientSession(both.urls[0]) as web:
        async with web.post("/v1/auth/guest", json={}) as answer:
            token = (await answer.json())["access_token"]
        async with Line.open(both.nodes[1].websocket_url, token) as line:
            signed_out = web.post("/v1/auth/logout-everywhere", headers=bearer(token))
            return await arrives(signed_out, line.closed(), within_s)


async def erasure_reaches(both: Pair, within_s: float) -> float:
    """Somebody erases themselves on one node; their socket is on the other."""
    async with aiohttp.ClientSession(both.urls[0]) as web:
        async with web.post("/v1/auth/guest", json={}) as answer:
            token = (await answer.json())["access_token"]
        who = bearer(token)
        async with web.get("/v1/me", headers=who) as answer:
            username = (await answer.json())["username"]
        async with Line.open(both.nodes[1].websocket_url, token) as line:
            erased = web.delete("/v1/me", headers=who, json={"confirm": username})
            return await arrives(erased, line.closed(), within_s)


async def day_reaches(both: Pair, within_s: float) -> float:
    """A bot claims a slot on one node; somebody watches the day on the other."""
    token = await token_of(both.stage, await both.stage.bot())
    async with (
        Line.open(both.nodes[0].websocket_url, token) as bot,
        watching(both.nodes[1]) as watcher,
    ):
        await watcher.watch()
        claimed = await bot.ok("epoch.claim", slot_index=0, code="mine")
        return await arrives(asyncio.sleep(0), watcher.until(claimed["version"]), within_s)
