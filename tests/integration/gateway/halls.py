"""A front door on a port of its own, and peers to put behind it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from server.gateway.http.endpoints import Endpoint, HttpRequest, RawResponse, build_http
from server.gateway.transport.framing import BINARY, message_frame, text_frame
from server.gateway.transport.http_connection import http_runner
from server.gateway.transport.limits import TransportLimits
from server.gateway.transport.listener import Listener, WebSocketRoute
from server.gateway.transport.proxies import Proxies, trust_proxies
from server.gateway.transport.websocket import Socket, UpgradeRequest, WebSocketHandler
from tests.fixtures.http import nobody

# For tests whose clients do in time what they must, however busy the machine is.
PATIENT = TransportLimits(handshake_timeout_s=60.0, close_timeout_s=60.0)
# For tests that wait until a client's time is over; others would fail on a busy machine.
HASTY = TransportLimits(handshake_timeout_s=0.3, close_timeout_s=0.3)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, section 1.3


class Echo:
    """A peer that says everything again, and remembers what happened to it."""

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.gone = asyncio.Event()

    def on_open(self, socket: Socket) -> None:
        self.socket = socket
        self.calls.append("open")

    def on_message(self, message: bytes) -> None:
        self.calls.append(message)
        self.socket.send(text_frame(message))

    def on_close(self) -> None:
        self.calls.append("close")
        self.gone.set()


class BinaryEcho(Echo):
    """An echo that takes binary messages as well."""

    def on_binary(self, message: bytes) -> None:
        self.socket.send(message_frame(BINARY, message))


@dataclass
class Hall:
    """A running front door: where it is, and who came."""

    door: Listener
    port: int
    peers: list[WebSocketHandler] = field(default_factory=list)
    requests: list[UpgradeRequest] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    async def emptied(self) -> None:
        """Wait until every connection is gone."""
        async with asyncio.timeout(5):
            while self.door.connections:  # aiohttp tells nobody when it is done
                await asyncio.sleep(0.005)


@asynccontextmanager
async def hall(
    peer: Callable[[], WebSocketHandler] = Echo,
    *,
    limits: TransportLimits = PATIENT,
    origins: frozenset[str] = frozenset(),
    tls: ssl.SSLContext | None = None,
    proxies: Proxies | None = None,
) -> AsyncIterator[Hall]:
    """Open a front door with one websocket at /ws, and /hello, /count, /large over HTTP."""

    def accept(request: UpgradeRequest) -> WebSocketHandler:
        running.requests.append(request)
        running.peers.append(peer())
        return running.peers[-1]

    proxies = proxies or Proxies()
    runner = http_runner(_app(proxies))
    await runner.setup()
    assert runner.server is not None
    route = WebSocketRoute(accept, subprotocol="playhall.v1")
    door = Listener(
        http=runner.server,
        websockets={"/ws": route},
        limits=limits,
        origins=origins,
        proxies=proxies,
    )
    loop = asyncio.get_running_loop()
    server = await loop.create_server(door.protocol, "127.0.0.1", 0, ssl=tls, backlog=4096)
    running = Hall(door, server.sockets[0].getsockname()[1])
    try:
        yield running
    finally:
        server.close()
        await runner.cleanup()
        for socket in tuple(door._sockets):
            socket.abort()


def _app(proxies: Proxies) -> web.Application:
    async def answered(_: HttpRequest) -> RawResponse:
        return RawResponse(b"answer", "text/plain")

    async def large(request: web.Request) -> web.Response:
        return web.Response(body=bytes(int(request.query["bytes"])))

    async def hello(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    async def count(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async def whence(request: web.Request) -> web.Response:
        return web.Response(text=request.remote)

    app = build_http([Endpoint("POST", "/answer", "Answer.", answered, auth="none")], nobody)
    trust_proxies(app, proxies)
    app.router.add_get("/whence", whence)
    app.router.add_get("/large", large)
    app.router.add_get("/hello", hello)
    app.router.add_post("/count", count)
    return app
