"""Every command of the catalogue gets exactly one reply, whatever its fields hold.

The catalogue is the server's own description, so a command that is added is asked as well.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import aiohttp
import pytest

from protocol.ids import new_id
from tests.faults.client_line import Closed, Guest, Json, Line, lines, new_guests, sit_down
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases

pytestmark = pytest.mark.xdist_group("every command")

# Around the ends of what columns, JSON readers and parsers hold.
BOUNDARIES = (0, -1, 2**31 - 1, 2**31, -(2**31) - 1, 2**53, 2**63, -(2**63) - 1, 2**64, 10**400)
TEXTS = ("", "\0", "a\0b", "\ud800", "\udfff\ud800", "x" * 5000)
OTHERS: tuple[object, ...] = (None, True, 0.5, 1e308, [], {}, [[]], {"\0": "\0"})
VALUES = (*BOUNDARIES, *TEXTS, *OTHERS)

# Fewer than the frames that are no commands which close a line.
FRAMES_A_LINE = 15
# What ends a line or a game comes last; what is said before a hello is said on its own line.
LAST = ("game.leave", "session.hello", "session.logout")

SAMPLES: Json = {
    "cmd_no": 1,
    "code": "222222",
    "text": "hello",
    "move": {"n": 1},
    "ruleset": "relay",
    "token": "token",
    "bot": "random",
    "peer_id": "peer",
    "winner_id": None,
    "scores": {},
    "target_type": "bot",
    "score": 0.5,
    "slot_index": 0,
}


@pytest.fixture(scope="module")
def node(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    dsn = databases.create(template=TEMPLATE)
    folder = tmp_path_factory.mktemp("node")
    with Node(folder, databases.serving_dsn(dsn)) as node:
        yield node
    databases.drop(dsn)


async def described(node: Node) -> dict[str, Json]:
    """Read which commands there are, each with the schema of its frame."""
    async with aiohttp.ClientSession() as web, web.get(f"{node.url}/asyncapi.json") as answer:
        document = await answer.json()
    asked = [name for name, one in document["operations"].items() if one["action"] == "receive"]
    schemas: dict[str, Json] = document["components"]["schemas"]
    return {name: schemas[name] for name in sorted(asked, key=lambda name: (name in LAST, name))}


def frames_of(name: str, schema: Json, ids: dict[str, str]) -> Iterator[Json]:
    """Give a command in its sane form, and with each field in turn at its bounds and beyond."""
    named = {**SAMPLES, **ids, "type": name}
    required = {field: named.get(field, new_id()) for field in schema["required"] if field != "id"}
    yield required
    for field in schema["properties"]:
        if field == "type":
            continue
        for value in VALUES:
            yield {**required, field: value}
            if isinstance(required.get(field), dict):
                yield {**required, field: {"type": value, "x": [value]}}


async def ask(line: Line, frames: list[Json]) -> None:
    """Send all frames at once; each must have had one reply by the time a last ping has its own.

    What is no JSON is answered without its id, since nobody could read that.
    """
    numbered = [{"id": number, **frame} for number, frame in enumerate(frames, start=1000)]
    for frame in numbered:
        await line.say_text(json.dumps(frame))
    replies = [await _reply(line) for _ in numbered]
    await line.say_text(json.dumps({"id": 77, "type": "session.ping"}))
    assert (await _reply(line))["re"] == 77, "a command was answered twice"
    got = Counter(reply["re"] for reply in replies)
    nameless = got.pop(None, 0)
    sent = Counter(frame["id"] for frame in numbered if _is_id(frame["id"]))
    assert got <= sent
    assert nameless == len(numbered) - got.total(), (sent - got, numbered)


async def _reply(line: Line) -> Json:
    while "re" not in (frame := await line.read()):
        pass
    line.replies.clear()
    return frame


def _is_id(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**53


async def games_of(node: Node, guest: Guest) -> list[dict[str, str]]:
    """Give ids to ask about: of a running game, of one that is over, and of nothing."""
    async with lines(node, [guest]) as [line]:
        running = await sit_down([line], "relay")
        over = await sit_down([line], "relay")
        await line.ok("game.act", game_id=over, cmd_no=1, move={"type": "end"})
        lobby = (await line.ok("lobby.create", ruleset="relay"))["lobby"]["lobby_id"]
    return [
        {"game_id": running, "lobby_id": lobby},
        {"game_id": over, "lobby_id": lobby},
        {"game_id": new_id(), "lobby_id": new_id()},
    ]


async def test_every_command_is_answered_once_whatever_its_fields_hold(node: Node) -> None:
    [guest, other] = await new_guests(node, 2)
    places = await games_of(node, guest)
    for name, schema in (await described(node)).items():
        frames = [frame for ids in places for frame in frames_of(name, schema, ids)]
        if name == "session.logout":  # a sane one ends the session: see below
            frames = [frame for frame in frames if "id" in frame and not _is_id(frame["id"])]
        for start in range(0, len(frames), FRAMES_A_LINE):
            some = frames[start : start + FRAMES_A_LINE]
            async with Line(node.websocket_url) as line:
                await ask((await line.greet(guest)), some)
    async with lines(node, [other]) as [line]:
        await line.ok("session.logout")


async def test_every_hello_is_answered_once_whatever_its_fields_hold(node: Node) -> None:
    for frame in frames_of("session.hello", (await described(node))["session.hello"], {}):
        async with Line(node.websocket_url) as line:
            await line.say_text(json.dumps({"id": 1, **frame}))
            assert (await _reply(line))["type"] == "error"
            with suppress(Closed):  # a token that is not good ends the line
                await line.say_text(json.dumps({"id": 77, "type": "session.ping"}))
                assert (await _reply(line))["re"] == 77


@pytest.mark.parametrize("cmd_no", [2**31 - 1, 2**31, 2**53 - 1])
async def test_move_in_a_finished_game_is_answered_whatever_its_number(
    node: Node, cmd_no: int
) -> None:
    [guest] = await new_guests(node, 1)
    async with lines(node, [guest]) as [line]:
        game_id = await sit_down([line], "relay")
        await line.ok("game.act", game_id=game_id, cmd_no=1, move={"type": "end"})
        reply = await line.call("game.act", game_id=game_id, cmd_no=cmd_no, move={})
        assert reply["code"] == ("game_over" if cmd_no < 2**31 else "invalid_field")


# ------------------------------------------------------------------ the same over HTTP


async def test_no_query_and_no_address_is_answered_with_an_error_of_the_server(node: Node) -> None:
    """What is read from an address or a query is bounded, too: 500 is never the answer."""
    [guest] = await new_guests(node, 1)
    headers = {"Authorization": f"Bearer {guest.token}"}
    failed = []
    async with aiohttp.ClientSession(headers=headers) as web:
        async with web.get(f"{node.url}/openapi.json") as answer:
            document = await answer.json()
        for path, methods in document["paths"].items():
            if "get" not in methods:
                continue
            for url, query in _requests(path, methods["get"]):
                async with web.get(node.url + url, params=query) as answer:
                    if answer.status == 500:
                        failed.append((url, query))
    assert failed == []


def _requests(path: str, operation: Json) -> Iterator[tuple[str, dict[str, str]]]:
    parameters = operation.get("parameters", ())
    names = [one["name"] for one in parameters if one["in"] == "path"]
    sane = {name: new_id() for name in names}
    values = [str(value) for value in BOUNDARIES if abs(value) < 10**100]
    values += ["\0", "x" * 300, "9999-12-31", "99999-01-01", "zzzz"]
    for one in parameters:
        for value in values:
            if one["in"] == "path":
                yield path.format(**(sane | {one["name"]: value.replace("\0", "%00")})), {}
            else:
                yield path.format(**sane), {one["name"]: value}
