"""Leaderboards: ranks, filters, and the plans that keep them cheap."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from persistence.history.store import BOARDS, BOARDS_IN_RULESET
from tests.integration.records.conftest import Archive

ROWS = 20_000


@pytest.fixture(autouse=True)
async def _no_ranks(archive: Archive) -> None:
    owner = await archive.owner()
    await owner.execute("TRUNCATE player_lifetime_stats, player_ruleset_stats")
    await owner.close()


async def _board(client: aiohttp.ClientSession, board: str, **query: object) -> list[Any]:
    asked = {name: str(value).lower() for name, value in query.items()}
    async with client.get(f"/v1/leaderboards/{board}", params=asked) as reply:
        body = await reply.json()
        assert reply.status == 200, body
    assert body["board"] == board
    return list(body["rows"])


def _ranks(rows: list[Any]) -> list[tuple[int, str, float]]:
    return [(row["rank"], row["display_name"], row["value"]) for row in rows]


async def test_equal_values_share_a_rank(client: aiohttp.ClientSession, archive: Archive) -> None:
    for name, won in (("A", 5), ("B", 3), ("C", 3), ("D", 1)):
        await archive.player(name, games_played=6, games_won=won)
    rows = await _board(client, "wins")
    assert [(row["rank"], row["value"]) for row in rows] == [(1, 5), (2, 3), (2, 3), (4, 1)]


async def test_each_board_ranks_by_its_own_measure(
    client: aiohttp.ClientSession, archive: Archive
) -> None:
    await archive.player("A", games_played=10, games_won=5, highest_score=-7, total_tricks_won=1)
    await archive.player("B", games_played=2, games_won=2, highest_score=30, total_tricks_won=9)
    await archive.player("C")
    await archive.player("D", games_played=0)
    assert _ranks(await _board(client, "wins"))[:2] == [(1, "A", 5), (2, "B", 2)]
    assert _ranks(await _board(client, "win_rate")) == [(1, "B", 1.0), (2, "A", 0.5)]
    assert _ranks(await _board(client, "highest_score")) == [(1, "B", 30), (2, "A", -7)]
    assert _ranks(await _board(client, "total_tricks")) == [(1, "B", 9), (2, "A", 1)]


async def test_bots_and_newcomers_are_left_out_unless_asked_for(
    client: aiohttp.ClientSession, archive: Archive
) -> None:
    await archive.player("Bot", is_bot=True, games_played=9, games_won=9)
    await archive.player("New", games_played=1, games_won=1)
    await archive.player("Old", games_played=9, games_won=4)
    assert _ranks(await _board(client, "win_rate", min_games=5)) == [(1, "Old", 4 / 9)]
    with_bots = await _board(client, "win_rate", min_games=5, bots=True)
    assert [row["display_name"] for row in with_bots] == ["Bot", "Old"]
    assert [row["is_bot"] for row in with_bots] == [True, False]


async def test_a_board_is_as_long_as_asked(client: aiohttp.ClientSession, archive: Archive) -> None:
    for n in range(3):
        await archive.player(f"P{n}", games_played=1, games_won=n)
    assert len(await _board(client, "wins", limit=2)) == 2


async def test_a_board_of_one_ruleset_ranks_by_its_games_alone(
    client: aiohttp.ClientSession, archive: Archive
) -> None:
    ann = await archive.player("Ann", games_played=9, games_won=7, highest_score=90)
    bob = await archive.player("Bob", games_played=3, games_won=3, highest_score=40)
    await archive.in_ruleset(ann, "el_dorado", games_played=4, games_won=2, highest_score=30)
    await archive.in_ruleset(ann, "chess", games_played=5, games_won=5, highest_score=90)
    await archive.in_ruleset(bob, "el_dorado", games_played=3, games_won=3, highest_score=40)
    assert _ranks(await _board(client, "wins")) == [(1, "Ann", 7), (2, "Bob", 3)]
    for board, best in (("wins", 3), ("win_rate", 1.0), ("highest_score", 40)):
        ranks = _ranks(await _board(client, board, ruleset="el_dorado"))
        assert (ranks[0], len(ranks)) == ((1, "Bob", best), 2)
    # Records outlive the rulesets that are installed.
    assert _ranks(await _board(client, "wins", ruleset="chess")) == [(1, "Ann", 5)]
    assert await _board(client, "wins", ruleset="relay") == []


async def test_a_ruleset_that_nobody_played_is_refused_by_name(
    client: aiohttp.ClientSession, archive: Archive
) -> None:
    ann = await archive.player("Ann")
    for path in ("/v1/leaderboards/wins", f"/v1/players/{ann}/stats"):
        for wrong in ("el-dorado", "no_such_game", "x" * 33, ""):
            async with client.get(path, params={"ruleset": wrong}) as reply:
                body = await reply.json()
            assert (reply.status, body["field"]) == (422, "ruleset"), body


@pytest.fixture
async def crowd(archive: Archive) -> AsyncIterator[Any]:
    """A connection to a database with many players."""
    owner = await archive.owner()
    await owner.execute(
        "WITH p AS (INSERT INTO players (display_name, avatar_seed, color)"
        f" SELECT 'P' || n, '', '' FROM generate_series(1, {ROWS}) n RETURNING id)"
        " INSERT INTO player_lifetime_stats (player_id, games_played, games_won, highest_score,"
        " total_tricks_won) SELECT id, 100, random() * 100, random() * 200, random() * 1000 FROM p"
    )
    await owner.execute(
        "INSERT INTO player_ruleset_stats (player_id, ruleset, games_played, games_won,"
        " highest_score, total_tricks_won) SELECT player_id, unnest(ARRAY['el_dorado', 'chess']),"
        " games_played, games_won, highest_score, total_tricks_won FROM player_lifetime_stats"
    )
    await owner.execute("ANALYZE players, player_lifetime_stats, player_ruleset_stats")
    yield owner
    await owner.close()


async def test_no_board_reads_the_whole_table(crowd: Any) -> None:
    asked = [(query, (1, False, 100)) for query in BOARDS.values()]
    asked += [(query, (1, False, 100, "el_dorado")) for query in BOARDS_IN_RULESET.values()]
    for query, arguments in asked:
        rows = await crowd.fetch(f"EXPLAIN {query}", *arguments)
        plan = "\n".join(row[0] for row in rows)
        assert "Index Scan" in plan, plan
        assert "Seq Scan" not in plan, plan
        assert "Sort" not in plan, plan
