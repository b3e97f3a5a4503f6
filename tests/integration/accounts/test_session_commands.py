"""`session.*` on a real websocket, through the front door."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect

from protocol.envelope import type_of
from protocol.errors import BadToken
from server.core.containment import FAILURES
from server.core.events import (
    LocalEventBus,
    PlayerConnected,
    PlayerDisconnected,
    SessionRevoked,
)
from server.core.tasks import Tasks
from server.domains.people.accounts.commands import SessionCommands, limits_in_force
from server.domains.people.accounts.revocation import RevokedConnections
from server.domains.people.accounts.service import Accounts
from server.gateway.session.sessions import CommandRate, Sessions
from tests.integration.accounts.conftest import LIFETIMES, Room
from tests.integration.gateway.halls import hall

LIMITS = limits_in_force(commands_per_s=50.0, outbox_bytes_max=1 << 20)

Dial = Callable[[], AbstractAsyncContextManager[ClientConnection]]


@pytest.fixture
async def dial(room: Room) -> AsyncIterator[Dial]:
    async with Tasks() as tasks:
        events = LocalEventBus()
        sessions = Sessions(clock=room.clock, tasks=tasks, rate=CommandRate(), events=events)
        events.add_listeners(RevokedConnections(sessions).listens())
        room.accounts = Accounts(
            store=room.store,
            keys=room.keys,
            clock=room.clock,
            lifetimes=LIFETIMES,
            revoked=lambda session_id: events.publish(SessionRevoked(session_id, "Ended.")),
        )
        commands = SessionCommands(
            accounts=lambda: room.accounts, clock=room.clock, node="n1", limits=LIMITS
        )
        sessions.routes = {type_of(name): route for name, route in commands.routes().items()}
        async with hall(sessions.create_session) as running:

            @asynccontextmanager
            async def open_socket() -> AsyncIterator[ClientConnection]:
                async with connect(running.url, subprotocols=["playhall.v1"]) as socket:  # type: ignore[list-item]  # a NewType of str
                    yield socket

            yield open_socket


async def _ask(socket: ClientConnection, **command: object) -> Any:
    await socket.send(orjson.dumps({"id": 1, **command}).decode())
    return orjson.loads(await socket.recv())


async def _hello(socket: ClientConnection, token: str) -> Any:
    return await _ask(socket, type="session.hello", token=token)


async def _close_code(socket: ClientConnection) -> int:
    await socket.wait_closed()
    assert socket.close_code is not None
    return socket.close_code


async def test_hello_is_answered_with_a_welcome(room: Room, dial: Dial) -> None:
    tokens = await room.accounts.create_guest("Ann")
    async with dial() as socket:
        welcome = await _hello(socket, tokens.access_token)
    server_time = welcome.pop("server_time")
    assert server_time.endswith("Z")
    assert welcome == {
        "re": 1,
        "type": "session.welcome",
        "session_id": welcome["session_id"],
        "player_id": tokens.player_id,
        "user_id": tokens.user_id,
        "display_name": "Ann",
        "heartbeat_ms": 15_000,
        "node": "n1",
        "limits": {"frame_bytes_max": 65_536, "commands_per_s": 50.0, "outbox_bytes_max": 1 << 20},
    }


async def test_bad_token_is_refused_and_the_socket_closed(dial: Dial) -> None:
    async with dial() as socket:
        refusal = await _hello(socket, "nonsense")
        assert (refusal["type"], refusal["code"]) == ("error", "bad_token")
        assert await _close_code(socket) == 4100


async def test_expired_token_can_be_followed_by_a_fresh_one(room: Room, dial: Dial) -> None:
    room.clock.move(seconds=-LIFETIMES.access_s - 1)
    old = await room.accounts.create_guest(None)
    room.clock.move(seconds=LIFETIMES.access_s + 1)
    async with dial() as socket:
        assert (await _hello(socket, old.access_token))["code"] == "token_expired"
        new = await room.accounts.refresh(old.refresh_token)
        assert (await _hello(socket, new.access_token))["type"] == "session.welcome"


async def test_revoked_session_cannot_say_hello(room: Room, dial: Dial) -> None:
    tokens = await room.accounts.create_guest(None)
    await room.accounts.end_session(
        (await room.accounts.authenticate(tokens.access_token)).session_id
    )
    async with dial() as socket:
        assert (await _hello(socket, tokens.access_token))["code"] == "bad_token"


async def test_ping_is_answered_with_the_time(room: Room, dial: Dial) -> None:
    tokens = await room.accounts.create_guest(None)
    async with dial() as socket:
        await _hello(socket, tokens.access_token)
        pong = await _ask(socket, type="session.ping")
    assert (pong["re"], pong["type"], pong["server_time"][-1]) == (1, "ok", "Z")


async def test_refresh_replaces_the_token(room: Room, dial: Dial) -> None:
    first = await room.accounts.create_guest("Ann")
    async with dial() as socket:
        await _hello(socket, first.access_token)
        second = await room.accounts.refresh(first.refresh_token)
        reply = await _ask(socket, type="session.refresh", token=second.access_token)
    assert reply == {"re": 1, "type": "ok"}


async def test_connection_ends_with_the_session_that_it_was_refreshed_from(
    room: Room, dial: Dial
) -> None:
    first = await room.accounts.create_guest(None)
    who = await room.accounts.authenticate(first.access_token)
    second = await room.accounts.open_session(who.user_id, method="email")
    async with dial() as socket:
        await _hello(socket, first.access_token)
        await _ask(socket, type="session.refresh", token=second.access_token)
        await room.accounts.end_session(who.session_id)
        assert (await _ask(socket, type="session.ping"))["type"] == "ok"
        again = await room.accounts.authenticate(second.access_token)
        await room.accounts.end_session(again.session_id)
        assert await _close_code(socket) == 4103


async def test_refresh_with_another_users_token_is_refused(room: Room, dial: Dial) -> None:
    mine, other = await room.accounts.create_guest(None), await room.accounts.create_guest(None)
    async with dial() as socket:
        await _hello(socket, mine.access_token)
        reply = await _ask(socket, type="session.refresh", token=other.access_token)
        assert (reply["type"], reply["code"]) == ("error", "forbidden")
        assert (await _ask(socket, type="session.ping"))["type"] == "ok"


async def test_logout_is_answered_before_the_socket_closes(room: Room, dial: Dial) -> None:
    tokens = await room.accounts.create_guest(None)
    async with dial() as socket:
        await _hello(socket, tokens.access_token)
        assert await _ask(socket, type="session.logout") == {"re": 1, "type": "ok"}
        closing = orjson.loads(await socket.recv())
        assert (closing["type"], closing["reason"]) == ("session.closing", "logged_out")
        assert await _close_code(socket) == 4103


async def test_reused_refresh_token_closes_the_sessions_socket(room: Room, dial: Dial) -> None:
    tokens = await room.accounts.create_guest(None)
    async with dial() as socket:
        await _hello(socket, tokens.access_token)
        await room.accounts.refresh(tokens.refresh_token)
        room.clock.move(seconds=31)
        with pytest.raises(BadToken):
            await room.accounts.refresh(tokens.refresh_token)
        assert await _close_code(socket) == 4103


async def test_listener_that_raises_keeps_no_other_from_hearing_who_comes_and_goes(
    room: Room,
) -> None:
    heard: list[str] = []
    gone = asyncio.Event()

    def raising(_: object) -> None:
        raise RuntimeError("a listener's bug")

    def came(event: PlayerConnected) -> None:
        heard.append(event.player_id)

    def left(event: PlayerDisconnected) -> None:
        heard.append(event.player_id)
        gone.set()

    async with Tasks() as tasks:
        events = LocalEventBus()
        sessions = Sessions(clock=room.clock, tasks=tasks, rate=CommandRate(), events=events)
        commands = SessionCommands(
            accounts=lambda: room.accounts, clock=room.clock, node="n1", limits=LIMITS
        )
        sessions.routes = {type_of(name): route for name, route in commands.routes().items()}
        events.add_listeners({PlayerConnected: raising, PlayerDisconnected: raising})
        events.add_listeners({PlayerConnected: came, PlayerDisconnected: left})
        before = FAILURES.total
        async with hall(sessions.create_session) as running:
            tokens = await room.accounts.create_guest("Ann")
            async with connect(running.url, subprotocols=["playhall.v1"]) as socket:  # type: ignore[list-item]  # a NewType of str
                assert (await _hello(socket, tokens.access_token))["type"] == "session.welcome"
                (session,) = sessions
                session.follow("odd", lambda: raising(None))
            async with asyncio.timeout(10):
                await gone.wait()
        assert heard == [tokens.player_id, tokens.player_id]
        assert len(sessions) == 0
        assert FAILURES.total == before + 3
