"""Achievements on a real node: granted once by finished games, counted again from the logs."""

import asyncio
from pathlib import Path

import aiohttp
import asyncpg

from tests.faults.client_line import Json, Line, new_guests
from tests.fixtures.node import SECRET_KEYS, Node
from tests.fixtures.shell import playhall

WAIT_S = 60
PAUSE_S = 0.05
AGAIN = """
    UPDATE event_outbox SET done_at = NULL, delivered_to = '{}', next_attempt_at = now()
    WHERE name = 'game.completed'
"""
WAITING = "SELECT count(*) FROM event_outbox WHERE name = 'game.completed' AND done_at IS NULL"


async def play(first: Line, second: Line) -> str:
    """Have the first player win with four discs in one column; give the game."""
    lobby = (await first.ok("lobby.create", ruleset="four_in_a_row"))["lobby"]["lobby_id"]
    await second.ok("lobby.join", lobby_id=lobby)
    await second.ok("lobby.ready", lobby_id=lobby, ready=True)
    game = str((await first.ok("lobby.start", lobby_id=lobby))["lobby"]["game_id"])
    for number in range(1, 5):
        await first.ok("game.act", game_id=game, cmd_no=number, move=drop(0))
        if number < 4:
            await second.ok("game.act", game_id=game, cmd_no=number, move=drop(1))
    return game


def drop(column: int) -> Json:
    return {"type": "drop", "column": column}


async def read(node: Node, player_id: str, query: str = "") -> Json:
    path = f"/v1/players/{player_id}/achievements{query}"
    async with aiohttp.ClientSession(node.url) as web, web.get(path) as answer:
        told: Json = await answer.json()
        assert answer.status == 200, told
        return told


async def test_achievements_are_granted_once_and_can_be_counted_again(
    fresh_dsn: str, serving_dsn: str, tmp_path: Path
) -> None:
    owner = await asyncpg.connect(fresh_dsn)

    async def delivered() -> None:
        async with asyncio.timeout(WAIT_S):
            while await owner.fetchval(WAITING):
                await asyncio.sleep(PAUSE_S)

    with Node(tmp_path / "node", serving_dsn) as node:
        ann, bob = await new_guests(node, 2)
        before = await read(node, ann.player_id)
        assert before["points"] == 0
        keys = {(each["ruleset"], each["key"]) for each in before["achievements"]}
        assert keys >= {("four_in_a_row", "first_win"), ("el_dorado", "bids_made")}
        assert ("four_in_a_row", "quick_win") not in keys, "hidden"

        async with Line(node.websocket_url) as first, Line(node.websocket_url) as second:
            await first.call("session.hello", token=ann.token)
            await second.call("session.hello", token=bob.token)
            games = [await play(first, second), await play(first, second)]
        await delivered()
        shown = await read(node, ann.player_id, "?ruleset=four_in_a_row")
        mine = {each["key"]: each for each in shown["achievements"]}
        assert {key: each["progress"] for key, each in mine.items()} == {
            "first_win": 1,
            "ten_wins": 2,
            "quick_win": 1,
        }
        assert mine["first_win"]["game_id"] in games
        assert mine["quick_win"]["granted_at"] is not None
        assert (mine["ten_wins"]["granted_at"], shown["points"]) == (None, 30)
        assert (await read(node, bob.player_id))["points"] == 0

        assert await owner.fetchval("SELECT count(*) FROM achievement_games") == 4
        await owner.execute(AGAIN)
        await delivered()
        assert await read(node, ann.player_id, "?ruleset=four_in_a_row") == shown

        environment = {"PLAYHALL_DATABASE_URL": serving_dsn, "PLAYHALL_SECRET_KEYS": SECRET_KEYS}

        def rebuild(*options: str) -> tuple[int, str]:
            done = playhall("achievements", "rebuild", *options, environment=environment)
            return done.status, done.said

        status, said = await asyncio.to_thread(rebuild, "--verify")
        assert (status, "2 players checked, 0 achievements differ." in said) == (0, True), said
        await owner.execute(
            "UPDATE player_achievements SET progress = 7 WHERE key = 'ten_wins';"
            "DELETE FROM player_achievements WHERE key = 'first_win'"
        )
        status, said = await asyncio.to_thread(rebuild, "--verify")
        assert status == 1
        assert f"player {ann.player_id}, four_in_a_row ten_wins: progress is 7, should be 2" in said
        status, said = await asyncio.to_thread(rebuild)
        assert (status, "2 achievements differ, which were corrected." in said) == (0, True), said
        again = await read(node, ann.player_id, "?ruleset=four_in_a_row")
        assert {each["key"]: each["progress"] for each in again["achievements"]} == {
            "first_win": 1,
            "ten_wins": 2,
            "quick_win": 1,
        }
        await owner.execute(AGAIN)
        await delivered()
        assert await read(node, ann.player_id, "?ruleset=four_in_a_row") == again
    await owner.close()
