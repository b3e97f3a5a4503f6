"""Events over HTTP: what is stored, what is a duplicate, and what is refused and why."""

import asyncio
import gzip
from datetime import timedelta
from uuid import uuid4

import orjson
import pytest

from protocol.telemetry import BATCH_EVENTS_MAX, FUTURE_S_MAX
from server.gateway.http.bodies import zstd
from tests.integration.telemetry.conftest import Json, Node, Serve

DAY = timedelta(days=1)


async def test_batch_is_stored_once_however_often_and_in_whatever_shape_it_is_sent(
    node: Node,
) -> None:
    ann, bob = await node.person(), await node.person()
    events = [node.step(session="s1") for _ in range(BATCH_EVENTS_MAX - 1)]
    events.append(node.step(timestamp=None, schema_version=1, session=None))
    body = orjson.dumps({"events": events})
    answer = await node.send(ann, *events)
    assert answer == {"accepted": BATCH_EVENTS_MAX, "duplicates": [], "refused": []}
    ids = sorted(event["event_id"] for event in events)
    for coding, packed in (
        ("gzip", gzip.compress(body)),
        ("zstd", zstd.compress(body)),
        ("identity", body),
    ):
        status, answer = await node.ask(
            ann, "POST", "/v1/telemetry", packed, Content_Encoding=coding
        )
        assert (status, answer["accepted"], sorted(answer["duplicates"])) == (200, 0, ids)
    assert (await node.send(bob, events[0]))["duplicates"] == [events[0]["event_id"]]
    assert await node.stored(ann) == ids
    [row] = await node.run("SELECT * FROM telemetry_events WHERE event_id = $1", ids[0])
    assert orjson.loads(row["payload"]) == events[0]["payload"]
    assert (row["event_type"], row["session"], row["schema_version"]) == ("quest_step", "s1", 1)


async def test_concurrent_copies_of_a_batch_are_stored_once(node: Node) -> None:
    ann = await node.person()
    events = [node.step() for _ in range(50)]
    copies = [events[place:] + events[:place] for place in range(0, 50, 5)]
    answer = await asyncio.gather(*(node.send(ann, *copy) for copy in copies))
    assert sum(each["accepted"] for each in answer) == 50
    assert len(await node.stored(ann)) == 50


async def test_same_id_twice_in_a_batch_is_a_duplicate(node: Node) -> None:
    ann, event = await node.person(), node.step()
    answer = await node.send(
        ann, event, {**event, "payload": {"quest": "q", "step": "s", "order": 2}}
    )
    assert answer == {"accepted": 1, "duplicates": [event["event_id"]], "refused": []}


async def test_each_event_is_refused_with_its_reason_and_the_others_are_stored(node: Node) -> None:
    ann, bob = await node.person(), await node.person()
    deep: Json = 1
    for _ in range(40):
        deep = [deep]
    step = node.step
    wrong: list[tuple[str, str, Json]] = [
        ("bad_event", "An event is a JSON object.", 7),
        (
            "bad_event",
            "payload: this field is required.",
            {"event_id": "x", "event_type": "chapter"},
        ),
        ("bad_event", "colour: unknown field; remove it.", step(colour="red")),
        ("bad_event_id", "event_id: send a UUIDv7", step(event_id=str(uuid4()))),
        ("bad_event_id", "event_id: send a UUIDv7", step(event_id=step()["event_id"].upper())),
        ("bad_event_id", "event_id: send a UUIDv7", step(event_id=None)),
        ("in_the_future", f"more than {FUTURE_S_MAX} s", step(ago=-timedelta(seconds=400))),
        ("in_the_future", f"more than {FUTURE_S_MAX} s", step(timestamp="2999-01-01T00:00:00Z")),
        ("too_old", "kept for 90 days", step(ago=91 * DAY)),
        ("too_old", "kept for 90 days", step(timestamp="2020-01-01T00:00:00Z")),
        ("wrong_account", "account_id: leave it out", step(account_id=bob.user_id)),
        ("bad_event", "event_type: send", step(event_type="Quest Step")),
        ("bad_event", "event_type: send", step(event_type=["quest_step"])),
        ("bad_event", "payload: send a JSON object", step(payload=[])),
        ("bad_event", "payload: remove the character U+0000", step(payload={"quest": "a\0"})),
        ("bad_event", "payload: remove the character U+0000", step(payload={"a\0": "a"})),
        ("bad_event", "nested more than 32 levels", step(payload={"quest": deep})),
        ("payload_too_large", "may have 8192", step(payload={"quest": "x" * 8192})),
        ("bad_event", "schema_version: send", step(schema_version="1")),
        ("bad_event", "schema_version: send", step(schema_version=True)),
        ("bad_event", "session: send", step(session="x" * 65)),
        ("bad_event", "session: send", step(session="\0")),
        ("bad_event", "timestamp: write it", step(timestamp="yesterday")),
        ("bad_event", "timestamp: write it", step(timestamp="2026-11-29T17:00:00")),
        ("bad_event", "timestamp: write it", step(timestamp="0001-01-01T00:00:00+23:00")),
    ]
    good = [
        step(),
        step(ago=89 * DAY),
        step(account_id=ann.user_id),
        step(ago=-timedelta(minutes=4)),
    ]
    answer = await node.send(ann, *(each for _, _, each in wrong), *good)
    assert answer["accepted"] == len(good)
    assert [each["index"] for each in answer["refused"]] == list(range(len(wrong)))
    for (code, problem, _), refused in zip(wrong, answer["refused"], strict=True):
        assert (refused["code"], refused["kept"]) == (code, False), refused
        assert problem in refused["problem"], refused
    assert await node.stored(ann) == sorted(each["event_id"] for each in good)
    assert await node.stored(bob) == []
    escaped = step(payload={"quest": "\\u0000", "step": "s", "order": 1})  # six characters, no NUL
    assert (await node.send(ann, escaped))["accepted"] == 1


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "bad_frame"),
        (b"[]", 422, "invalid_field"),
        (b"{}", 422, "invalid_field"),
        (b'{"events": []}', 422, "invalid_field"),
        (b'{"events": {}}', 422, "invalid_field"),
        (b'{"events": [1], "more": 1}', 422, "invalid_field"),
        (b'{"events": [' + b"1," * 500 + b"1]}", 422, "invalid_field"),
        (b'{"events": ["' + b"x" * (1 << 20) + b'"]}', 413, "too_large"),
        (gzip.compress(b" " * (8 << 20), mtime=0), 413, "too_large"),
    ],
)
async def test_batch_that_is_none_is_refused_whole(
    node: Node, body: bytes, status: int, code: str
) -> None:
    ann = await node.person()
    coding = "gzip" if body.startswith(b"\x1f\x8b") else "identity"
    answered, answer = await node.ask(ann, "POST", "/v1/telemetry", body, Content_Encoding=coding)
    assert (answered, answer["code"]) == (status, code)
    assert (await node.ask(None, "POST", "/v1/telemetry", b"{}"))[0] == 401


async def test_batches_are_limited_before_they_are_read(serve: Serve) -> None:
    async with serve(batches_per_minute=2) as node:
        ann, bob = await node.person(), await node.person()
        for _ in range(2):
            await node.send(ann, node.step())
        async with node.http.post(
            "/v1/telemetry",
            data=b"no json",
            headers={"Authorization": f"Bearer {ann.token}"},
        ) as reply:
            assert reply.status == 429
            assert 1 <= int(reply.headers["Retry-After"]) <= 30
        await node.send(bob, node.step())


async def test_day_without_a_partition_gets_one_when_its_first_event_comes(node: Node) -> None:
    ann = await node.person()
    await node.run("SELECT telemetry_drop_days('2999-01-01')")
    events = [node.step(ago=days * DAY) for days in (0, 1, 2, 40)]
    assert (await node.send(ann, *events, {"event_id": 1}))["accepted"] == 4
    assert len(await node.stored(ann)) == 4
