"""Games whose node goes away, or went away long ago: others take them up, and time runs on."""

import asyncio
from random import Random
from time import monotonic

import asyncpg
import pytest

from persistence.database import Database
from persistence.games.store import GameStore
from server.core.clock import Clock
from server.domains.play.games.node_lease import NodeLease
from tests.faults.checker import findings
from tests.faults.conftest import Nodes, Rounds
from tests.faults.evidence import assert_kept, read_evidence
from tests.faults.playing import hall
from tests.faults.recording import PATIENCE_S, table
from tests.faults.table import Figures

pytestmark = pytest.mark.slow


async def test_stopped_node_hands_every_live_game_over_and_exits_with_0(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, rounds: Rounds, figures: Figures
) -> None:
    # Only because it is given back can a lease of an hour be taken over.
    first = nodes("first", serving_dsn, lease_s=600)
    second = nodes("second", serving_dsn, lease_s=600)
    address = first.url
    count = rounds(20, 200)
    async with hall(lambda: address, Random(6), relays=count - 4, turns=4) as games:
        async with asyncio.TaskGroup() as group:
            group.create_task(games.play())
            await games.move_on()
            address, stopped_at = second.url, monotonic()
            assert await asyncio.to_thread(first.stop) == 0
            figures.measure("from SIGTERM to the exit", monotonic() - stopped_at)
            moved_at = await games.move_on()
            games.enough.set()
        figures.measure("from SIGTERM to the last game's move elsewhere", moved_at[-1] - stopped_at)
        figures.count("live games handed over on SIGTERM", count)
        await assert_kept(fresh_dsn, games.players, figures)


async def nothing() -> None:
    """Have nothing to do once the lease is back."""


async def test_lease_that_was_given_back_is_not_renewed(database: Database) -> None:
    store = GameStore(database, node="going")
    lease = NodeLease(store, clock=Clock(), lease_s=1, address=str, returned=nothing)
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        group.create_task(lease.keep_renewing())  # which ends, or this test does not
        while not lease.is_good():
            await asyncio.sleep(0)
        await lease.release()
    async with database.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM nodes") == 0


@pytest.mark.parametrize("successor", ["first", "second"], ids=["the same node", "another node"])
async def test_orphaned_games_are_adopted_at_start_and_overdue_turns_are_played(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, successor: str, figures: Figures
) -> None:
    first = nodes("first", serving_dsn, lease_s=2)
    where = lambda: first.url  # noqa: E731
    async with (
        table(where, "four_in_a_row", humans=2, turn_timeout_s=3600) as slow,
        table(where, "four_in_a_row", humans=2, turn_timeout_s=1) as quick,
    ):
        for seats in (slow, quick):
            await seats[0].act({"type": "drop", "column": 0})
        first.kill()
    before = await let_time_pass(fresh_dsn)
    started_at = monotonic()
    await asyncio.to_thread(nodes, successor, serving_dsn, lease_s=2)
    await heads_reach(fresh_dsn, {slow[0].game_id: before + 1, quick[0].game_id: before + 3})
    figures.measure("from start to the move of an orphan's absent player", monotonic() - started_at)
    assert findings(await read_evidence(fresh_dsn), []) == []


async def let_time_pass(dsn: str) -> int:
    """Let everything have happened two hours ago; gives the games' head."""
    connection = await asyncpg.connect(dsn)
    async with connection.transaction():
        await connection.execute("ALTER TABLE game_events DISABLE TRIGGER game_events_immutable")
        await connection.execute("UPDATE game_events SET created_at = created_at - '2 h'::interval")
        await connection.execute(
            "ALTER TABLE game_events ENABLE ALWAYS TRIGGER game_events_immutable"
        )
    heads = await connection.fetch("SELECT DISTINCT next_event_index FROM games")
    await connection.close()
    assert len(heads) == 1
    return int(heads[0][0])


async def heads_reach(dsn: str, expected: dict[str, int]) -> None:
    """Wait until the games have come so far."""
    connection = await asyncpg.connect(dsn)
    async with asyncio.timeout(PATIENCE_S):
        while [1 for game, head in expected.items() if head > await head_of(connection, game)]:
            await asyncio.sleep(0.05)
    await connection.close()


async def head_of(connection: asyncpg.Connection, game_id: str) -> int:
    sql = "SELECT next_event_index FROM games WHERE id = $1"
    return int(await connection.fetchval(sql, game_id))
