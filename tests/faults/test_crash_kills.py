"""A server that is killed at any point: nothing acknowledged is missing, every game goes on."""

import asyncio
from random import Random
from time import monotonic
from typing import NamedTuple

import pytest

from tests.faults.conftest import Nodes, Rounds
from tests.faults.evidence import assert_kept
from tests.faults.playing import Hall, hall
from tests.faults.table import Figures
from tests.fixtures.node import Node

pytestmark = pytest.mark.slow

KILLS_A_SEED = 10
# How long a server lives before it is killed, at most.
LIFE_S = 0.5


async def test_killed_server_loses_nothing_that_it_acknowledged(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, rounds: Rounds, figures: Figures
) -> None:
    node = nodes("a", serving_dsn)
    players = []
    for seed in range(rounds(1, 20)):
        async with hall(lambda: node.url, Random(seed), relays=6, turns=4) as games:
            async with asyncio.TaskGroup() as group:
                group.create_task(games.play())
                for _ in range(rounds(3, KILLS_A_SEED)):
                    await kill_and_restart(node, games, Random(seed), figures)
                games.enough.set()
            players += games.players
    await assert_kept(fresh_dsn, players, figures)
    figures.count("connections taken up again", sum(p.returns - 1 for p in players))
    for player in players:
        for seconds in player.resumed_in_s:
            figures.measure("resuming a game, after a kill", seconds)


async def test_server_killed_amid_many_games_goes_on_with_all_of_them(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, rounds: Rounds, figures: Figures
) -> None:
    node = nodes("a", serving_dsn)
    relays = rounds(12, 100)  # which are live until it is enough; the others may end earlier
    async with hall(lambda: node.url, Random(5), relays=relays, turns=relays // 2) as games:
        async with asyncio.TaskGroup() as group:
            group.create_task(games.play())
            await asyncio.sleep(LIFE_S)
            times = await kill(node, games)
            games.enough.set()
        await assert_kept(fresh_dsn, games.players, figures)
    assert all(player.witness.is_over for player in games.players)
    what = f"from a kill amid {relays} live games and more to the"
    figures.measure(f"{what} first one's move", times.first_moved_s)
    figures.measure(f"{what} last one's move", times.last_moved_s)


async def kill_and_restart(node: Node, games: Hall, chance: Random, figures: Figures) -> None:
    """Kill a server in full flow, and wait until every game has moved again."""
    await asyncio.sleep(chance.uniform(0, LIFE_S))
    times = await kill(node, games)
    figures.count("kills of a server survived")
    figures.measure("from a kill to serving again", times.serving_s)
    figures.measure("from a kill to the first game's move", times.first_moved_s)
    figures.measure("from a kill to the last game's move", times.last_moved_s)


class Times(NamedTuple):
    """Seconds since the kill."""

    serving_s: float
    first_moved_s: float
    last_moved_s: float


async def kill(node: Node, games: Hall) -> Times:
    """Kill a server, start it again, and wait until every game has moved."""
    node.kill()
    killed_at = monotonic()
    await asyncio.to_thread(node.start)
    serving_at = monotonic()
    moved_at = await games.move_on()
    return Times(serving_at - killed_at, moved_at[0] - killed_at, moved_at[-1] - killed_at)
