"""Forwarding: what may be shared reaches a webhook and a Redis stream, and nothing else does."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator

import orjson
import pytest
from pydantic import SecretStr

from persistence.errors import StartRefused
from tests.fixtures.receiver import Receiver, listening
from tests.fixtures.redis import RedisServer
from tests.integration.telemetry.conftest import Json, Node, Person, Serve

WAIT_S = 20
SECRET = "whsec_" + b64encode(bytes(range(32))).decode()
STREAM = "game:telemetry"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening() as receiver:
        yield receiver


@pytest.fixture
def valkey() -> Iterator[RedisServer]:
    server = RedisServer(password="secret")
    server.start()
    yield server
    server.close()


async def _until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.02)


async def _allow(node: Node, who: Person, *, sharing: bool) -> None:
    body = {"consents": {"sharing": sharing}}
    assert (await node.ask(who, "PUT", "/v1/me/consents", body))[0] == 200


def _messages(receiver: Receiver) -> list[Json]:
    return [request.verified(SECRET) for request in receiver.received]


def _sent(receiver: Receiver, part: str = "events") -> list[Json]:
    return [each for message in _messages(receiver) for each in message["data"][part]]


async def _retry_now(node: Node) -> None:
    await node.run("UPDATE telemetry_targets SET next_attempt_at = now()")


async def test_webhook_gets_what_may_be_shared_signed_and_until_it_takes_it(
    serve: Serve, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYHALL_WEBHOOKS_PRIVATE", "true")
    receiver.statuses = [500, 503]
    async with serve(webhook_url=receiver.url, webhook_secret=SECRET) as node:
        ann, bob, eve = [await node.person() for _ in range(3)]
        await _allow(node, ann, sharing=True)
        await _allow(node, eve, sharing=True)
        events = [node.step(session="s1"), node.step()]
        await node.send(ann, *events, node.step(payload={}))
        await node.send(ann, *events)  # duplicates are not forwarded again
        await node.send(bob, node.step())  # has not agreed
        await node.send(eve, node.step(), Sec_GPC="1")
        async with asyncio.timeout(WAIT_S):
            while len(receiver.received) < 3:
                await _retry_now(node)
                await asyncio.sleep(0.02)
        await _until(lambda: len(receiver.received) >= 3)
        async with asyncio.timeout(WAIT_S):
            while await node.run("SELECT FROM telemetry_forwards"):
                await asyncio.sleep(0.02)
        messages = _messages(receiver)
        assert {message["type"] for message in messages} == {"telemetry.events"}
        withdrawn = [each for message in messages for each in message["data"]["withdrawn"]]
        assert {(each["account_id"], each["purpose"]) for each in withdrawn} == {
            (eve.user_id, "sharing")
        }
        sent = {each["event_id"]: each for each in _sent(receiver)}
        assert sorted(sent) == sorted(each["event_id"] for each in events)
        assert {each["account_id"] for each in sent.values()} == {ann.user_id}
        [first] = [each for each in sent.values() if each["session"] == "s1"]
        assert first["payload"] == events[0]["payload"]
        assert (first["event_type"], first["schema_version"]) == ("quest_step", 1)
        [target] = await node.run("SELECT * FROM telemetry_targets WHERE target = 'webhook'")
        assert (target["attempts"], target["last_error"]) == (0, None)


async def test_what_waits_is_purged_when_its_account_opts_out(
    serve: Serve, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYHALL_WEBHOOKS_PRIVATE", "true")
    receiver.statuses = [500]
    async with serve(webhook_url=receiver.url, webhook_secret=SECRET) as node:
        ann, bob, cleo, dan = [await node.person() for _ in range(4)]
        for who in (ann, bob, cleo, dan):
            await _allow(node, who, sharing=True)
        await node.run("UPDATE telemetry_targets SET next_attempt_at = now() + interval '1 hour'")
        for who in (ann, bob, cleo, dan):
            await node.send(who, node.step())
        [kept] = await node.stored(dan)
        await _allow(node, ann, sharing=False)
        body = {"consents": {"analytics": False}}
        await node.ask(bob, "PUT", "/v1/me/consents", body)
        _, me = await node.ask(cleo, "GET", "/v1/me")
        await node.ask(cleo, "DELETE", "/v1/me", {"confirm": me["username"]})
        receiver.received.clear()
        await _retry_now(node)
        await _until(lambda: len(receiver.received) >= 1)
        async with asyncio.timeout(WAIT_S):
            while await node.run("SELECT FROM telemetry_forwards"):
                await _retry_now(node)
                await asyncio.sleep(0.02)
        assert {each["event_id"] for each in _sent(receiver)} == {kept}
        assert {(each["account_id"], each["purpose"]) for each in _sent(receiver, "withdrawn")} == {
            (ann.user_id, "sharing"),
            (bob.user_id, "analytics"),
        }
        assert len(await node.stored(ann)) == 1  # it is no longer shared, and still counted


async def test_stream_gets_an_entry_for_each_event_also_after_redis_was_gone(
    serve: Serve, valkey: RedisServer
) -> None:
    config = {"redis_url": SecretStr(valkey.url)}
    async with serve(config, redis_stream=STREAM, redis_stream_max=1000) as node:
        ann = await node.person()
        await _allow(node, ann, sharing=True)
        first, second = node.step(), node.step()
        await node.send(ann, first)
        with valkey.client() as redis:
            await _until(lambda: redis.xlen(STREAM) == 1)
        valkey.kill()
        await node.send(ann, second)
        async with asyncio.timeout(WAIT_S):
            while not (
                await node.run(
                    "SELECT FROM telemetry_targets WHERE attempts > 0 AND target = 'redis'"
                )
            ):
                await asyncio.sleep(0.02)
        valkey.start()
        await _retry_now(node)
        with valkey.client() as redis:
            await _until(lambda: redis.exists(STREAM))
            [(_, entry)] = redis.xrange(STREAM)
            assert orjson.loads(entry[b"event"]) | {"timestamp": ""} == {
                "event_id": second["event_id"],
                "account_id": ann.user_id,
                "event_type": "quest_step",
                "schema_version": 1,
                "timestamp": "",
                "session": None,
                "payload": second["payload"],
            }
            await _allow(node, ann, sharing=False)
            await _until(lambda: redis.xlen(STREAM) == 2)
            (_, entry) = redis.xrange(STREAM)[-1]
            assert entry[b"type"] == b"telemetry.withdrawn"
            for _ in range(4):
                await _allow(node, ann, sharing=True)
                await node.send(ann, *(node.step() for _ in range(500)))
            await _until(lambda: redis.xlen(STREAM) > 500)
            async with asyncio.timeout(WAIT_S):
                while await node.run("SELECT FROM telemetry_forwards"):
                    await asyncio.sleep(0.02)
            assert redis.xlen(STREAM) <= 1100  # about as many as it may keep


async def test_node_that_died_while_forwarding_is_replaced(
    serve: Serve, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYHALL_WEBHOOKS_PRIVATE", "true")
    async with serve(webhook_url=receiver.url, webhook_secret=SECRET) as node:
        ann = await node.person()
        await _allow(node, ann, sharing=True)
        await node.run("UPDATE telemetry_targets SET lease_until = now() + interval '1 hour'")
        await node.send(ann, node.step())
        await asyncio.sleep(0)
        assert receiver.received == []
        await node.run("UPDATE telemetry_targets SET lease_until = now() - interval '1 s'")
        await _until(lambda: len(_sent(receiver)) == 1)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"webhook_url": "https://hooks.example/"}, "PLAYHALL_TELEMETRY_WEBHOOK_SECRET: write it"),
        ({"webhook_url": "http://hooks.example/", "webhook_secret": SECRET}, "https://"),
        ({"webhook_url": "https://h/", "webhook_secret": "whsec_AAAA"}, "24 to 64 bytes"),
        ({"redis_stream": "s"}, "needs PLAYHALL_REDIS_URL"),
        ({"opt_in": "selling"}, "PLAYHALL_TELEMETRY_OPT_IN"),
    ],
)
async def test_settings_that_cannot_be_used_stop_the_start(
    serve: Serve, settings: Json, problem: str
) -> None:
    with pytest.raises(StartRefused, match=problem):
        async with serve(**settings):
            pass
