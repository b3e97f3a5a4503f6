"""A completion that is broken off at any moment: all of it is kept, or nothing.

It is one statement, so it can be lost before it arrives, or its answer afterwards. In between it is
stopped at rows that somebody else has locked, from the first that it writes to the last.
"""

import asyncio
from random import Random

import asyncpg
import pytest

from tests.faults.conftest import Nodes
from tests.faults.evidence import assert_kept, read_evidence
from tests.faults.playing import hall, play_until_one_move_ends_it, win
from tests.faults.proxy import COMPLETE, Loss, Proxy
from tests.faults.recording import PATIENCE_S
from tests.faults.table import Figures

pytestmark = pytest.mark.slow

# Rows that a completion of a game waits for, in the order in which it comes to them.
LOCKS = (
    "SELECT FROM player_lifetime_stats WHERE player_id IN (SELECT m.player_id"
    " FROM lobby_members m JOIN games g USING (lobby_id) WHERE g.id = $1) FOR UPDATE",
    "SELECT FROM lobbies WHERE game_id = $1 FOR UPDATE",
)
WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE query LIKE '%complete_game%' AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()
"""
BREAKS = (Loss.STATEMENT_LOST, Loss.ANSWER_LOST, Loss.ANSWER_LOST, Loss.STATEMENT_LOST)


async def test_completion_is_whole_wherever_its_connection_breaks(
    nodes: Nodes, proxy: Proxy, fresh_dsn: str, figures: Figures
) -> None:
    node = await asyncio.to_thread(nodes, "a", proxy.dsn)
    async with hall(lambda: node.url, Random(5), fours=len(BREAKS)) as games:
        for seats, loss in zip(games.turns, BREAKS, strict=True):
            await play_until_one_move_ends_it(seats)
            trap = proxy.trap(COMPLETE, loss)
            async with asyncio.TaskGroup() as group:
                group.create_task(win(seats))
                await trap.springs()
                await assert_kept(fresh_dsn, list(seats))
            figures.count("completions broken off survived")
        assert [player.returns for player in games.players] == [1] * len(games.players)
        evidence = await assert_kept(fresh_dsn, games.players, figures)
    assert {game.status for game in evidence.games.values()} == {"completed"}


async def test_server_killed_in_a_completion_completes_all_of_it_after_its_restart(
    nodes: Nodes, proxy: Proxy, fresh_dsn: str, figures: Figures
) -> None:
    node = await asyncio.to_thread(nodes, "a", proxy.dsn)
    owner, watcher = [await asyncpg.connect(fresh_dsn) for _ in range(2)]
    async with hall(lambda: node.url, Random(5), fours=len(LOCKS)) as games:
        for seats, lock in zip(games.turns, LOCKS, strict=True):
            await play_until_one_move_ends_it(seats)
            await owner.execute(
                "INSERT INTO player_lifetime_stats (player_id) SELECT unnest($1::uuid[])"
                " ON CONFLICT DO NOTHING",
                [player.player_id for player in seats],
            )
            async with asyncio.TaskGroup() as group:
                async with owner.transaction():
                    await owner.execute(lock, seats[0].game_id)
                    group.create_task(win(seats))
                    async with asyncio.timeout(PATIENCE_S):
                        while not await watcher.fetchval(WAITING):
                            await asyncio.sleep(0.01)
                    node.kill()
                    proxy.hang_up()
                    evidence = await read_evidence(fresh_dsn)
                    await assert_kept(fresh_dsn, list(seats))
                assert evidence.games[seats[0].game_id].status == "in_progress"
                await asyncio.to_thread(node.start)
            figures.count("kills in a completion survived")
        evidence = await assert_kept(fresh_dsn, games.players, figures)
    await owner.close()
    await watcher.close()
    assert {game.status for game in evidence.games.values()} == {"completed"}
