"""Kill -9 while a real-time game ticks: inputs act once, and no viewer sees the game go back."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import asyncpg
import orjson
import pytest

import playhall
from tests.faults.conftest import Nodes, Rounds
from tests.faults.table import Figures
from tests.fixtures.node import SECRET_KEYS
from tests.fixtures.ports import free_port
from tests.fixtures.shell import playhall as run_playhall

pytestmark = pytest.mark.slow

PLAYERS = 3
DURATION_S = 600


class Steersman:
    """A player who steers all the time, and notes what was answered and what was seen."""

    def __init__(self, game: playhall.Game, chance: Random) -> None:
        self.game = game
        self.sent = 0
        self.answered: list[int] = []  # event indexes
        self.ticks: list[int] = []
        self._chance = chance

    async def steer(self) -> None:
        while True:
            move = {"type": "steer", "x": self._chance.randint(-1, 1), "y": self.sent % 3 - 1}
            self.sent += 1
            self.answered.append(await self.game.act(move))

    async def look(self) -> None:
        async for live in self.game.views():
            self.ticks.append(live.tick)


@asynccontextmanager
async def arena(url: str) -> AsyncIterator[list[Steersman]]:
    """Sit some players down in one arena."""
    async with asyncio.timeout(240), playhall.connect(url, name="host") as host:
        config = {"duration_s": DURATION_S}
        lobby = (await host.call("lobby.create", ruleset="arena", seats=PLAYERS, config=config))[
            "lobby"
        ]
        clients = [playhall.connect(url, name=f"guest {n}") for n in range(PLAYERS - 1)]
        for client in clients:
            await client.__aenter__()
            await client.call("lobby.join", lobby_id=lobby["lobby_id"])
            await client.call("lobby.ready", lobby_id=lobby["lobby_id"], ready=True)
        try:
            started = await host.call("lobby.start", lobby_id=lobby["lobby_id"])
            game_id = started["lobby"]["game_id"]
            games = [await client.game(game_id) for client in (host, *clients)]
            yield [Steersman(game, Random(seat)) for seat, game in enumerate(games)]
        finally:
            for client in clients:
                await client.__aexit__(None, None, None)


async def test_killed_node_loses_no_input_and_no_tick(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, rounds: Rounds, figures: Figures
) -> None:
    port, chance, kills = free_port(), Random(3), rounds(2, 20)
    node = nodes("only", serving_dsn, port=port, lease_s=2)
    async with arena(node.url) as players:
        tasks = [asyncio.create_task(player.steer()) for player in players]
        tasks += [asyncio.create_task(player.look()) for player in players]
        for _ in range(kills):
            before = min(len(player.answered) for player in players)
            while min(len(player.answered) for player in players) < before + 10:
                await asyncio.sleep(0.02)
                raise_failures(tasks)
            await asyncio.sleep(chance.uniform(0, 0.2))
            node.kill()
            await asyncio.to_thread(node.start)
        while min(len(player.answered) for player in players) < 10 * kills + 10:
            await asyncio.sleep(0.02)
            raise_failures(tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        game_id = players[0].game.game_id
    log = await read_log(fresh_dsn, game_id)
    inputs = Counter[tuple[int, int]]()
    index_of: dict[tuple[int, int], int] = {}
    for event in log:
        for seat, cmd_no, _ in event["payload"].get("inputs", ()):
            inputs[seat, cmd_no] += 1
            index_of[seat, cmd_no] = event["event_index"]
    assert set(inputs.values()) == {1}
    for seat, player in enumerate(players):
        # Commands are numbered as they were sent, and each was answered before the next one.
        assert player.answered == [index_of[seat, n + 1] for n in range(len(player.answered))]
        assert player.ticks == sorted(player.ticks)
        figures.count("inputs of a real-time game that were answered", len(player.answered))
    verified = await asyncio.to_thread(
        run_playhall,
        "verify",
        game_id,
        environment={"PLAYHALL_DATABASE_URL": serving_dsn, "PLAYHALL_SECRET_KEYS": SECRET_KEYS},
    )
    assert verified.status == 0, verified
    figures.count("kill -9 while a real-time game ticked", kills)


def raise_failures(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        if task.done():
            task.result()
            raise AssertionError("a player stopped")


async def read_log(dsn: str, game_id: str) -> list[dict[str, Any]]:
    """Read the whole log from the database."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch(
            "SELECT event_index, payload FROM game_events WHERE game_id = $1 ORDER BY event_index",
            game_id,
        )
    finally:
        await connection.close()
    return [{"event_index": index, "payload": orjson.loads(payload)} for index, payload in rows]
