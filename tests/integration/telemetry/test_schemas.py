"""Schemas and dead letters: what fits nothing waits until its schema is corrected."""

import asyncio
from datetime import timedelta

import pytest

from persistence.telemetry.schemas import SCHEMAS_MAX
from tests.integration.telemetry.conftest import Json, Node, Serve

SCHEMAS = "/v1/admin/telemetry/schemas"
LETTERS = "/v1/admin/telemetry/dead-letters"
WAIT_S = 60
NUMBER = {"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}


async def test_dead_letters_come_to_life_when_their_schema_is_corrected(node: Node) -> None:
    admin, ann, bob = await node.person("admin"), await node.person(), await node.person()
    jump = {"event_type": "jump", "payload": {"n": "one"}}
    events = [node.step(**jump) for _ in range(3)]
    answer = await node.send(ann, *events, node.step(schema_version=7), node.step())
    assert [(each["code"], each["kept"]) for each in answer["refused"]] == [
        *[("unknown_type", True)] * 3,
        ("unknown_version", True),
    ]
    assert (await node.send(ann, *events))["accepted"] == 0  # sent again, they are kept once
    await node.send(bob, node.step(**jump))

    status, listed = await node.ask(admin, "PUT", f"{SCHEMAS}/jump/1", {"json_schema": NUMBER})
    assert status == 200
    [made] = [each for each in listed["schemas"] if each["event_type"] == "jump"]
    assert (made["version"], made["purpose"], made["kept_days"]) == (1, "analytics", 90)
    answer = await node.send(bob, node.step(**jump))
    assert answer["refused"][0]["code"] == "invalid_payload"
    assert answer["refused"][0]["problem"] == 'payload.n: "one" is not of type "number".'

    _, done = await node.ask(admin, "POST", f"{LETTERS}/replay", {"event_type": "jump"})
    assert done == {"accepted": 0, "duplicates": 0, "dropped": 0, "failed": 5, "last": None}
    _, first = await node.ask(admin, "GET", f"{LETTERS}?event_type=jump&limit=3")
    assert {each["code"] for each in first["letters"]} == {"invalid_payload"}
    _, rest = await node.ask(
        admin, "GET", f"{LETTERS}?event_type=jump&limit=3&cursor={first['next']}"
    )
    assert (len(first["letters"]), len(rest["letters"]), rest["next"]) == (3, 2, None)

    await node.ask(ann, "PUT", "/v1/me/consents", {"consents": {"sharing": False}})
    await node.send(bob, events[0] | {"payload": {"n": 1}})  # somebody else had this id first
    await node.ask(admin, "PUT", f"{SCHEMAS}/jump/1", {"json_schema": {}, "kept_days": 30})
    _, done = await node.ask(admin, "POST", f"{LETTERS}/replay", {"event_type": "jump"})
    assert done == {"accepted": 4, "duplicates": 1, "dropped": 0, "failed": 0, "last": None}
    anns = await node.stored(ann)
    assert len(anns) == 3
    assert set(anns) > {each["event_id"] for each in events[1:]}
    assert len(await node.stored(bob)) == 3
    _, left = await node.ask(admin, "GET", LETTERS)
    assert [each["code"] for each in left["letters"]] == ["unknown_version"]
    acts = await node.run("SELECT action FROM audit_log WHERE actor = $1", admin.user_id)
    assert {act["action"] for act in acts} == {
        "telemetry_schema",
        "telemetry_replay",
        "telemetry_read_letters",
    }


async def test_letter_that_is_too_old_by_now_is_dropped_on_replay(node: Node) -> None:
    admin, ann = await node.person("admin"), await node.person()
    await node.send(ann, node.step(event_type="jump", ago=timedelta(days=20)))
    await node.ask(admin, "PUT", f"{SCHEMAS}/jump/1", {"json_schema": {}, "kept_days": 10})
    _, done = await node.ask(admin, "POST", f"{LETTERS}/replay", {"event_type": "jump"})
    assert (done["dropped"], done["accepted"]) == (1, 0)


async def test_versions_of_a_schema_stand_beside_each_other(node: Node) -> None:
    admin, ann = await node.person("admin"), await node.person()
    text = {"type": "object", "properties": {"n": {"type": "string"}}}
    await node.ask(admin, "PUT", f"{SCHEMAS}/jump/1", {"json_schema": NUMBER})
    await node.ask(admin, "PUT", f"{SCHEMAS}/jump/2", {"json_schema": text})
    jump = {"event_type": "jump", "payload": {"n": 1}}
    answer = await node.send(
        ann, node.step(**jump, schema_version=1), node.step(**jump), node.step(schema_version=1)
    )
    assert [each["index"] for each in answer["refused"]] == [1]
    rows = await node.run("SELECT schema_version FROM telemetry_events WHERE event_type = 'jump'")
    assert [row["schema_version"] for row in rows] == [1]


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "objekt"}, "json_schema: it does not compile"),
        ({"properties": {"n": {"pattern": "("}}}, "json_schema: it does not compile"),
        ({"$ref": "https://example.org/schema.json"}, "json_schema: it does not compile"),
        ({"$ref": "file:///etc/passwd"}, "json_schema: it does not compile"),
        ({"$ref": "#/$defs/nothing"}, "json_schema: it does not compile"),
        ({"pattern": "(a{1000}){1000}"}, "json_schema: it does not compile"),
        ({"description": "x" * 70_000}, "json_schema: at most 65536 bytes"),
    ],
)
async def test_schema_that_does_not_compile_is_refused(
    node: Node, schema: Json, problem: str
) -> None:
    admin = await node.person("admin")
    status, answer = await node.ask(admin, "PUT", f"{SCHEMAS}/jump/1", {"json_schema": schema})
    assert (status, answer["code"], answer["field"]) == (422, "invalid_field", "json_schema")
    assert problem in answer["message"]
    assert len(await node.run("SELECT FROM telemetry_schemas WHERE event_type = 'jump'")) == 0


async def test_pattern_that_would_take_for_ever_elsewhere_is_matched_at_once(node: Node) -> None:
    admin, ann = await node.person("admin"), await node.person()
    schema = {"properties": {"s": {"type": "string", "pattern": "^(a+)+$"}}}
    await node.ask(admin, "PUT", f"{SCHEMAS}/evil/1", {"json_schema": schema})
    evil = {"event_type": "evil", "payload": {"s": "a" * 5000 + "!"}}
    answer = await node.send(ann, *(node.step(**evil) for _ in range(50)))
    assert [each["code"] for each in answer["refused"]] == ["invalid_payload"] * 50


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("Jump/1", {"json_schema": {}}),
        ("jump/0", {"json_schema": {}}),
        ("jump/x", {"json_schema": {}}),
        ("jump/99999999999", {"json_schema": {}}),
        ("jump/1", {"json_schema": []}),
        ("jump/1", {"json_schema": {}, "kept_days": 0}),
        ("jump/1", {"json_schema": {}, "purpose": "sharing"}),
        ("quest_step/2", {"json_schema": {}, "purpose": "personalization"}),
    ],
)
async def test_registration_that_is_none_is_refused(node: Node, path: str, body: Json) -> None:
    admin = await node.person("admin")
    status, answer = await node.ask(admin, "PUT", f"{SCHEMAS}/{path}", body)
    assert (status, answer["code"]) == (422, "invalid_field")


async def test_schemas_are_bounded_in_number(node: Node) -> None:
    admin = await node.person("admin")
    await node.run(
        "INSERT INTO telemetry_schemas (event_type, version, schema)"
        " SELECT 'session', n, '{}' FROM generate_series(2, $1) AS n",
        SCHEMAS_MAX - 3,
    )
    for path, expected in (("jump/1", 422), ("session/2", 200)):
        status, _ = await node.ask(admin, "PUT", f"{SCHEMAS}/{path}", {"json_schema": {}})
        assert status == expected


async def test_only_those_with_the_role_may_look_and_change(node: Node) -> None:
    moderator = await node.person("moderator")
    for who in (moderator, await node.person()):
        for method, path, body in (
            ("GET", SCHEMAS, None),
            ("PUT", f"{SCHEMAS}/jump/1", {"json_schema": {}}),
            ("GET", LETTERS, None),
            ("POST", f"{LETTERS}/replay", {"event_type": "jump"}),
        ):
            assert (await node.ask(who, method, path, body))[0] == 403


async def test_dead_letters_are_bounded_in_number(serve: Serve) -> None:
    async with serve(dead_letters_max=2) as node:
        ann = await node.person()
        await node.send(ann, node.step(payload={}), node.step(payload={}))
        answer = await node.send(ann, node.step(payload={}))
        assert (answer["refused"][0]["code"], answer["refused"][0]["kept"]) == (
            "invalid_payload",
            False,
        )
        assert len(await node.run("SELECT FROM telemetry_dead_letters")) == 2


async def test_other_nodes_learn_of_a_schema(serve: Serve) -> None:
    async with serve() as first, serve() as second:
        admin, ann = await first.person("admin"), await second.person()
        await first.ask(admin, "PUT", f"{SCHEMAS}/jump/1", {"json_schema": {}})
        async with asyncio.timeout(WAIT_S):
            while not (await second.send(ann, second.step(event_type="jump")))["accepted"]:
                await asyncio.sleep(1)
