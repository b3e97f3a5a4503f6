"""A database that misbehaves towards one statement, one game or one connection."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import asyncpg
import pytest

from tests.faults.conftest import Nodes, Rounds
from tests.faults.evidence import assert_kept
from tests.faults.playing import Hall, end_relay, hall, play_relay
from tests.faults.proxy import APPEND, COMMIT, COMPLETE, Loss, Proxy
from tests.faults.table import Figures

pytestmark = pytest.mark.slow


@asynccontextmanager
async def played(games: Hall) -> AsyncIterator[None]:
    """Play while something goes wrong, then to the end."""
    async with asyncio.TaskGroup() as group:
        group.create_task(games.play())
        yield
        games.enough.set()


def assert_nobody_noticed(games: Hall) -> None:
    """No connection was lost, and no command had to be sent again."""
    for player in games.players:
        assert player.returns == 1  # its first arrival
        assert all(len(replies) == 1 for replies in player.witness.replies.values())


async def test_backends_terminated_in_mid_batch_leave_no_hole_and_no_repeat(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, rounds: Rounds, figures: Figures
) -> None:
    node = nodes("a", serving_dsn)
    killer = await asyncpg.connect(fresh_dsn)
    async with hall(lambda: node.url, Random(9), relays=6, turns=2) as games:
        async with played(games):
            for _ in range(rounds(10, 200)):
                ended = await killer.fetchval(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    "WHERE application_name = 'playhall' AND datname = current_database()"
                )
                figures.count("connections to the database terminated", ended)
                await games.move_on()
        await assert_kept(fresh_dsn, games.players, figures)
    await killer.close()


async def test_commit_whose_answer_is_dropped_acts_exactly_once(
    nodes: Nodes, proxy: Proxy, fresh_dsn: str, rounds: Rounds, figures: Figures
) -> None:
    node = await asyncio.to_thread(nodes, "a", proxy.dsn)
    chance = Random(10)
    async with hall(lambda: node.url, chance, relays=6, turns=2) as games:
        async with played(games):
            for _ in range(rounds(20, 300)):
                loss = chance.choice([Loss.ANSWER_LOST, Loss.STATEMENT_LOST])
                trap = proxy.trap(f"{APPEND}|{COMMIT}|{COMPLETE}", loss, passes=chance.randrange(5))
                await trap.springs()
                figures.count(f"commits whose {loss.name.lower().replace('_', ' was ')}")
        await assert_kept(fresh_dsn, games.players, figures)
        assert_nobody_noticed(games)


async def test_games_whose_rows_are_locked_hold_up_no_other(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, figures: Figures
) -> None:
    node = nodes("a", serving_dsn)
    games_locked = 4
    async with hall(lambda: node.url, Random(12), relays=10) as games:
        stuck, free = games.relays[:games_locked], games.relays[games_locked:]
        holder = await asyncpg.connect(fresh_dsn)
        async with asyncio.TaskGroup() as group, holder.transaction():
            for host, _ in stuck:
                await holder.execute("SELECT FROM games WHERE id = $1 FOR UPDATE", host.game_id)
                group.create_task(host.act({"n": 0}))
            enough = asyncio.Event()
            enough.set()
            await asyncio.gather(*(play_relay(seats, enough, Random(12)) for seats in free))
            assert [host.witness.replies for host, _ in stuck] == [{}] * games_locked
            assert not any("settling one by one" in line for line in node.output)
        await asyncio.gather(*(end_relay(seats) for seats in stuck))
        await holder.close()
        await assert_kept(fresh_dsn, games.players, figures)
    figures.count("games that others' locked rows did not hold up", len(free))


async def test_event_that_the_database_refuses_fails_its_game_alone_with_a_clear_error(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, figures: Figures
) -> None:
    node = nodes("a", serving_dsn)
    await refuse_poison(fresh_dsn)
    async with hall(lambda: node.url, Random(13), relays=8) as games:
        others = Hall(games.relays[2:], [], Random(13))
        async with played(others):
            for host, _ in games.relays[:2]:
                host.witness.sent[1] = {"poison": 1}
                refused = await host.send_once(1)
                assert refused["code"] == "not_committed"
                assert "no_poison" in refused["message"]
                host.witness.sent[1] = {"n": 1}  # nothing was changed: the number is still free
                await host.repeat(1)
        assert_nobody_noticed(others)
        await asyncio.gather(*(end_relay(seats) for seats in games.relays[:2]))
        await assert_kept(fresh_dsn, games.players, figures)
    figures.count("events that the database refused, each in its game alone", 2)


async def refuse_poison(dsn: str) -> None:
    """Let the database refuse something that nobody could know of."""
    connection = await asyncpg.connect(dsn)
    poison = """'{"data": {"poison": 1}}'"""
    await connection.execute(
        f"ALTER TABLE game_events ADD CONSTRAINT no_poison CHECK (NOT payload @> {poison})"
    )
    await connection.close()
