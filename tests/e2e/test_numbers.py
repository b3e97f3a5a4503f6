"""Numbers on the wire: a whole float is an integer wherever an integer is wanted.

Which fields are integers, the documents say (`/openapi.json`, `/asyncapi.json`): so every
address and every command is tried, and those that are added later as well.
"""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import aiohttp
import pytest

from protocol.asyncapi import asyncapi_document
from tests.faults.client_line import (
    Guest,
    Json,
    Line,
    lines,
    moves_of,
    new_guests,
    served,
    sit_down,
)
from tests.fixtures.http import address_of, bearer, operations_of
from tests.fixtures.node import Node
from tests.fixtures.postgres import Databases

pytestmark = pytest.mark.xdist_group("numbers")

NO_INTEGERS = (2.5, 1e308, -1e308, float(2**53), "2", True)


@pytest.fixture(scope="module")
def node(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with served(databases, tmp_path_factory.mktemp("node")) as node:
        yield node


@pytest.fixture
async def guests(node: Node) -> list[Guest]:
    return await new_guests(node, 2)


@pytest.fixture
async def pair(node: Node, guests: list[Guest]) -> AsyncIterator[list[Line]]:
    async with lines(node, guests) as pair:
        yield pair


@pytest.fixture
async def web(node: Node, guests: list[Guest]) -> AsyncIterator[aiohttp.ClientSession]:
    # Who may ask at every address: only then is what was sent looked at.
    node.grant(guests[0].session["user_id"], "admin")
    async with aiohttp.ClientSession(node.url, headers=bearer(guests[0].token)) as web:
        yield web


# ------------------------------------------------------------------ what the documents say


class Field(NamedTuple):
    """An integer field of a body or a command."""

    name: str
    schema: Json


def _integers_in(schema: Json) -> list[Field]:
    """List the integer fields; of `integer or null`, the integer."""
    return [
        Field(name, each)
        for name, described in schema.get("properties", {}).items()
        for each in described.get("anyOf", [described])
        if each.get("type") == "integer"
    ]


def _resolved(document: Json, schema: Json) -> Json:
    if "$ref" in schema:
        return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _least(field: Field) -> int:
    return int(field.schema.get("minimum", 0))


async def _outcome(answer: aiohttp.ClientResponse) -> tuple[int, str | None, str | None]:
    body = await answer.json()
    return answer.status, body.get("code"), body.get("field")


# ------------------------------------------------------------------ whole floats


async def test_every_integer_of_every_body_may_be_written_as_a_float(
    web: aiohttp.ClientSession,
) -> None:
    asked = 0
    document, operations = await operations_of(web)
    for method, path, operation in operations:
        if "requestBody" not in operation:
            continue
        content = operation["requestBody"]["content"]
        if "application/json" not in content:  # bytes, such as those of a package
            continue
        if "schema" not in content["application/json"]:  # another's JSON, such as Stripe's
            continue
        schema = content["application/json"]["schema"]
        for field in _integers_in(_resolved(document, schema)):
            address = address_of(path)
            least = _least(field)
            outcomes = []
            for value in (least, float(least)):
                async with web.request(method, address, json={field.name: value}) as answer:
                    outcomes.append(await _outcome(answer))
            assert outcomes[0] == outcomes[1], (method, path, field.name)
            assert outcomes[0][2] != field.name, (method, path, field.name, outcomes)
            for value in NO_INTEGERS:
                async with web.request(method, address, json={field.name: value}) as answer:
                    body = await answer.json()
                assert (answer.status, body["code"]) == (422, "invalid_field")
            asked += 1
    assert asked > 3


def _commands() -> Iterator[tuple[str, Field]]:
    document = asyncapi_document(version="0")
    for message in document["components"]["messages"].values():  # type: ignore[index,union-attr,call-overload]  # JSON
        payload = _resolved(document, message["payload"])  # type: ignore[index,arg-type,call-overload]  # JSON
        properties: Any = payload.get("properties", {})
        if "id" in properties and "const" in properties.get("type", {}):
            for field in _integers_in(payload):
                yield properties["type"]["const"], field


COMMANDS = sorted(_commands())


def test_commands_with_integers_are_found() -> None:
    assert {"game.act", "lobby.create", "epoch.claim"} <= {name for name, _ in COMMANDS}


@pytest.mark.parametrize(
    ("command", "field"), COMMANDS, ids=[f"{name} {field.name}" for name, field in COMMANDS]
)
async def test_every_integer_of_every_command_may_be_written_as_a_float(
    pair: list[Line], command: str, field: Field
) -> None:
    [line, _] = pair
    if field.name == "id":
        await line.say_text(json.dumps({"id": 7.0, "type": command}))
        reply = await line.reply(7)
        assert reply.get("field") != "id"
        return
    least = _least(field)
    outcomes = []
    for value in (least, float(least)):
        reply = await line.call(command, **{field.name: value})
        outcomes.append((reply["type"], reply.get("code"), reply.get("field")))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][2] != field.name
    for value in NO_INTEGERS:
        refused = await line.call(command, **{field.name: value})
        assert refused["code"] == "invalid_field", value


@pytest.mark.parametrize("number", ["1e400", "-1e400", "NaN", "Infinity"])
async def test_number_that_no_reader_holds_is_a_bad_frame(pair: list[Line], number: str) -> None:
    [line, _] = pair
    await line.say_text(f'{{"id":1,"type":"lobby.list","limit":{number}}}')
    assert (await line.reply(None))["code"] == "bad_frame"


@pytest.mark.parametrize("number", ["2.5", "1e308", "9007199254740992.0", "-1.0", "true"])
async def test_id_that_is_no_integer_is_refused(pair: list[Line], number: str) -> None:
    [line, _] = pair
    await line.say_text(f'{{"id":{number},"type":"session.ping"}}')
    refused = await line.reply(None)
    assert (refused["code"], refused["field"]) == ("invalid_field", "id")


async def test_lobby_is_opened_configured_and_reported_in_floats(pair: list[Line]) -> None:
    host, member = pair
    made = await host.ok("lobby.create", ruleset="el_dorado", seats=3.0, config={"rounds": 3.0})
    assert made["lobby"]["seats"] == 3
    assert made["lobby"]["config"]["rounds"] == 3
    assert type(made["lobby"]["config"]["rounds"]) is int
    lobby_id = made["lobby"]["lobby_id"]
    changed = await host.ok("lobby.configure", lobby_id=lobby_id, config={"rounds": 2.0}, seats=4.0)
    assert (changed["lobby"]["seats"], changed["lobby"]["config"]["rounds"]) == (4, 2)
    for rounds in (2.5, 1e308, 11.0):
        refused = await host.call("lobby.configure", lobby_id=lobby_id, config={"rounds": rounds})
        assert (refused["code"], refused["field"]) == ("invalid_field", "config.rounds")

    free = {"map": 3.0, "list": [1.0, 2.5]}
    opened = (await host.ok("lobby.create", mode="peer", ruleset="duel", seats=2.0, config=free))[
        "lobby"
    ]
    assert json.dumps(opened["config"]) == json.dumps(free)  # what it means is not ours
    await member.ok("lobby.join", lobby_id=opened["lobby_id"])
    await member.ok("lobby.ready", lobby_id=opened["lobby_id"])
    await host.ok("lobby.register_peer", lobby_id=opened["lobby_id"], peer_id="ada")
    begun = (await host.ok("lobby.start", lobby_id=opened["lobby_id"]))["lobby"]
    await host.ok(
        "lobby.report",
        lobby_id=opened["lobby_id"],
        match_id=begun["match_id"],
        winner_id=None,
        scores={host.welcome["player_id"]: 7.0, member.welcome["player_id"]: 7},
    )


async def test_moves_in_floats_are_moves_and_use_their_number(pair: list[Line]) -> None:
    first, second = pair
    game_id = await sit_down(pair, "four_in_a_row")
    for line in pair:
        await line.ok("game.resume", game_id=game_id, after=-1.0)
    drop = {"type": "drop", "column": 3.0}
    done = await first.ok("game.act", game_id=game_id, cmd_no=1.0, move=drop)
    assert await first.ok("game.act", game_id=game_id, cmd_no=1, move=drop) == {
        **done,
        "re": done["re"] + 1,
    }
    await second.reach(done["event_index"])
    dropped = second.events[-1]
    assert (dropped["event"], dropped["payload"]["column"]) == ("disc_dropped", 3)
    assert type(dropped["payload"]["column"]) is int
    for number, column in enumerate((2.5, 1e308, 7.0), 1):
        move = {"type": "drop", "column": column}
        refused = await second.call("game.act", game_id=game_id, cmd_no=number, move=move)
        assert refused["code"] == "unknown_move"


async def test_bids_in_floats_are_bids(pair: list[Line]) -> None:
    first, _ = pair
    game_id = await sit_down(pair, "el_dorado", config={"rounds": 2})
    for line in pair:
        bid = {"type": "bid", "bid": 1.0}
        await line.ok("game.act", game_id=game_id, cmd_no=1, move=bid)
    await first.ok("game.resume", game_id=game_id)
    bids = [event["payload"]["bid"] for event in first.events if event["event"] == "player_bid"]
    assert bids == [1, 1]
    assert "invalid_action" not in {event["event"] for event in first.events}


async def test_relay_keeps_floats_as_they_were_and_takes_whole_scores(pair: list[Line]) -> None:
    host, _ = pair
    game_id = await sit_down(pair, "relay")
    move = {"x": 3.0, "y": [1.0, 2, {"z": -4.0}], "n": 3}
    await host.ok("game.act", game_id=game_id, cmd_no=1, move=move)
    end = {"type": "end", "scores": {host.welcome["player_id"]: 7.0}}
    await host.ok("game.act", game_id=game_id, cmd_no=2, move=end)
    await host.ok("game.resume", game_id=game_id)
    [data] = moves_of(host.events)
    assert json.dumps(data, sort_keys=True) == json.dumps(move, sort_keys=True)
    [ended] = [event for event in host.events if event["event"] == "relay_ended"]
    assert ended["payload"]["scores"] == {host.welcome["player_id"]: 7}
    assert type(ended["payload"]["scores"][host.welcome["player_id"]]) is int


async def test_free_json_of_an_account_keeps_its_floats(web: aiohttp.ClientSession) -> None:
    kept = {"volume": 1.0, "deep": [2.0, 2]}
    async with web.patch("/v1/me", json={"preferences": kept}) as answer:
        assert answer.status == 200
    async with web.get("/v1/me") as answer:
        preferences = (await answer.json())["preferences"]
    assert preferences == kept
