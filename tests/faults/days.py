"""Days that nodes advance while they are killed: a stage, who leads, and what must have come."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta

import aiohttp
import asyncpg
import orjson

from persistence.database import Database
from persistence.epochs.store import EpochDay
from protocol.epochs import EpochNotFound
from server.domains.compete.bots.rules import token_hash
from tests.faults.conftest import Nodes
from tests.faults.recording import PATIENCE_S
from tests.fixtures.node import Node
from tests.integration.epochs.line import Line
from tests.integration.epochs.stage import DAY, MIDNIGHT, Bot, Stage, profile

PHASES = ["prep", "live", "freeze", "snapshot", "settle", "archive"]
POLL_S = 0.02

# Days of an hour that may begin one after the other, each on its own date.
HOUR = {"duration_hours": 1, "freeze_minutes": 10}


async def token_of(stage: Stage, bot: Bot) -> str:
    """Make a token that a bot signs in with."""
    token = f"pb_{bot.bot_id}"
    async with stage.database.acquire() as connection:
        await connection.execute(
            "UPDATE bot_tokens SET token_hash = $1 WHERE id = $2", token_hash(token), bot.token_id
        )
    return token


async def two_nodes(nodes: Nodes, dsn: str) -> list[Node]:
    """Start two nodes at a time; the leader is one of them."""
    return list(
        await asyncio.gather(*(asyncio.to_thread(nodes, name, dsn, lease_s=2) for name in "ab"))
    )


async def prepare(stage: Stage, **rules: object) -> None:
    """Let nodes that start now make days by a profile; nothing is announced yet."""
    await stage.keep_profile(profile(8, cadence=HOUR, **rules))
    await stage.at(MIDNIGHT - timedelta(days=7))


async def begin(stage: Stage, number: int = 0) -> EpochDay:
    """Let a day begin, and wait until a node has made it live."""
    await stage.at(MIDNIGHT + timedelta(days=number, seconds=1))
    return await phase(stage, DAY + timedelta(days=number), "live")


async def phase(stage: Stage, day: date, name: str) -> EpochDay:
    """Wait until a day is in a phase."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                found = await stage.days.read_day(day)
                if found.phase == name:
                    return found
            except EpochNotFound:
                pass  # nobody has made it yet
            await asyncio.sleep(POLL_S)


async def leader(database: Database, nodes: Sequence[Node]) -> Node:
    """Wait until one of the nodes leads; give it."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with database.acquire() as connection:
                address = await connection.fetchval(
                    "SELECT address FROM epoch_leader JOIN nodes ON id = node"
                    " WHERE epoch_leader.lease_until > clock_timestamp()"
                )
            for node in nodes:
                if node.url == address:
                    return node
            await asyncio.sleep(POLL_S)


class Gate:
    """Holds one table after the other, so that a step gets no further than the last."""

    def __init__(self, dsn: str, tables: Sequence[str]) -> None:
        self._dsn = dsn
        self._tables = list(tables)
        self._held: asyncpg.Connection | None = None

    async def move(self) -> None:
        """Hold the next table, and then let go of the one before; reading goes on."""
        earlier, self._held = self._held, await asyncpg.connect(self._dsn)
        await self._held.execute(f"BEGIN; LOCK TABLE {self._tables.pop(0)} IN SHARE MODE")
        if earlier is not None:
            await earlier.close()

    async def is_reached(self) -> None:
        """Wait until a node waits for the last of the tables."""
        await self._is_waited_for()
        while self._tables:
            await self.move()
            await self._is_waited_for()

    async def open(self) -> None:
        """Let everybody through."""
        if self._held is not None:
            await self._held.close()

    async def _is_waited_for(self) -> None:
        assert self._held is not None
        async with asyncio.timeout(PATIENCE_S):
            while not await self._held.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
            ):
                await asyncio.sleep(POLL_S)


@asynccontextmanager
async def in_the_way(dsn: str, tables: Sequence[str]) -> AsyncIterator[Gate]:
    """Be in the way of whoever writes to the first of some tables."""
    gate = Gate(dsn, tables)
    try:
        await gate.move()
        yield gate
    finally:
        await gate.open()


async def finished_once(stage: Stage, day: date) -> None:
    """Check a day that is archived: every phase once, no hole, one result, and the right one."""
    found = await stage.days.read_day(day)
    events = [event async for event in stage.days.iterate_events(found.epoch_id)]
    assert [event.version for event in events] == list(range(1, found.version + 1))
    payloads = [orjson.loads(event.payload) for event in events if event.type == "phase_changed"]
    assert [payload["phase"] for payload in payloads] == PHASES
    (result,) = await stage.store.list_settlements(found.epoch_id)
    assert result.events_digest == found.events_digest
    assert await stage.steps.verify(found.epoch_id) == []
    paid = await stage.store.list_payouts(found.epoch_id)
    assert sum(payout.bps for payout in paid) == 10_000
    assert sum(int(payout.amount_wei) for payout in paid) == found.pool_wei
    async with stage.database.acquire() as connection:
        figures = await connection.fetchval(
            "SELECT count(*) FROM bot_stats_snapshots WHERE epoch_id = $1", found.epoch_id
        )
        editions = await connection.fetchval(
            "SELECT count(*) FROM epoch_editions WHERE epoch_id = $1", found.epoch_id
        )
    assert (figures, editions) == (len(paid), 1)


@asynccontextmanager
async def watching(node: Node) -> AsyncIterator[Line]:
    """A new person's line to a node."""
    async with (
        aiohttp.ClientSession(node.url) as http,
        http.post("/v1/auth/guest", json={}) as answer,
    ):
        token = (await answer.json())["access_token"]
    async with Line.open(node.websocket_url, token) as line:
        yield line
