"""Several nodes behind one Redis: any client is served by any node, whatever fails."""

import asyncio
from collections.abc import Iterator
from itertools import cycle
from random import Random

import pytest

from tests.faults.conftest import Nodes
from tests.faults.evidence import assert_kept
from tests.faults.playing import hall
from tests.faults.recording import Where
from tests.faults.table import Figures
from tests.faults.test_redis import connected, metric
from tests.fixtures.node import Node
from tests.fixtures.redis import RedisServer


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    server.start()
    yield server
    server.close()


async def start(nodes: Nodes, dsn: str, redis_url: str, *, count: int) -> list[Node]:
    """Start some nodes, and wait until they hear of each other."""
    started = await asyncio.gather(
        *(
            asyncio.to_thread(nodes, f"node{n}", dsn, lease_s=2, redis_url=redis_url)
            for n in range(count)
        )
    )
    await connected(list(started))
    return list(started)


def in_turn(nodes: list[Node]) -> Where:
    """Send each who asks to another node, whatever node they were told to go to."""
    turn = cycle(nodes)
    return lambda: next(turn).url


async def test_players_of_one_game_play_on_different_nodes(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, redis_server: RedisServer, figures: Figures
) -> None:
    both = await start(nodes, serving_dsn, redis_server.url, count=2)
    async with hall(in_turn(both), Random(1), relays=3, turns=2) as games:
        async with asyncio.TaskGroup() as group:
            group.create_task(games.play())
            await games.move_on()
            games.enough.set()
        await assert_kept(fresh_dsn, games.players, figures)
        assert all(player.witness.is_over for player in games.players)
        assert {player.returns for player in games.players} == {1}  # nobody was sent elsewhere
