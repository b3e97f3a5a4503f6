"""Experience: what completed games bring, once, and that it can be checked."""

import asyncio

import pytest

from persistence.database import Database
from persistence.eventlog.completion import XpRule
from protocol.ids import PlayerId, UserId
from server.ops.audit.commands import GameAuditor
from server.ops.audit.rebuild import ColumnDifference
from server.rulesets import find_rulesets
from tests.fixtures.rows import add_profile
from tests.integration.audit.conftest import open_room
from tests.integration.games.conftest import Room

RULE = XpRule(per_game=10, per_win=25)


async def account(room: Room, username: str, player_id: PlayerId) -> UserId:
    """Give a player an account."""
    async with room.database.acquire() as connection:
        user_id = UserId(await add_profile(connection, username))
        await connection.execute(
            "UPDATE players SET user_id = $2 WHERE id = $1", player_id, user_id
        )
    return user_id


async def totals(room: Room) -> list[tuple[str, int, int]]:
    """Give each account's XP as stored and as its matches add up."""
    rows = await room.fetch(
        "SELECT f.username, f.xp_total, coalesce(sum(mp.xp), 0)::int AS earned FROM profiles f"
        " JOIN players p ON p.user_id = f.id::text"
        " LEFT JOIN match_players mp ON mp.player_id = p.id"
        " GROUP BY f.id ORDER BY 1"
    )
    return [(row["username"], row["xp_total"], row["earned"]) for row in rows]


async def left_game(room: Room, players: list[PlayerId]) -> None:
    """Play a game that ends as the first player leaves: the other one wins."""
    host = await room.game("four_in_a_row", [None, "random"], players)
    host.record_presence("player_left", 0)
    await room.completed(host.game_id)


async def test_completed_games_bring_xp_to_accounts_and_none_to_others(database: Database) -> None:
    async with open_room(database, xp=RULE) as room:
        players = await room.players(2)
        await account(room, "ann", players[0])
        hosts = [await room.game("four_in_a_row", ["random"] * 2, players) for _ in range(6)]
        await asyncio.gather(*(room.completed(host.game_id) for host in hosts))
        won = (
            await room.fetch(
                "SELECT count(*) FROM match_players WHERE player_id = $1 AND is_winner", players[0]
            )
        )[0]["count"]
        assert await totals(room) == [("ann", 60 + 25 * won, 60 + 25 * won)]
        others = await room.fetch("SELECT xp FROM match_players WHERE player_id = $1", players[1])
        assert {row["xp"] for row in others} == {0}


async def test_running_game_brings_nothing_yet(database: Database) -> None:
    async with open_room(database, xp=RULE) as room:
        players = await room.players(2)
        await account(room, "ann", players[0])
        await room.game("four_in_a_row", [None, None], players)
        assert await totals(room) == [("ann", 0, 0)]


async def test_another_rule_leaves_what_was_earned_under_the_one_before(database: Database) -> None:
    async with open_room(database, xp=RULE) as room:
        players = await room.players(2)
        await account(room, "bob", players[1])
        await left_game(room, players)
    earned = (await totals(room))[0][1]
    async with open_room(database, node="later", xp=XpRule(per_game=1)) as room:
        await left_game(room, players)
        assert await totals(room) == [("bob", earned + 1, earned + 1)]


@pytest.mark.parametrize("repair", [False, True])
async def test_recount_finds_xp_that_no_match_brought(database: Database, repair: bool) -> None:
    async with open_room(database, xp=RULE) as room:
        players = await room.players(2)
        await account(room, "bob", players[1])
        await left_game(room, players)
        earned = (await totals(room))[0][1]
        await room.fetch("UPDATE profiles SET xp_total = 777")
        rebuild = GameAuditor(database, find_rulesets()).rebuild(repair=repair)
        found = await rebuild.recount_player(players[1])
        assert found.differences == (ColumnDifference("xp_total", 777, earned),)
        assert (await totals(room))[0][1] == (earned if repair else 777)
