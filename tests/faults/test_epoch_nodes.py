"""Days on two nodes: bots that race, watchers that must see one log, a database that is cut off."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import asyncpg
import orjson
import pytest
from websockets.exceptions import ConnectionClosed

from persistence.database import Database
from persistence.epochs.store import EpochDay
from persistence.rls import RlsDatabase
from server.domains.compete.epochs.board import event_json
from tests.faults.conftest import Nodes, Rounds
from tests.faults.days import (
    begin,
    finished_once,
    leader,
    prepare,
    token_of,
    two_nodes,
    watching,
)
from tests.faults.table import Figures
from tests.fixtures.node import Node
from tests.integration.epochs.line import Json, Line, versions
from tests.integration.epochs.stage import MIDNIGHT, Stage

pytestmark = pytest.mark.slow

BOTS = 4
SLOTS = 8
COOLDOWN_S = 10
CUTS_EVERY_S = 1.0
# At this speed an hour is eight seconds.
SPEED = 450.0
SUPERSEDED = "superseded"


@pytest.fixture
async def stage(database: Database, rls: RlsDatabase) -> Stage:
    return Stage(database, rls)


async def test_bots_that_race_on_two_nodes_keep_cooldowns_and_one_log(
    nodes: Nodes, stage: Stage, serving_dsn: str, rounds: Rounds, figures: Figures
) -> None:
    await prepare(stage, cooldowns={"bot_s": COOLDOWN_S, "slot_s": COOLDOWN_S})
    both = await two_nodes(nodes, serving_dsn)
    day = await begin(stage)
    tokens = [await token_of(stage, await stage.bot()) for _ in range(BOTS)]
    async with AsyncExitStack() as stack:
        bots = [
            Racer(token, both if number % 2 else both[::-1], stack)
            for number, token in enumerate(tokens)
        ]
        for bot in bots:
            await bot.move()
        watchers = [await stack.enter_async_context(watching(node)) for node in both * 2]
        hopper = Hopper([await stack.enter_async_context(watching(node)) for node in both])
        for line in watchers:
            await line.watch(after=day.version)
        await hopper.hop(day.version)
        for race in range(rounds(8, 60)):
            await one_race(stage, bots, race)
            await later(stage, race * 3 + 2)
            last = int(await claim(bots[0].line, race % SLOTS))  # where the hopper is
            figures.count("races of bots on two nodes, one winner each", 1 + BOTS)
            await hopper.until(last)  # before the other node may have heard of it
            await hopper.hop()
        for line in watchers:
            await line.until(last)
            await is_the_log(stage, day, line.events)
        await is_the_log(stage, day, await hopper.until(last))


async def later(stage: Stage, number: int) -> None:
    """Let every cooldown be over, and time stand almost still."""
    moment = MIDNIGHT + timedelta(seconds=(number + 1) * (COOLDOWN_S + 1))
    await stage.days.set_clock(moment, speed=0.001)


class Racer:
    """A bot that goes from node to node; its older connection is closed a little later."""

    def __init__(self, token: str, nodes: Sequence[Node], stack: AsyncExitStack) -> None:
        self.line: Line  # after the first move
        self._token = token
        self._nodes = list(nodes)
        self._stack = stack

    async def move(self) -> None:
        """Connect to the other node, which makes this the bot's only connection before long."""
        opened = Line.open(self._nodes[0].websocket_url, self._token)
        self.line = await self._stack.enter_async_context(opened)
        self._nodes.reverse()

    async def claim_twice(self, slots: tuple[int, int]) -> list[str]:
        """Claim a slot where it is and another where it goes."""
        here = asyncio.create_task(claim(self.line, slots[0]))
        await self.move()
        return [await here, await claim(self.line, slots[1])]


async def one_race(stage: Stage, bots: Sequence[Racer], race: int) -> None:
    """Let all claim one slot, and then each bot two at once, at two nodes."""
    await later(stage, race * 3)
    one_slot = await asyncio.gather(*(claim(bot.line, race % SLOTS) for bot in bots))
    assert Counter(one_slot)["cooldown"] == len(one_slot) - 1
    await later(stage, race * 3 + 1)
    for answers in await asyncio.gather(
        *(bot.claim_twice((number, number + BOTS)) for number, bot in enumerate(bots))
    ):
        taken = sum(each.isdecimal() for each in answers)
        assert taken == 1 or (taken == 0 and SUPERSEDED in answers), answers


async def claim(line: Line, slot_index: int) -> str:
    """Claim a slot; gives the version, or why not."""
    try:
        answer = await line.ask("epoch.claim", slot_index=slot_index, code="mine")
    except ConnectionClosed as closed:
        return "none" if closed.rcvd is None else closed.rcvd.reason
    return str(answer.get("version", answer.get("code")))


class Hopper:
    """A watcher that goes from node to node with the version that it has."""

    def __init__(self, lines: list[Line]) -> None:
        self._lines = lines
        self._epoch_id: str | None = None
        self.events: list[Json] = []

    async def hop(self, after: int = 0) -> None:
        """Stop watching at one node, and go on at the next where this one ended."""
        if self._epoch_id is not None:
            await self._lines[0].ok("epoch.unwatch", epoch_id=self._epoch_id)
            self._take()
            self._lines.append(self._lines.pop(0))
        if self.events:
            after = self.events[-1]["version"]
        answer = await self._lines[0].watch(after=after)
        assert answer["snapshot"] is None
        self._epoch_id = answer["epoch_id"]

    async def until(self, version: int) -> list[Json]:
        """Stay until the event of a version came; gives all that came."""
        self._take()
        while not self.events or self.events[-1]["version"] < version:
            await self._lines[0].receive()
            self._take()
        return self.events

    def _take(self) -> None:
        self.events += self._lines[0].events
        self._lines[0].events.clear()


async def is_the_log(stage: Stage, day: EpochDay, events: list[Json]) -> None:
    """Check that a watcher saw each event since the day began, once and in order."""
    stored = await stage.days.read_events(day.epoch_id, after=day.version, limit=len(events) + 1)
    log = [orjson.loads(event_json(day.epoch_id, event)) for event in stored]
    assert [{**event, "type": "epoch.event"} for event in log] == events


async def test_days_go_on_by_themselves_though_the_database_cuts_everybody_off(
    nodes: Nodes, stage: Stage, serving_dsn: str, fresh_dsn: str, rounds: Rounds, figures: Figures
) -> None:
    await prepare(stage)
    both = await two_nodes(nodes, serving_dsn)
    for number in range(rounds(1, 10)):
        day = await begin(stage, number)
        token = await token_of(stage, await stage.bot())
        async with AsyncExitStack() as stack:
            watchers = [await stack.enter_async_context(watching(node)) for node in both]
            for line in watchers:
                await line.watch(epoch_id=day.epoch_id, after=day.version)
            bot = await stack.enter_async_context(Line.open(both[0].websocket_url, token))
            await stage.days.set_clock(MIDNIGHT + timedelta(days=number, minutes=1), speed=SPEED)
            async with cutting_off(fresh_dsn, figures):
                accepted = await claim_all_day(bot, day)
                for line in watchers:
                    await until_archived(line)
            for line in watchers:
                await is_the_log(stage, day, line.events)
        assert accepted
        assert accepted <= set(versions(watchers[0].events))
        await finished_once(stage, day.day)
    said = [line for node in both for line in node.output]
    assert [line for line in said if "board failed" in line or "does not advance" in line] == []


@asynccontextmanager
async def cutting_off(dsn: str, figures: Figures) -> AsyncIterator[None]:
    """Cut every connection of the nodes to the database, again and again."""
    connection = await asyncpg.connect(dsn)
    cutting = asyncio.create_task(cut_off(connection, figures))
    try:
        yield
    finally:
        cutting.cancel()
        await asyncio.wait([cutting])
        await connection.close()
    assert cutting.cancelled()


async def cut_off(connection: asyncpg.Connection, figures: Figures) -> None:
    while True:
        cut = await connection.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND usename <> current_user"
        )
        figures.count("connections to the database cut while days advance", cut)
        await asyncio.sleep(CUTS_EVERY_S)


async def claim_all_day(bot: Line, day: EpochDay) -> set[int]:
    """Claim until the day is over; gives the versions that were acknowledged."""
    accepted: set[int] = set()
    while True:
        claim = {"epoch_id": day.epoch_id, "slot_index": len(accepted) % SLOTS, "code": "x"}
        answer = await bot.ask("epoch.claim", **claim)
        if answer["type"] == "ok":
            accepted.add(answer["version"])
        elif answer["code"] == "epoch_not_live":
            return accepted
        else:
            assert answer["code"] in ("unavailable", "overloaded"), answer
        await asyncio.sleep(0.01)


async def until_archived(line: Line) -> None:
    while not (line.events and line.events[-1]["payload"].get("phase") == "archive"):
        await line.receive()


async def test_a_leader_that_goes_away_lets_another_lead_at_once(
    nodes: Nodes, stage: Stage, serving_dsn: str
) -> None:
    await prepare(stage)
    both = await two_nodes(nodes, serving_dsn)
    first = await leader(stage.database, both)
    name = await stage.store.read_leader()
    assert await asyncio.to_thread(first.stop) == 0
    assert await stage.store.read_leader() != name
