"""A completion that is broken off at any of its statements: all of it is kept, or nothing."""

import asyncio
from random import Random

import pytest

from tests.faults.conftest import Nodes, Rounds
from tests.faults.evidence import assert_kept, read_evidence
from tests.faults.playing import hall, play_until_one_move_ends_it, win
from tests.faults.proxy import APPEND, COMMIT, Loss, Proxy
from tests.faults.table import Figures

pytestmark = pytest.mark.slow

# The statements of a completion, in order.
STATEMENTS = (
    "^SELECT next_event_index",
    APPEND,
    "INSERT INTO player_lifetime_stats",
    "FROM player_lifetime_stats",
    "UPDATE player_lifetime_stats",
    "INSERT INTO game_summaries",
    "UPDATE games SET status",
    "INSERT INTO matches",
    "INSERT INTO match_players",
    "UPDATE lobbies SET status = 'CLOSED'",
    "DELETE FROM room_directory",
    COMMIT,
)


async def test_completion_is_whole_wherever_its_connection_breaks(
    nodes: Nodes, proxy: Proxy, fresh_dsn: str, figures: Figures
) -> None:
    node = await asyncio.to_thread(nodes, "a", proxy.dsn)
    breaks = [(s, loss) for s in STATEMENTS for loss in (Loss.STATEMENT_LOST, Loss.ANSWER_LOST)]
    async with hall(lambda: node.url, Random(5), fours=len(breaks)) as games:
        for seats, (statement, loss) in zip(games.turns, breaks, strict=True):
            await play_until_one_move_ends_it(seats)
            trap = proxy.trap(statement, loss)
            async with asyncio.TaskGroup() as group:
                group.create_task(win(seats))
                await trap.springs()
                await assert_kept(fresh_dsn, list(seats))
            figures.count("completions broken off survived")
        assert [player.returns for player in games.players] == [1] * len(games.players)
        evidence = await assert_kept(fresh_dsn, games.players, figures)
    assert {game.status for game in evidence.games.values()} == {"completed"}


async def test_server_killed_in_a_completion_completes_all_of_it_after_its_restart(
    nodes: Nodes, proxy: Proxy, fresh_dsn: str, rounds: Rounds, figures: Figures
) -> None:
    node = await asyncio.to_thread(nodes, "a", proxy.dsn)
    chance = Random(5)
    chosen = chance.sample(STATEMENTS[1:], rounds(2, len(STATEMENTS) - 1))
    async with hall(lambda: node.url, chance, fours=len(chosen)) as games:
        for seats, statement in zip(games.turns, chosen, strict=True):
            await play_until_one_move_ends_it(seats)
            trap = proxy.trap(statement, Loss.ANSWER_KEPT)
            async with asyncio.TaskGroup() as group:
                group.create_task(win(seats))
                await trap.has_answer()
                node.kill()
                proxy.hang_up()
                evidence = await read_evidence(fresh_dsn)
                await assert_kept(fresh_dsn, list(seats))
                await asyncio.to_thread(node.start)
            is_over = evidence.games[seats[0].game_id].status == "completed"
            assert is_over == (statement == COMMIT)
            figures.count("kills in a completion survived")
        evidence = await assert_kept(fresh_dsn, games.players, figures)
    assert {game.status for game in evidence.games.values()} == {"completed"}
