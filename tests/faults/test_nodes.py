"""Several nodes and one Redis: any node serves any client, whatever fails between them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from random import Random
from time import monotonic
from typing import Any, NamedTuple

import pytest

from tests.faults.conftest import Nodes, Rounds
from tests.faults.evidence import assert_kept
from tests.faults.playing import end_relay, hall
from tests.faults.recording import Player, Where, table
from tests.faults.redis_network import RedisNetwork, network
from tests.faults.table import Figures
from tests.faults.test_redis import connected, metric
from tests.fixtures.node import Node
from tests.fixtures.redis import RedisServer
from tests.fixtures.shell import playhall

LEASE_S = 2


# When a fault has begun, and what is heard from then on came after it.
BEGUN_S = 0.2


class Cluster(NamedTuple):
    """Nodes, each with a network of its own to one Redis."""

    nodes: list[Node]
    networks: list[RedisNetwork]
    redis: RedisServer

    @property
    def where(self) -> Where:
        """Send everybody to the nodes in turn: who signs in at one is greeted by the next."""
        order = [each for node in self.nodes for each in (node, node)]
        turn = cycle([*order[1:], order[0]])
        return lambda: next(turn).url

    async def total(self, name: str) -> float:
        return sum([await metric(node, name) for node in self.nodes])


Way = Callable[[Cluster, Random], Coroutine[Any, Any, None]]


@asynccontextmanager
async def cluster(
    nodes: Nodes, dsn: str, redis_server: RedisServer, *, count: int, **settings: object
) -> AsyncIterator[Cluster]:
    """Start some nodes, and wait until they hear of each other."""
    settings = {"lease_s": LEASE_S, **settings}
    async with AsyncExitStack() as stack:
        networks = [
            await stack.enter_async_context(network(redis_server.port, Random(n)))
            for n in range(count)
        ]
        started = await asyncio.gather(
            *(
                asyncio.to_thread(nodes, f"node{n}", dsn, redis_url=between.url, **settings)
                for n, between in enumerate(networks)
            )
        )
        await connected(list(started))
        yield Cluster(list(started), networks, redis_server)


async def test_players_of_a_game_are_served_by_different_nodes(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, redis_server: RedisServer, figures: Figures
) -> None:
    """Nobody is redirected, nothing is lost, also if a tenth of all messages are."""
    async with (
        cluster(nodes, serving_dsn, redis_server, count=2) as both,
        hall(both.where, Random(1), relays=2) as games,
    ):
        async with table(both.where, "el_dorado", humans=2, bots=("bid_and_duck",)) as players:
            await see_the_same_everywhere(players, both)
        async with asyncio.TaskGroup() as group:
            group.create_task(games.play())
            await games.move_on()
            for between in both.networks:
                between.loses = 0.1
            while not sum(between.lost for between in both.networks):
                await games.move_on()
            for between in both.networks:
                between.mend()
            games.enough.set()
        await assert_kept(fresh_dsn, games.players, figures)
        assert all(player.witness.is_over for player in games.players)
        assert {player.returns for player in games.players} == {1}
        assert await both.total("playhall_events_elsewhere_total") > 0
        figures.count("messages of Redis lost", sum(each.lost for each in both.networks))


async def see_the_same_everywhere(players: list[Player], both: Cluster) -> None:
    """Compare what each seat of a game with hidden cards is shown by its owner and by another."""
    for player in players:
        for node in both.nodes:
            twin = Player(lambda url=node.url: url, player.tokens)  # type: ignore[misc]
            await twin.come_back()
            await twin.sit(player.witness.game_id)
            length = min(len(twin.witness.events), len(player.witness.events))
            assert length > 0
            assert twin.witness.events[:length] == player.witness.events[:length]
            assert twin.witness.seat == player.witness.seat
            await twin.leave()


async def test_owner_that_is_killed_leaves_clients_of_other_nodes_connected(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, redis_server: RedisServer, figures: Figures
) -> None:
    async with (
        cluster(nodes, serving_dsn, redis_server, count=2) as both,
        hall(both.where, Random(2), relays=3) as games,
    ):
        async with asyncio.TaskGroup() as group:
            group.create_task(games.play())
            await games.move_on()
            owner, other = both.nodes
            if await metric(other, "playhall_games") > await metric(owner, "playhall_games"):
                owner, other = other, owner
            there = [p for p in games.players if p.where is not None and p.returns == 1]
            await asyncio.to_thread(owner.kill)
            for player in games.players:
                player.where = lambda: other.url
            await games.move_on()
            games.enough.set()
        await assert_kept(fresh_dsn, games.players, figures)
        assert any(player.returns == 1 for player in there)
    figures.count("owners killed, clients of other nodes kept")


@pytest.mark.slow
async def test_whatever_fails_at_random_loses_nothing(
    nodes: Nodes,
    serving_dsn: str,
    fresh_dsn: str,
    redis_server: RedisServer,
    rounds: Rounds,
    figures: Figures,
) -> None:
    chance = Random(33)
    is_long = rounds(0, 1) == 1
    ways = [*SHORT_WAYS, *LONG_WAYS] if is_long else SHORT_WAYS
    # Each once, in any order, and then any.
    plan = chance.sample(ways, len(ways)) if is_long else []
    plan += [chance.choice(ways) for _ in range(rounds(1, 60) - len(plan))]
    async with (
        cluster(nodes, serving_dsn, redis_server, count=3) as three,
        hall(three.where, chance, relays=4, turns=2 * rounds(0, 1)) as games,
    ):
        async with asyncio.TaskGroup() as group:
            group.create_task(games.play())
            for way in plan:
                began = monotonic()
                failing = group.create_task(way(three, chance))
                await asyncio.sleep(BEGUN_S)
                moved = await games.move_on()
                figures.measure(f"longest wait of a game: {describe(way)}", moved[-1] - began)
                await failing
                figures.count(f"survived amid play: {describe(way)}")
                await games.move_on()
            games.enough.set()
        await assert_kept(fresh_dsn, games.players, figures)
        assert all(player.witness.is_over for player in games.players)


def describe(way: Way) -> str:
    """Say what a way to fail is."""
    return (way.__doc__ or "").strip()


async def kill_redis(three: Cluster, chance: Random) -> None:
    """Redis killed and started again, empty"""
    three.redis.kill()
    await asyncio.sleep(chance.uniform(0.1, 1.0))
    await asyncio.to_thread(three.redis.start)


async def pause_redis(three: Cluster, chance: Random) -> None:
    """Redis paused"""
    three.redis.pause()
    await asyncio.sleep(chance.uniform(0.1, 3.0))
    three.redis.go_on()


async def pause_redis_long(three: Cluster, _: Random) -> None:
    """Redis paused for 30 s"""
    three.redis.pause()
    await asyncio.sleep(30)
    three.redis.go_on()


async def empty_redis(three: Cluster, _: Random) -> None:
    """Redis emptied, and all its connections cut"""
    with three.redis.client() as client:
        client.flushall()
        client.client_kill_filter(_type="pubsub")
        client.client_kill_filter(_type="normal", skipme=True)


async def cut_off(three: Cluster, chance: Random) -> None:
    """a node without Redis"""
    between = chance.choice(three.networks)
    between.cut()
    await asyncio.sleep(chance.uniform(0.1, 3.0))
    between.mend()


async def lose_some(three: Cluster, chance: Random) -> None:
    """a tenth of all messages lost"""
    for between in three.networks:
        between.loses = 0.1
    await asyncio.sleep(chance.uniform(0.5, 2.0))
    for between in three.networks:
        between.mend()


async def kill_node(three: Cluster, chance: Random) -> None:
    """a node killed and started again"""
    node = chance.choice(three.nodes)
    await asyncio.to_thread(node.kill)
    await asyncio.sleep(chance.uniform(0.0, 2 * LEASE_S))
    await asyncio.to_thread(node.start)


async def kill_busiest(three: Cluster, _: Random) -> None:
    """the node with most games killed, and started again after its lease"""
    games = [await metric(node, "playhall_games") for node in three.nodes]
    node = three.nodes[games.index(max(games))]
    await asyncio.to_thread(node.kill)
    await asyncio.sleep(2 * LEASE_S)
    await asyncio.to_thread(node.start)


async def freeze_node(three: Cluster, chance: Random) -> None:
    """a node stopped beyond its lease and continued"""
    node = chance.choice(three.nodes)
    node.freeze()
    await asyncio.sleep(chance.uniform(0.5, 2 * LEASE_S))
    node.thaw()


async def restart_nodes(three: Cluster, _: Random) -> None:
    """all nodes restarted, one by one"""
    for node in three.nodes:
        assert await asyncio.to_thread(node.stop) == 0
        await asyncio.to_thread(node.start)


SHORT_WAYS: list[Way] = [kill_redis, pause_redis, cut_off, lose_some]
LONG_WAYS: list[Way] = [
    empty_redis,
    pause_redis_long,
    kill_node,
    kill_busiest,
    freeze_node,
    restart_nodes,
]


async def test_new_games_go_to_the_node_with_fewer(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, redis_server: RedisServer, figures: Figures
) -> None:
    """Everybody is at one node and starts games there; they see nothing of it."""
    async with cluster(nodes, serving_dsn, redis_server, count=2) as both:
        busy, idle = both.nodes
        async with hall(lambda: busy.url, Random(5), relays=6) as games:
            assert await metric(idle, "playhall_games") > 0
            for seats in games.relays:
                await seats[0].act({"n": 1})
                await end_relay(seats)
            assert {player.returns for player in games.players} == {1}
        await assert_kept(fresh_dsn, games.players, figures)
        listed = await asyncio.to_thread(
            playhall, "nodes", "--json", environment={"PLAYHALL_DATABASE_URL": serving_dsn}
        )
        rows = {row["address"]: row for row in map(json.loads, listed.out.splitlines())}
        assert {rows[node.url]["state"] for node in both.nodes} == {"serving"}
        assert await asyncio.to_thread(idle.stop) == 0
        listed = await asyncio.to_thread(
            playhall, "nodes", environment={"PLAYHALL_DATABASE_URL": serving_dsn}
        )
        assert busy.url in listed.out
        assert idle.url not in listed.out


async def test_players_of_a_real_time_game_are_sent_to_its_node(
    nodes: Nodes, serving_dsn: str, redis_server: RedisServer
) -> None:
    async with (
        cluster(nodes, serving_dsn, redis_server, count=2) as both,
        table(both.where, "arena", humans=2) as players,
    ):
        assert sorted(player.returns for player in players) == [1, 2]
        for player in players:
            reply = await player.act({"dx": 1, "dy": 0})
            assert reply["type"] == "ok" or reply["code"] not in ("wrong_node", "internal")
