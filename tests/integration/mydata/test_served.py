"""Somebody is erased amid a game and a lobby, on nodes that serve others meanwhile."""

from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack

import aiohttp
import pytest

from tests.faults.client_line import Guest, Json, Line, new_guests
from tests.fixtures.http import bearer
from tests.fixtures.node import Node


@pytest.fixture
def nodes(tmp_path_factory: pytest.TempPathFactory, serving_dsn: str) -> Iterator[list[Node]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(Node(tmp_path_factory.mktemp("node"), serving_dsn))
            for _ in range(2)
        ]


async def _erase(node: Node, who: Guest) -> None:
    async with aiohttp.ClientSession(node.url, headers=bearer(who.token)) as web:
        me: Json = await (await web.get("/v1/me")).json()
        answer = await web.delete("/v1/me", json={"confirm": me["username"]})
        assert answer.status == 200, await answer.text()


async def _relay(host: Line, other: Line) -> str:
    """Start a game of two on one node."""
    lobby = (await host.ok("lobby.create", ruleset="relay", seats=2, name="Ann's"))["lobby"]
    await other.ok("lobby.join", lobby_id=lobby["lobby_id"])
    await other.ok("lobby.ready", lobby_id=lobby["lobby_id"])
    await host.ok("lobby.start", lobby_id=lobby["lobby_id"])
    while not other.updates or other.updates[-1]["change"]["kind"] != "started":
        await other.read()
    return str(other.updates[-1]["lobby"]["game_id"])


async def test_erased_player_leaves_lobby_and_seat_and_the_others_go_on(nodes: list[Node]) -> None:
    ann, bob = await new_guests(nodes[0], 2)
    async with AsyncExitStack() as stack:
        anns, bobs = [
            await (await stack.enter_async_context(Line(nodes[0].websocket_url))).greet(guest)
            for guest in (ann, bob)
        ]
        game_id = await _relay(anns, bobs)
        await bobs.ok("game.resume", game_id=game_id, after=-1)
        waiting = (await bobs.ok("lobby.create", ruleset="relay", seats=3))["lobby"]
        await anns.ok("lobby.join", lobby_id=waiting["lobby_id"])

        await _erase(nodes[1], ann)

        ended = await anns.end()
        assert (ended.code, ended.reason) == (4103, "logged_out")
        assert (await bobs.event("player_disconnected"))["payload"]["seat"] == 0
        move = {"game_id": game_id, "cmd_no": 1, "move": {"hello": "still here"}}
        assert (await bobs.call("game.act", **move))["type"] == "ok"
    async with aiohttp.ClientSession(nodes[1].url) as web:
        lobby = await (await web.get(f"/v1/lobbies/{waiting['lobby_id']}")).json()
        assert [member["player_id"] for member in lobby["members"]] == [bob.player_id]
