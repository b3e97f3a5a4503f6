"""`make soak`: faults of every kind under load, for as long as one likes, and nothing grows.

Three nodes share a Redis. One of them is never killed, so that it is as old as the run: its
memory, descriptors and tasks are looked at each time all games are over. In the end the checker
compares all that players wrote down with the database.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import median
from time import monotonic
from typing import NamedTuple

import pytest

from tests.faults.conftest import Nodes
from tests.faults.evidence import assert_kept
from tests.faults.playing import Hall, hall
from tests.faults.recording import Player
from tests.faults.table import Figures
from tests.faults.test_nodes import (
    Cluster,
    Way,
    cluster,
    cut_off,
    describe,
    empty_redis,
    freeze_node,
    kill_node,
    kill_redis,
    lose_some,
    pause_redis,
    restart_nodes,
)
from tests.faults.test_redis import metric
from tests.fixtures.node import Node
from tests.fixtures.redis import RedisServer

MINUTES = float(os.environ.get("SOAK_MINUTES", "0"))
pytestmark = [
    pytest.mark.skipif(not MINUTES, reason="runs for SOAK_MINUTES: make soak"),
    pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="reads /proc"),
]
WAYS: Sequence[Way] = (
    kill_redis,
    pause_redis,
    empty_redis,
    cut_off,
    lose_some,
    kill_node,
    freeze_node,
    restart_nodes,
)
# Games of one sitting, and the faults that they go through before they end and others begin.
RELAYS, TURNS, FAULTS = 4, 2, 6
THINK_S = 0.4
SETTLE_S = 8.0  # what is kept for a while, and connections to a Redis that was away
# What may be more in the last third of a run than in the first, for caches that are bounded.
MEMORY_MIB_MAX = 24.0
DESCRIPTORS_MAX = 8
TASKS_MAX = 8


class Sample(NamedTuple):
    """What a node has while nobody plays."""

    memory_mib: float
    descriptors: float
    tasks: float


async def sample(node: Node) -> Sample:
    process = Path(f"/proc/{node.pid}")
    pages = int((process / "statm").read_text().split()[1])
    return Sample(
        pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        len(list((process / "fd").iterdir())),
        await metric(node, "playhall_tasks"),
    )


async def test_nothing_grows_and_nothing_is_lost(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, redis_server: RedisServer, figures: Figures
) -> None:
    chance = Random(36)
    players: list[Player] = []
    samples: list[Sample] = []
    async with cluster(nodes, serving_dsn, redis_server, count=3) as three:
        old = three.nodes[0]
        mortal = three._replace(nodes=three.nodes[1:])
        began = monotonic()
        while monotonic() - began < MINUTES * 60 or len(samples) < 3:
            async with hall(
                three.where, chance, relays=RELAYS, turns=TURNS, think_s=THINK_S
            ) as games:
                await sit_through(games, three, mortal, chance, figures)
                players.extend(games.players)
            await asyncio.sleep(SETTLE_S)
            samples.append(await sample(old))
            print(f"{(monotonic() - began) / 60:6.1f} min  {samples[-1]}", flush=True)
        await assert_kept(fresh_dsn, players, figures)
    assert all(player.witness.is_over for player in players)
    for name, unit, allowed in (
        ("memory_mib", "MiB", MEMORY_MIB_MAX),
        ("descriptors", "", DESCRIPTORS_MAX),
        ("tasks", "", TASKS_MAX),
    ):
        values = [getattr(each, name) for each in samples]
        third = max(1, len(values) // 3)
        first, last = median(values[:third]), median(values[-third:])
        figures.measure(f"{name} of the old node, first third", first, unit)
        figures.measure(f"{name} of the old node, last third", last, unit)
        assert last - first <= allowed, (name, values)


async def sit_through(
    games: Hall, three: Cluster, mortal: Cluster, chance: Random, figures: Figures
) -> None:
    """Play while faults come, one after the other, and then to the end."""
    async with asyncio.TaskGroup() as group:
        group.create_task(games.play())
        for _ in range(FAULTS):
            way = chance.choice(WAYS)
            # What kills is for the others; anything else meets the old node as well.
            await way(mortal if way in (kill_node, restart_nodes) else three, chance)
            figures.count(f"survived in the soak: {describe(way)}")
            await games.move_on()
        games.enough.set()
