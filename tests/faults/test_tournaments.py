"""A Swiss tournament of bots ends by itself, though its nodes are killed again and again.

The short form has 16 bots on one node; the long one 256 on two, with many kills.
"""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from math import log2
from random import Random
from typing import Any

import aiohttp
import asyncpg
import pytest

from tests.faults.client_line import Guest, Json, new_guests
from tests.faults.conftest import Nodes, Rounds
from tests.faults.table import Figures
from tests.fixtures.http import bearer
from tests.fixtures.node import Node

pytestmark = pytest.mark.slow

WAIT_S = 600
# What another node, or the same one after its start, would wait for.
LEASES_END = """
    UPDATE event_outbox SET next_attempt_at = now() WHERE done_at IS NULL;
    UPDATE tournament_pairings SET claimed_until = NULL WHERE status = 'ready';
"""


async def ask(node: Node, who: Guest | None, method: str, path: str, body: Any = None) -> Json:
    headers = {} if who is None else bearer(who.token)
    async with (
        aiohttp.ClientSession(node.url) as web,
        web.request(method, f"/v1{path}", json=body, headers=headers) as answer,
    ):
        told: Json = await answer.json()
        assert answer.status == 200, told
        return told


async def test_swiss_of_bots_ends_by_itself_though_its_nodes_are_killed(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, rounds: Rounds, figures: Figures
) -> None:
    bots, kills, chance = rounds(16, 256), rounds(3, 20), Random(7)
    playing = [
        await asyncio.to_thread(nodes, name, serving_dsn, lease_s=2)
        for name in ("a", "b")[: rounds(1, 2)]
    ]
    first = playing[0]
    owner = await asyncpg.connect(fresh_dsn)
    (admin,) = await new_guests(first, 1)
    await owner.execute(
        "INSERT INTO account_roles (user_id, role) VALUES ($1, 'admin')", admin.session["user_id"]
    )
    new = {
        "title": "Cup of bots",
        "ruleset": "four_in_a_row",
        "format": "swiss",
        "entrants_max": bots,
        "starts_at": (datetime.now(UTC) + timedelta(days=1)).isoformat(),
    }
    cup = (await ask(first, admin, "POST", "/admin/tournaments", new))["tournament_id"]
    body = {"bot": "random", "count": bots}
    added = await ask(first, admin, "POST", f"/admin/tournaments/{cup}/bots", body)
    assert added["entrants"] == bots
    await owner.execute("UPDATE tournaments SET starts_at = now() WHERE id = $1", cup)

    async def status() -> str:
        return str(await owner.fetchval("SELECT status FROM tournaments WHERE id = $1", cup))

    for _ in range(kills):
        await asyncio.sleep(chance.uniform(0.1, 1.5))
        victim = chance.choice(playing)
        victim.kill()
        await asyncio.to_thread(victim.start)
        await owner.execute(LEASES_END)
        if await status() == "completed":
            break
        figures.count("kills of a node with a tournament survived")
    async with asyncio.timeout(WAIT_S):
        while await status() != "completed":
            await asyncio.sleep(0.1)

    pairings = await owner.fetch(
        "SELECT * FROM tournament_pairings WHERE tournament_id = $1 ORDER BY round, board", cup
    )
    in_all = int(log2(bots))
    assert len(pairings) == in_all * bots // 2
    assert {row["kind"] for row in pairings} == {"game"}
    met = Counter(frozenset((row["first"], row["second"])) for row in pairings)
    assert max(met.values()) == 1
    # One game each, which is an ordinary one; its winner has the points.
    games = {row["game_id"] for row in pairings}
    assert len(games) == len(pairings)
    assert await owner.fetchval("SELECT count(*) FROM games") == len(games)
    completed = await owner.fetchval("SELECT count(*) FROM games WHERE status = 'completed'")
    assert completed == len(games)
    points = {(2, 0): "first", (0, 2): "second", (1, 1): None}
    winners = {
        row["game_id"]: row["winner_id"]
        for row in await owner.fetch("SELECT game_id, winner_id FROM matches")
    }
    players = {
        row["number"]: row["player_id"]
        for row in await owner.fetch("SELECT number, player_id FROM tournament_entrants")
    }
    for row in pairings:
        side = points[row["first_points"], row["second_points"]]
        assert winners[row["game_id"]] == (None if side is None else players[row[side]])
    # Ordinary statistics have each game once.
    played = await owner.fetch("SELECT games_played FROM player_lifetime_stats")
    assert [row["games_played"] for row in played] == [in_all] * bots

    table = (await ask(first, None, "GET", f"/tournaments/{cup}/standings"))["standings"]
    assert sum(row["points"] for row in table) == 2 * len(pairings)
    assert [row["points"] for row in table] == sorted((r["points"] for r in table), reverse=True)
    shown = await ask(first, None, "GET", f"/tournaments/{cup}")
    assert (shown["status"], shown["round"], shown["open_pairings"]) == ("completed", in_all, 0)
    figures.count("games of tournaments, one for each pairing", len(games))
    await owner.close()
