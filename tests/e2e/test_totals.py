"""What the start page counts: all that the database keeps, of every node, and after a restart."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import psycopg

from migrations import runner
from tests.faults.client_line import Line, lines, new_guests, sit_down, until
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases


async def _counts(node: Node) -> tuple[int, int]:
    async with aiohttp.ClientSession(node.url) as web, web.get("/v1/status") as answer:
        body: dict[str, Any] = await answer.json()
        assert answer.status == 200, body
        return body["events_total"], body["games_completed_total"]


def _kept(dsn: str) -> tuple[int, int]:
    """Count the long way."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM game_events),"
            " (SELECT count(*) FROM games WHERE status = 'completed')"
        ).fetchone()
    assert row is not None
    return row[0], row[1]


async def _play(line: Line, *, moves: int, to_the_end: bool) -> None:
    game_id = await sit_down([line], "relay")
    for number in range(1, moves + 1):
        await line.ok("game.act", game_id=game_id, cmd_no=number, move={"n": number})
    if to_the_end:
        end = {"type": "end"}
        await line.ok("game.act", game_id=game_id, cmd_no=moves + 1, move=end)


async def test_counts_are_the_databases_on_every_node_and_after_a_restart(
    tmp_path: Path, fresh_dsn: str, serving_dsn: str
) -> None:
    one, other = Node(tmp_path / "one", serving_dsn), Node(tmp_path / "other", serving_dsn)
    with one, other:
        assert await _counts(one) == (0, 0)
        for node in (one, other):
            guests = await new_guests(node, 2)
            async with lines(node, guests) as [first, second]:
                await _play(first, moves=3, to_the_end=True)
                await _play(first, moves=1, to_the_end=True)
                await _play(second, moves=2, to_the_end=False)

        async def agree() -> bool:
            kept = _kept(fresh_dsn)
            return await _counts(one) == await _counts(other) == kept

        await until(agree)
        events, finished = await _counts(one)
        assert finished == 4
        assert events > 20
        one.kill()
        one.start()
        assert (await _counts(one))[1] == 4
        await until(agree)


async def test_many_games_that_end_at_once_are_all_counted(
    tmp_path: Path, fresh_dsn: str, serving_dsn: str
) -> None:
    with Node(tmp_path / "node", serving_dsn) as node:
        async with lines(node, await new_guests(node, 20)) as table:
            await asyncio.gather(*(_play(line, moves=1, to_the_end=True) for line in table))

        async def agree() -> bool:
            return await _counts(node) == _kept(fresh_dsn)

        await until(agree)
        assert (await _counts(node))[1] == 20


async def test_counts_are_served_while_the_database_is_away(
    tmp_path: Path, databases: Databases
) -> None:
    dsn = databases.create(template=TEMPLATE)
    with Node(tmp_path / "node", databases.serving_dsn(dsn)) as node:
        [guest] = await new_guests(node, 1)
        async with lines(node, [guest]) as [line]:
            await _play(line, moves=1, to_the_end=True)
        kept = _kept(dsn)

        async def counted() -> bool:
            return await _counts(node) == kept

        await until(counted)
        databases.drop(dsn)
        assert await _counts(node) == kept


def test_games_from_before_the_counts_are_counted(empty_dsn: str) -> None:
    runner.upgrade(empty_dsn)
    revisions = runner.revisions()
    before = revisions[revisions.index("20261128_000019") - 1]
    runner.downgrade(empty_dsn, before)
    finish = """
        WITH made AS (
            INSERT INTO games (session_seed, config, status, ruleset, ruleset_version,
                               next_event_index, completed_at)
            SELECT 's', '{}', 'completed', 'relay', 1, n, now() FROM generate_series(1, 40) AS n
            RETURNING id)
        INSERT INTO game_summaries (game_id, players, rounds, final_scores)
        SELECT id, '[]', '[]', '{}' FROM made
    """
    with psycopg.connect(empty_dsn) as connection:
        connection.execute(finish)
    runner.upgrade(empty_dsn)
    with psycopg.connect(empty_dsn) as connection:
        connection.execute(finish)
        summed = connection.execute("SELECT sum(games), sum(events) FROM game_totals").fetchone()
    assert summed == (80, 2 * 820)
