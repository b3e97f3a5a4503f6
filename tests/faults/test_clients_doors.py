"""Every door to a game shows the same: nothing of a private one, and nothing too early."""

from collections.abc import Iterator

import aiohttp
import pytest

from tests.faults.client_line import Guest, Json, Line, lines, new_guests, served, sit_down
from tests.fixtures.node import Node
from tests.fixtures.postgres import Databases

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]

# Longer than any of these tests.
DELAY_S = 300
LATE = {"spectator_delay_s": DELAY_S}


@pytest.fixture(scope="module")
def node(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with served(databases, tmp_path_factory.mktemp("node")) as node:
        yield node


async def read(node: Node, path: str, guest: Guest | None = None) -> Json:
    headers = {} if guest is None else {"Authorization": f"Bearer {guest.token}"}
    async with aiohttp.ClientSession(headers=headers) as web, web.get(node.url + path) as answer:
        found: Json = await answer.json()
        return found


async def relay(line: Line, game_id: str, cmd_no: int) -> None:
    await line.ok("game.act", game_id=game_id, cmd_no=cmd_no, move={"n": cmd_no})


async def test_stranger_does_not_learn_that_a_private_game_exists(node: Node) -> None:
    guests = await new_guests(node, 2)
    async with lines(node, guests) as (host, stranger):
        private = await sit_down([host], "relay", is_public=False)
        nowhere = "00000000-0000-4000-8000-000000000000"
        for command, fields in {
            "game.act": {"cmd_no": 1, "move": {}},
            "game.resume": {"after": -1},
            "game.leave": {},
            "game.watch": {"after": -1},
            "game.snapshot": {},
        }.items():
            reply = await stranger.call(command, game_id=private, **fields)
            expected = await stranger.call(command, game_id=nowhere, **fields)
            assert reply | {"re": 0} == expected | {"re": 0}, command
            assert reply["code"] == "game_not_found"


async def test_who_may_watch_learns_that_there_is_no_seat(node: Node) -> None:
    guests = await new_guests(node, 2)
    async with lines(node, guests) as (host, visitor):
        public = await sit_down([host], "relay")
        assert (await visitor.call("game.resume", game_id=public))["code"] == "not_seated"
        reply = await visitor.call("game.act", game_id=public, cmd_no=1, move={})
        assert reply["code"] == "not_seated"


async def test_delayed_game_shows_no_head_to_who_does_not_sit_in_it(node: Node) -> None:
    guests = await new_guests(node, 2)
    async with lines(node, guests) as (host, visitor):
        game_id = await sit_down([host], "relay", config=LATE)
        for cmd_no in (1, 2, 3):
            await relay(host, game_id, cmd_no)
        for reader in (None, guests[1]):
            assert (await read(node, f"/v1/games/{game_id}", reader))["head"] == -1
            page = await read(node, f"/v1/games/{game_id}/events", reader)
            assert (page["head"], page["events"]) == (-1, [])
        assert (await read(node, f"/v1/games/{game_id}", guests[0]))["head"] == 3
        page = await read(node, f"/v1/games/{game_id}/events", guests[0])
        assert (page["head"], len(page["events"])) == (3, 4)
        # A bound that is refused tells where the end is.
        assert (await visitor.call("game.watch", game_id=game_id, after=0))["code"] == "bad_index"
        assert (await visitor.call("game.watch", game_id=game_id, after=-1))["type"] == "ok"
        assert visitor.events == []
        assert (await visitor.call("game.snapshot", game_id=game_id))["code"] == "forbidden"


async def test_who_left_a_delayed_game_sees_it_as_late_as_anybody(node: Node) -> None:
    guests = await new_guests(node, 2)
    async with lines(node, guests) as (host, guest):
        game_id = await sit_down([host, guest], "relay", config=LATE)
        await relay(host, game_id, 1)
        await guest.ok("game.leave", game_id=game_id)
        await relay(host, game_id, 2)
        assert (await guest.call("game.snapshot", game_id=game_id))["code"] == "forbidden"
        page = await read(node, f"/v1/games/{game_id}/events", guests[1])
        assert (page["head"], page["events"]) == (-1, [])
        # Whoever takes the seat again plays, and so sees what is played.
        await guest.ok("game.resume", game_id=game_id, after=-1)
        assert len(guest.events) >= 4
