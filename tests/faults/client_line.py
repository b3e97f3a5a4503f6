"""Plain websocket clients that keep their own records, and tables for them to sit at.

They are built on the `websockets` library alone, so that nothing of Playhall's own can hide
a fault. A line reads when it is asked for something; whatever passes by is recorded.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import aiohttp
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases

Json = dict[str, Any]

# Nothing is measured with it: what takes longer than this does not happen at all.
PATIENCE_S = 60


class Guest(NamedTuple):
    """An account without a password."""

    player_id: str
    token: str
    session: Json


async def new_guests(node: Node, count: int) -> list[Guest]:
    """Sign guests in."""
    async with aiohttp.ClientSession(node.url) as web:
        return [await _new_guest(web) for _ in range(count)]


async def _new_guest(web: aiohttp.ClientSession) -> Guest:
    async with web.post("/v1/auth/guest", json={}) as answer:
        session: Json = await answer.json()
        assert answer.status == 200, session
    return Guest(session["player_id"], session["access_token"], session)


class Closed(Exception):
    """The line is closed: `code` and `reason` of the server's close frame, 1006 without one."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} {reason}")
        self.code = code
        self.reason = reason


class Line:
    """One websocket. `frames` has every text as it came, `events` the game events in it."""

    def __init__(
        self, url: str, *, port: int | None = None, receive_bytes: int | None = None
    ) -> None:
        """`port` leads there through something else; `receive_bytes` is all the kernel takes."""
        self._url = url
        self._port = port
        self._receive_bytes = receive_bytes
        self._next_id = 0
        self.frames: list[str] = []
        self.events: list[Json] = []
        self.updates: list[Json] = []
        self.replies: dict[int | None, Json] = {}
        self.welcome: Json = {}

    async def __aenter__(self) -> Self:
        try:
            self.socket: ClientConnection = await connect(
                self._url,
                sock=await self._connected(),
                subprotocols=[Subprotocol("playhall.v1")],
                compression=None,
                ping_interval=None,
                open_timeout=PATIENCE_S,
                close_timeout=1,
                max_queue=None if self._receive_bytes is None else 1,
            )
        except (InvalidHandshake, OSError) as error:
            raise Closed(1006, str(error)) from None
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.socket.close()

    async def _connected(self) -> socket.socket:
        sock = socket.socket()
        if self._receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_bytes)
        sock.setblocking(False)
        server = urlsplit(self._url)
        where = server.hostname, server.port if self._port is None else self._port
        await asyncio.get_running_loop().sock_connect(sock, where)
        return sock

    def cut(self) -> None:
        """Break the connection off, as a bad network would."""
        self.socket.transport.abort()

    # ------------------------------------------------------------------ asking

    async def greet(self, guest: Guest) -> Self:
        """Say hello."""
        self.welcome = await self.call("session.hello", token=guest.token)
        assert self.welcome["type"] == "session.welcome", self.welcome
        return self

    async def say(self, kind: str, **fields: object) -> int:
        """Send a command and give its id; nothing is awaited but the socket."""
        self._next_id += 1
        await self.say_text(json.dumps({"id": self._next_id, "type": kind, **fields}))
        return self._next_id

    async def say_text(self, text: str) -> None:
        """Send a text frame as it is."""
        try:
            await self.socket.send(text)
        except ConnectionClosed as closed:
            raise _closed(closed) from None

    async def call(self, kind: str, **fields: object) -> Json:
        """Send a command and give its reply, whatever it is."""
        return await self.reply(await self.say(kind, **fields))

    async def reply(self, command_id: int | None) -> Json:
        """Read until a command's reply is there; a reply is given once."""
        while command_id not in self.replies:
            await self.read()
        return self.replies.pop(command_id)

    async def ok(self, kind: str, **fields: object) -> Json:
        """Send a command that must succeed."""
        reply = await self.call(kind, **fields)
        assert reply["type"] == "ok", (kind, fields, reply)
        return reply

    # ------------------------------------------------------------------ reading

    async def read(self) -> Json:
        """Read one frame and record it."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                text = await self.socket.recv()
        except ConnectionClosed as closed:
            raise _closed(closed) from None
        assert isinstance(text, str)
        frame: Json = json.loads(text)
        self.frames.append(text)
        if "re" in frame:
            assert frame["re"] not in self.replies, f"two replies to {frame['re']}"
            self.replies[frame["re"]] = frame
        elif frame["type"] == "game.event":
            self.events.append(frame)
        else:
            self.updates.append(frame)
        return frame

    async def event(self, kind: str) -> Json:
        """Read until an event of this kind is there, from now on."""
        while True:
            frame = await self.read()
            if frame["type"] == "game.event" and frame["event"] == kind:
                return frame

    async def reach(self, index: int) -> None:
        """Read until the event with this index is there."""
        while not self.events or self.events[-1]["event_index"] < index:
            await self.read()

    async def end(self) -> Closed:
        """Read until the server closes the line."""
        while True:
            try:
                await self.read()
            except Closed as closed:
                return closed

    @property
    def indexes(self) -> list[int]:
        """The indexes of the events, in the order in which they came."""
        return [event["event_index"] for event in self.events]


def _closed(error: ConnectionClosed) -> Closed:
    return Closed(error.rcvd.code, error.rcvd.reason) if error.rcvd else Closed(1006, "")


@contextmanager
def served(databases: Databases, folder: Path, **settings: object) -> Iterator[Node]:
    """Give a node on a database of its own, for the tests of one file."""
    dsn = databases.create(template=TEMPLATE)
    with Node(folder, databases.serving_dsn(dsn), **settings) as node:
        yield node
    databases.drop(dsn)


@asynccontextmanager
async def lines(node: Node, guests: Sequence[Guest]) -> AsyncIterator[list[Line]]:
    """Open and greet one line for each guest."""
    async with AsyncExitStack() as stack:
        yield [
            await (await stack.enter_async_context(Line(node.websocket_url))).greet(guest)
            for guest in guests
        ]


async def sit_down(table: Sequence[Line], ruleset: str, **lobby: object) -> str:
    """Gather everybody in a lobby of the first one's, start its game, and give its id."""
    host, *others = table
    made = {"ruleset": ruleset, "seats": max(len(table), lobby.pop("seats", 1)), **lobby}  # type: ignore[call-overload]  # seats is an int
    opened = (await host.ok("lobby.create", **made))["lobby"]
    where = {"code": opened["join_code"], "password": lobby.get("password")}
    for line in others:
        await line.ok("lobby.join", **where)
        await line.ok("lobby.ready", lobby_id=opened["lobby_id"])
    started = await host.ok("lobby.start", lobby_id=opened["lobby_id"])
    return str(started["lobby"]["game_id"])


def moves_of(events: Sequence[Json]) -> list[Json]:
    """Give what was relayed, in order."""
    return [event["payload"]["data"] for event in events if event["event"] == "relayed"]


async def until(look: Callable[[], Awaitable[object]], wanted: object = True) -> None:
    """Look until it is as wanted."""
    async with asyncio.timeout(PATIENCE_S):
        while await look() != wanted:
            await asyncio.sleep(0.01)


async def connections(node: Node) -> int:
    """Ask a node how many websockets it has."""
    async with aiohttp.ClientSession(node.url) as web, web.get("/v1/status") as answer:
        count: int = (await answer.json())["connections"]
        return count
