"""Channels end with their tokens, and silent connections end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import orjson
import pytest

from persistence.broker.memory import MemoryBroker
from persistence.database import Database
from persistence.realtime.store import ChannelRights, RealtimeStore
from persistence.rls import RlsDatabase
from protocol.errors import TokenExpired
from protocol.ids import PlayerId, SessionId, UserId
from server.core.clock import Clock
from server.core.events import SessionRevoked
from server.core.subscriptions import Subscriptions, TooManySubscribers
from server.core.tasks import Tasks
from server.domains.integrations.realtime.changes import ChangeFeed
from server.domains.integrations.realtime.channels import (
    EVENT_CHARS_MAX,
    SILENT_AFTER_S,
    ChannelLimits,
    RealtimeConnection,
    RealtimeHub,
)
from server.domains.integrations.realtime.presence import PresenceTopics
from server.gateway.session.identity import Identity
from server.gateway.supabase_keys import ApiClient, ApiKeys

LIFETIME_S: Final = 0.3


class Wire:
    """What a connection writes to: keeps the messages, and the reason of the close."""

    def __init__(self) -> None:
        self.closing = False
        self.last_seen = 0.0
        self.time = 0.0
        self.said: list[Any] = []
        self.closed: Any = None

    def now(self) -> float:
        return self.time

    def send(self, frame: bytes) -> None:
        self.said.append(orjson.loads(frame[frame.index(b"{") :]))

    def close(self, reason: Any) -> None:
        self.closing, self.closed = True, reason

    async def until(self, event: str) -> Any:
        async with asyncio.timeout(5):
            while not any(each["event"] == event for each in self.said):
                await asyncio.sleep(0.01)
        return next(each["payload"] for each in self.said if each["event"] == event)


async def authenticate(token: str) -> Identity:
    if token == "old":
        raise TokenExpired
    at = Clock().now().timestamp() + (60 if token == "new" else LIFETIME_S)
    return Identity(UserId("u"), PlayerId("p"), SessionId("s"), "Ann", at)


@pytest.fixture
async def hub() -> AsyncIterator[RealtimeHub]:
    nowhere = Database.unopened()
    store, subscriptions = (
        RealtimeStore(nowhere, RlsDatabase(nowhere)),
        Subscriptions(MemoryBroker()),
    )
    now = asyncio.get_running_loop().time
    async with Tasks() as tasks:
        yield RealtimeHub(
            keys=ApiKeys("a secret of the tests, long enough to sign"),
            authenticate=authenticate,
            store=store,
            feed=ChangeFeed(store, subscriptions_max=1, kept_s=60, now=now),
            subscriptions=subscriptions,
            presence=PresenceTopics(subscriptions, now=now),
            limits=ChannelLimits(10, 10, 100, is_private_only=False),
            tasks=tasks,
            clock=Clock(),
        )


def connect(hub: RealtimeHub) -> tuple[RealtimeConnection, Wire]:
    connection, wire = RealtimeConnection(hub, "1.0.0", ApiClient("anon")), Wire()
    connection.on_open(wire)  # type: ignore[arg-type]  # as much of a socket as it uses
    return connection, wire


def send(connection: RealtimeConnection, event: str, token: str) -> None:
    message = {"topic": "realtime:a", "event": event, "ref": "1"}
    connection.on_message(orjson.dumps({**message, "payload": {"access_token": token}}))


async def test_a_channel_ends_when_its_token_expires(hub: RealtimeHub) -> None:
    connection, wire = connect(hub)
    send(connection, "phx_join", "short")
    assert (await wire.until("phx_reply"))["status"] == "ok"
    assert (await wire.until("system"))["message"] == "Token has expired"
    await wire.until("phx_close")
    assert (hub.channels, connection.channels) == (0, {})


async def test_a_new_token_keeps_a_channel_and_an_old_one_ends_it(hub: RealtimeHub) -> None:
    connection, wire = connect(hub)
    send(connection, "phx_join", "short")
    await wire.until("phx_reply")
    send(connection, "access_token", "new")
    await asyncio.sleep(2 * LIFETIME_S)
    assert hub.channels == 1
    send(connection, "access_token", "old")
    assert (await wire.until("system"))["message"] == "InvalidJWTToken: Token has expired"
    await wire.until("phx_close")
    wire.said.clear()
    send(connection, "phx_join", "old")
    refused = await wire.until("phx_reply")
    assert refused["response"] == {"reason": "InvalidJWTToken: Token has expired"}


async def test_a_silent_connection_is_closed(hub: RealtimeHub) -> None:
    _, wire = connect(hub)
    await hub.close_silent()
    assert wire.closed is None
    wire.time = SILENT_AFTER_S + 1
    await hub.close_silent()
    assert wire.closing


async def test_a_connection_is_forgotten_whatever_fails_as_it_ends(
    hub: RealtimeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, wire = connect(hub)
    send(connection, "phx_join", "new")
    await wire.until("phx_reply")
    (channel,) = connection.channels.values()

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(hub.presence, "leave", fail)
    connection.on_close()
    assert (len(hub), hub.channels) == (0, 0)
    wire.said.clear()
    hub.broadcast(channel.key, "e", b"{}", sender="0" * 16, is_bytes=False)
    assert wire.said == []


def join(connection: RealtimeConnection, topic: str, **config: Any) -> None:
    message = {"topic": f"realtime:{topic}", "event": "phx_join", "ref": topic}
    connection.on_message(orjson.dumps({**message, "payload": {"config": config}}))


def tell(connection: RealtimeConnection, event: str, payload: Any) -> None:
    message = {"topic": "realtime:a", "event": event, "ref": "2", "payload": payload}
    connection.on_message(orjson.dumps(message))


async def test_a_message_that_fails_is_answered_and_the_next_is_handled(
    hub: RealtimeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        await asyncio.sleep(0)
        raise RuntimeError

    monkeypatch.setattr(hub, "find_rights", fail)
    connection, wire = connect(hub)
    join(connection, "a", private=True)
    join(connection, "b")
    assert (await wire.until("phx_reply"))["status"] == "error"
    await wire.until("presence_state")
    assert list(connection.channels) == ["realtime:b"]


async def test_events_that_are_too_long_for_other_nodes_are_refused(hub: RealtimeHub) -> None:
    connection, wire = connect(hub)
    join(connection, "a", broadcast={"ack": True, "self": True})
    await wire.until("presence_state")
    wire.said.clear()
    for length, status in ((EVENT_CHARS_MAX + 1, "error"), (EVENT_CHARS_MAX, "ok")):
        tell(connection, "broadcast", {"event": "\N{GRINNING FACE}" * length, "payload": {}})
        assert (await wire.until("phx_reply"))["status"] == status
        assert [each["event"] for each in wire.said[:-1]] == ["broadcast"] * (status == "ok")
        wire.said.clear()


async def test_a_channel_without_room_for_presence_says_so(
    hub: RealtimeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise TooManySubscribers

    monkeypatch.setattr(hub.presence, "join", refuse)
    connection, wire = connect(hub)
    join(connection, "a")
    assert (await wire.until("system"))["message"].startswith("ConnectionRateLimitReached")
    wire.said.clear()
    for _ in range(2):
        tell(connection, "presence", {"event": "track", "payload": {}})
        reply = (await wire.until("phx_reply"))["response"]
        assert reply["reason"].startswith("ConnectionRateLimitReached")
        wire.said.clear()
    assert hub.channels == 1


@pytest.mark.parametrize("is_renewed", [False, True])
async def test_a_session_that_ends_while_a_policy_is_asked_ends_the_channel(
    hub: RealtimeHub, monkeypatch: pytest.MonkeyPatch, *, is_renewed: bool
) -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async def ask(client: ApiClient, _: str) -> ChannelRights:
        if client.identity is not None:
            asked.set()
            await answer.wait()
        return ChannelRights(True, True, True, True)

    monkeypatch.setattr(hub, "find_rights", ask)
    connection, wire = connect(hub)
    if is_renewed:
        join(connection, "a", private=True)
        await wire.until("presence_state")
        wire.said.clear()
        send(connection, "access_token", "new")
    else:
        message = {"topic": "realtime:a", "event": "phx_join", "ref": "1"}
        payload = {"access_token": "new", "config": {"private": True}}
        connection.on_message(orjson.dumps({**message, "payload": payload}))
    await asked.wait()
    hub.listens()[SessionRevoked](SessionRevoked("s", "It was revoked."))
    answer.set()
    assert (await wire.until("system"))["message"] == "It was revoked."
    if not is_renewed:
        assert (await wire.until("phx_reply"))["status"] == "error"
    await asyncio.sleep(0)
    assert (hub.channels, hub._holders) == (0, {})
