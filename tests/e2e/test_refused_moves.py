"""Why a move was refused is for the mover alone while the game runs: it tells about a hand."""

from collections.abc import Iterator

import aiohttp
import pytest

from tests.faults.client_line import Guest, Json, Line, lines, new_guests, sit_down
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.fixtures.shell import playhall

pytestmark = pytest.mark.xdist_group("refused moves")

SENTENCE = "It is the other player's turn."


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    dsn = databases.create(template=TEMPLATE)
    yield databases.serving_dsn(dsn)
    databases.drop(dsn)


@pytest.fixture(scope="module")
def node(dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with Node(tmp_path_factory.mktemp("node"), dsn) as node:
        yield node


async def events(node: Node, game_id: str, guest: Guest | None = None) -> list[Json]:
    headers = {} if guest is None else {"Authorization": f"Bearer {guest.token}"}
    url = f"{node.url}/v1/games/{game_id}/events"
    async with aiohttp.ClientSession(headers=headers) as web, web.get(url) as answer:
        listed: list[Json] = (await answer.json())["events"]
        return listed


def refused(events: list[Json]) -> list[Json]:
    return [event["payload"] for event in events if event["event"] == "invalid_action"]


async def drop(line: Line, game_id: str, cmd_no: int, column: int) -> Json:
    move = {"type": "drop", "column": column}
    return await line.call("game.act", game_id=game_id, cmd_no=cmd_no, move=move)


async def test_others_see_that_a_move_was_refused_and_no_more_until_the_game_is_over(
    node: Node, dsn: str
) -> None:
    guests = await new_guests(node, 4)
    async with lines(node, guests) as (first, mover, spectator, late):
        game_id = await sit_down([first, mover], "four_in_a_row")
        for line in (first, mover):
            await line.ok("game.resume", game_id=game_id)
        await spectator.ok("game.watch", game_id=game_id)
        await late.ok("game.watch", game_id=game_id, delay_s=0.2)
        reply = await drop(mover, game_id, 1, 3)
        assert (reply["code"], reply["message"]) == ("not_your_turn", SENTENCE)
        await drop(first, game_id, 1, 3)

        public = {"seat": 1, "player_id": guests[1].player_id, "_v": 1}
        whole = {**public, "code": "not_your_turn", "message": SENTENCE, "_cmd": [1, 1]}
        for line in (first, spectator, late):
            await line.reach(2)
            assert refused(line.events) == [public]
            assert not any(SENTENCE in frame for frame in line.frames)
        assert refused(mover.events) == [whole]
        await first.ok("game.resume", game_id=game_id)
        assert refused(first.events) == [public, public]
        await mover.ok("game.resume", game_id=game_id)
        assert refused(mover.events) == [whole, whole]
        for reader, payload in ((None, public), (guests[0], public), (guests[1], whole)):
            assert refused(await events(node, game_id, reader)) == [payload]
    for seat in ("0", None):
        assert SENTENCE not in replayed(dsn, game_id, seat=seat)
    assert SENTENCE in replayed(dsn, game_id, seat="1")
    async with lines(node, guests[:2]) as (first, mover):
        await mover.ok("game.leave", game_id=game_id)

        await first.ok("game.resume", game_id=game_id)
        assert first.events[-1]["event"] == "game_completed"
        assert refused(first.events)[-1] == whole
        assert refused(await events(node, game_id)) == [whole]


def replayed(dsn: str, game_id: str, *, seat: str | None) -> str:
    """Show the table around the refused move, as `playhall replay` does."""
    looking = [] if seat is None else ["--seat", seat]
    settings = {"PLAYHALL_DATABASE_URL": dsn, "COLUMNS": "400"}
    done = playhall("replay", game_id, "--at", "1", *looking, environment=settings)
    assert done.status == 0, done.said
    assert "invalid_action" in done.out
    return done.out
