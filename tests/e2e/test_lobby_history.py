"""What was played in a lobby, and who may read it."""

from pathlib import Path
from typing import Any

import aiohttp

from protocol.ids import new_id
from tests.faults.client_line import Guest, lines, new_guests, served, sit_down
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.postgres import Databases


async def _history(node: Node, lobby_id: str, who: Guest | None, **query: str) -> tuple[int, Any]:
    headers = bearer(who.token) if who else {}
    path = f"/v1/lobbies/{lobby_id}/matches"
    async with (
        aiohttp.ClientSession(node.url, headers=headers) as web,
        web.get(path, params=query) as answer,
    ):
        return answer.status, await answer.json()


async def test_lobby_s_history_says_who_played_what(databases: Databases, tmp_path: Path) -> None:
    with served(databases, tmp_path / "node") as node:
        ann, bob, eve = await new_guests(node, 3)
        async with lines(node, [ann, bob]) as table:
            for is_public in (True, False):
                game_id = await sit_down(table, "relay", is_public=is_public)
                updates = [each for each in table[1].updates if each["type"] == "lobby.update"]
                lobby_id = updates[-1]["lobby_id"]
                assert await _history(node, lobby_id, ann) == (200, {"matches": [], "next": None})
                move = {"type": "end", "scores": {ann.player_id: 3, bob.player_id: 5}}
                await table[0].ok("game.act", game_id=game_id, cmd_no=1, move=move)

                status, found = await _history(node, lobby_id, ann)
                assert status == 200
                (match,) = found["matches"]
                assert (match["game_id"], match["ruleset"]) == (game_id, "relay")
                played = [(each["player_id"], each["score"]) for each in match["players"]]
                assert played == [(ann.player_id, 3), (bob.player_id, 5)]

                for stranger in (eve, None):
                    status, answer = await _history(node, lobby_id, stranger)
                    assert (status, answer.get("code")) == (
                        (200, None) if is_public else (404, "lobby_not_found")
                    )
        assert (await _history(node, new_id(), ann))[0] == 404
        status, answer = await _history(node, lobby_id, ann, cursor="nonsense")
        assert (status, answer["field"]) == (422, "cursor")
