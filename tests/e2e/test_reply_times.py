"""What replies wait for, on a real node that measures it."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.faults.recording import table
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases

STAGES = ("decide", "queue", "commit", "release", "write")
MOVES = 3
LINE = re.compile(r"a reply took ([\d.]+) ms: (.+); (\w+) lane; ")


@pytest.fixture
def node(databases: Databases, tmp_path: Path) -> Iterator[Node]:
    """A node for which every reply is slow."""
    dsn = databases.create(template=TEMPLATE)
    with Node(tmp_path / "a", databases.serving_dsn(dsn), slow_reply_s=1e-9) as started:
        yield started
    databases.drop(dsn)


async def test_each_reply_to_a_move_is_measured_and_logged_by_what_it_waited_for(
    node: Node,
) -> None:
    async with table(lambda: node.url, "relay", humans=1) as (player,):
        for number in range(MOVES):
            await player.act({"n": number})
        assert await counted(node, "shared") == dict.fromkeys((*STAGES, "total"), MOVES)
        assert await counted(node, "solo") == dict.fromkeys((*STAGES, "total"), 0)
        lines = await slow_replies(node, MOVES)
    for total_ms, by_stage, lane in lines:
        assert lane == "shared"
        assert tuple(by_stage) == STAGES
        # Each of them was rounded.
        assert sum(by_stage.values()) == pytest.approx(total_ms, abs=0.05 * (len(STAGES) + 1))
        assert by_stage["commit"] > 0


async def test_the_end_of_a_game_is_apart_and_a_command_that_came_again_is_not_measured(
    node: Node,
) -> None:
    async with table(lambda: node.url, "relay", humans=1) as (player,):
        await player.act({"n": 0})
        await player.act({"type": "end", "scores": {player.player_id: 1}})
        assert (await counted(node, "shared"))["total"] == 1
        assert (await counted(node, "solo"))["total"] == 1
        await player.repeat(1)
        assert (await counted(node, "shared"))["total"] == 1


async def counted(node: Node, lane: str) -> dict[str, float]:
    """Count the replies of a lane by stage."""
    async with aiohttp.ClientSession() as web, web.get(f"{node.url}/metrics") as answer:
        text = await answer.text()
    return {
        sample.labels["stage"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "playhall_reply_seconds_count" and sample.labels["lane"] == lane
    }


async def slow_replies(node: Node, count: int) -> list[tuple[float, dict[str, float], str]]:
    """Read total, stages and lane of the slow replies that the node logged, once all are there."""
    async with asyncio.timeout(20):
        while len(found := [*filter(None, map(LINE.search, node.output))]) < count:
            await asyncio.sleep(0.05)
    assert len(found) == count
    return [
        (
            float(each[1]),
            {name: float(ms) for name, ms in re.findall(r"(\w+) ([\d.]+)", each[2])},
            each[3],
        )
        for each in found
    ]
