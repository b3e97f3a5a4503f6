"""26: everybody is cut off at once, and everybody is back at once."""

import asyncio
import random
from collections.abc import Iterator
from time import monotonic

import pytest

from tests.faults.client_line import (
    PATIENCE_S,
    Guest,
    Json,
    Line,
    lines,
    new_guests,
    served,
    sit_down,
)
from tests.faults.conftest import Rounds
from tests.faults.table import Figures
from tests.fixtures.node import Node
from tests.fixtures.postgres import Databases

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]

SEATS = 4
STORMS = 3
SPREAD_S = 0.2


@pytest.fixture(scope="module")
def node(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with served(databases, tmp_path_factory.mktemp("node")) as node:
        yield node


class Player:
    """Somebody at a table who takes the stream up again after every storm."""

    def __init__(self, node: Node, guest: Guest, game_id: str) -> None:
        self._node = node
        self._guest = guest
        self.game_id = game_id
        self._cmd_no = 0
        self.events: list[Json] = []
        self.resumed_after_s: list[float] = []

    async def sit_through(self, storm: asyncio.Barrier) -> None:
        """Connect, resume and move, until the storm; then again, `STORMS` times."""
        for _ in range(STORMS + 1):
            await asyncio.sleep(random.uniform(0, SPREAD_S) if self.events else 0)
            await self._sit(storm)

    async def _sit(self, storm: asyncio.Barrier) -> None:
        started = monotonic()
        async with Line(self._node.websocket_url) as line:
            line.events = self.events
            await line.greet(self._guest)
            after = self.events[-1]["event_index"] if self.events else -1
            reply = await line.ok("game.resume", game_id=self.game_id, after=after)
            assert self.events[-1]["event_index"] >= reply["head"]
            self.resumed_after_s.append(monotonic() - started)
            self._cmd_no += 1
            await line.ok("game.act", game_id=self.game_id, cmd_no=self._cmd_no, move={})
            async with asyncio.timeout(PATIENCE_S):
                await storm.wait()
            line.cut()


async def test_everybody_is_back_after_a_storm_and_nobody_is_starved(
    node: Node, rounds: Rounds, figures: Figures
) -> None:
    """Each player also moves after each storm: all those moves are in the stream, once."""
    guests = await new_guests(node, rounds(200, 2_000))
    players: list[Player] = []
    for first in range(0, len(guests), SEATS):
        seated = guests[first : first + SEATS]
        async with lines(node, seated) as table:
            game_id = await sit_down(table, "relay")
        players += [Player(node, guest, game_id) for guest in seated]
    storm = asyncio.Barrier(len(players))
    async with asyncio.TaskGroup() as group:
        for player in players:
            group.create_task(player.sit_through(storm))
    for player in players:
        indexes = [event["event_index"] for event in player.events]
        assert indexes == list(range(len(indexes)))
        assert len(player.resumed_after_s) == STORMS + 1
    for guest, player in zip(guests[::SEATS], players[::SEATS], strict=True):
        async with lines(node, [guest]) as [line]:
            await line.ok("game.resume", game_id=player.game_id)
            moves = [event for event in line.events if event["event"] == "relayed"]
            assert len(moves) == SEATS * (STORMS + 1)
            assert line.events[: len(player.events)] == player.events
    figures.count("connections taken up again after a storm", len(players) * STORMS)
    for player in players:
        for seconds in player.resumed_after_s[1:]:
            figures.measure(f"resumed in a storm of {len(players)}", seconds)
