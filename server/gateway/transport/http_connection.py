"""An HTTP connection: aiohttp's protocol with bounds on waiting, and a way out to a websocket.

aiohttp parses requests and writes answers, but waits for a client without bounds. So it gets,
instead of the transport, one that reports to an `HttpConnection` what happens, and that knows what
the client has to do next:

    HEAD      send the rest of a request's head     for `handshake_timeout_s`, then 408
    SERVING   send the request's body, if any       a part in each `body_timeout_s`, else 408
    IDLE      send the next request                 for `keepalive_timeout_s`, then it is closed
    LEFT      nothing: it is closing, or a websocket has it

In every state the client must read answers: a part in each `write_timeout_s`.

A proxy that reuses connections sends a websocket's handshake behind other requests. Where such
a request begins depends on the bodies before it, and two parsers that disagree about that are
a way to smuggle requests. So aiohttp's parser alone decides: it stops behind a handshake and
keeps what follows, and the connection is handed over with that when its turn has come.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from enum import Enum, auto
from functools import partial
from typing import Any, Final, Protocol, cast

from aiohttp import HttpVersion11, StreamReader, hdrs, web

from protocol.errors import RequestTimeout
from server.gateway.error_counts import Count, code_of_status
from server.gateway.http.endpoints import SAFE_HEADERS
from server.gateway.transport.handshake import (
    HttpRefusal,
    NegotiatedHandshake,
    UpgradeRequest,
    upgrade_request,
)
from server.gateway.transport.limits import TransportLimits
from server.gateway.transport.proxies import Proxies
from server.gateway.transport.socket import Socket, WebSocketHandler
from server.gateway.transport.websocket import serve as serve_websocket

HEAD_LATE: Final = HttpRefusal(408, "The request head did not arrive in time; send it again.")
ONLY_GET: Final = HttpRefusal(405, "Websockets are opened with GET.", {"Allow": "GET"})
OLD_HTTP: Final = HttpRefusal(400, "A websocket needs HTTP/1.1.")

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class ConnectionOwner(Protocol):
    """What a connection needs of the port that it came through."""

    limits: TransportLimits
    proxies: Proxies
    is_closed: bool
    count_refusal: Count

    @property
    def websockets(self) -> Mapping[str, object]:
        """The paths of websockets."""

    def receive(
        self, request: UpgradeRequest, *, through: str
    ) -> tuple[WebSocketHandler, NegotiatedHandshake] | HttpRefusal:
        """Find who takes a websocket, and on what terms."""

    def open(self, transport: asyncio.Transport, remote: str) -> Socket:
        """Make the socket of a websocket."""

    def leave(self, remote: str) -> None:
        """Count a connection out."""


def http_runner(app: web.Application) -> web.AppRunner:
    """Make the runner of an application whose connections are `HttpConnection`s.

    Bodies are never inflated by the parser: it does that on the event loop, and before any
    limit. What a handler leaves unread is not read by aiohttp either (lingering).
    """
    return web.AppRunner(
        app, access_log=None, handle_signals=False, auto_decompress=False, lingering_time=0
    )


def install_connections(server: web.Server) -> None:
    """Have every request of a server served by way of its `HttpConnection`."""
    handle = server.request_handler

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        connection = None if transport is None else transport.get_protocol()
        if isinstance(connection, HttpConnection):
            return await connection.serve(request, handle)
        return await handle(request)

    server.request_handler = serve


class _State(Enum):
    HEAD = auto()
    SERVING = auto()
    IDLE = auto()
    LEFT = auto()


class HttpConnection(asyncio.Protocol):
    """One connection of aiohttp's, counted and timed.

    `inner` is aiohttp's protocol; `remote` is who connected, a client or a proxy.
    """

    __slots__ = (
        "_body",
        "_body_bytes",
        "_inner",
        "_limits",
        "_loop",
        "_owner",
        "_remote",
        "_serving",
        "_stall",
        "_state",
        "_timer",
        "_transport",
        "_unsent",
        "_wire",
    )

    _transport: asyncio.Transport
    _wire: "_Wire"

    def __init__(self, inner: asyncio.Protocol, owner: ConnectionOwner, remote: str) -> None:
        self._inner = inner
        self._owner = owner
        self._limits = owner.limits
        self._loop = asyncio.get_running_loop()
        self._remote = remote
        self._state = _State.HEAD
        self._serving: asyncio.Task[Any] | None = None  # what the newest request is served by
        self._body: StreamReader | None = None  # of the newest request
        self._body_bytes = 0  # of it that had come when its timer was set
        self._unsent = 0  # what was unsent when `_stall` was set
        self._timer: asyncio.TimerHandle | None = None  # of the state
        self._stall: asyncio.TimerHandle | None = None  # of an answer that is not read

    def start(self, transport: asyncio.Transport, read: bytes) -> None:
        """Take a connection over with what was read of it: at least one request's head."""
        self._transport = transport
        self._wire = _Wire(transport, self)
        transport.set_protocol(self)
        self._inner.connection_made(self._wire)
        self._await(_State.HEAD, self._limits.handshake_timeout_s)
        self._inner.data_received(read)

    # ------------------------------------------------------------- the transport calls these

    def data_received(self, data: bytes) -> None:
        """Parse what came; while nothing is under way, it begins a request."""
        if self._state is _State.IDLE:
            self._await(_State.HEAD, self._limits.handshake_timeout_s)
        self._inner.data_received(data)

    def eof_received(self) -> None:
        """Close: the client will send no more."""
        self._inner.eof_received()
        self.close()

    def pause_writing(self) -> None:
        """Hold answers back, and watch that the client reads."""
        self._watch_writes()
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Write on."""
        if self._stall is not None:
            self._stall.cancel()
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection out."""
        self._leave()
        self._owner.leave(self._remote)
        self._inner.connection_lost(exc)

    # ------------------------------------------------------------------ aiohttp calls these

    @property
    def is_left(self) -> bool:
        """Whether the transport is no longer aiohttp's to use."""
        return self._state is _State.LEFT

    async def serve(self, request: web.BaseRequest, handle: Handle) -> web.StreamResponse:
        """Serve one request, and close the connection if its body is left unread."""
        self._begin(request.content)
        if request.path in self._owner.websockets:
            return await self._upgrade(request)
        try:
            response = await handle(request)
        except web.HTTPException as refusal:
            if not request.content.is_eof():
                refusal.force_close()
            raise
        if not request.content.is_eof():
            response.force_close()
        return response

    def close(self) -> None:
        """Close once all is sent, in bounded time.

        While a request is still coming in, its client might not see the answer: what arrives
        at a closed socket resets the connection. So this side alone is closed at first.
        """
        if self._state is _State.LEFT:
            return
        is_coming = self._state is _State.HEAD or not (self._body is None or self._body.is_eof())
        self._leave()
        self._loop.call_soon(self._inner.connection_lost, None)
        gone = partial(self._owner.leave, self._remote)
        ClosingConnection(
            self._transport, self._limits, gone, half=is_coming and not self._owner.is_closed
        )

    # ----------------------------------------------------------------------------- its states

    def _await(self, state: _State, timeout_s: float) -> None:
        self._stop_timer()
        self._state = state
        self._timer = self._loop.call_later(timeout_s, self._expire)

    def _expire(self) -> None:
        if self._state is _State.HEAD:
            self._owner.count_refusal(code_of_status(HEAD_LATE.status))
            self._transport.write(HEAD_LATE.to_bytes())
        self.close()

    def _begin(self, body: StreamReader) -> None:
        self._stop_timer()
        self._state = _State.SERVING
        self._body = body
        self._serving = asyncio.current_task()
        assert self._serving is not None
        self._serving.add_done_callback(self._end)  # aiohttp makes a task for each request
        if not body.is_eof():
            self._await_body(body)

    def _end(self, task: "asyncio.Task[Any]") -> None:
        """Await the next request: the answer is written, and no further request has begun."""
        if task is not self._serving or self._state is not _State.SERVING:
            return
        self._serving = None
        if self._body is None or self._body.is_eof():
            self._await(_State.IDLE, self._limits.keepalive_timeout_s)
        else:
            self.close()

    def _await_body(self, body: StreamReader) -> None:
        self._body_bytes = body.total_bytes
        self._wire.was_held = self._wire.is_held
        self._timer = self._loop.call_later(self._limits.body_timeout_s, self._check_body)

    def _check_body(self) -> None:
        """Fail a body that comes too slowly, unless it had to wait for us."""
        body, limits = self._body, self._limits
        if body is None or body.is_eof():
            return
        bytes_min = max(1, limits.body_bytes_per_s_min * limits.body_timeout_s)
        if self._wire.was_held or body.total_bytes - self._body_bytes >= bytes_min:
            self._await_body(body)
        else:
            body.set_exception(RequestTimeout())

    def _watch_writes(self) -> None:
        self._unsent = self._transport.get_write_buffer_size()
        self._wire.written_bytes = 0
        self._stall = self._loop.call_later(self._limits.write_timeout_s, self._check_writes)

    def _check_writes(self) -> None:
        """Drop a client that reads its answer too slowly."""
        unsent = self._transport.get_write_buffer_size()
        sent = self._unsent + self._wire.written_bytes - unsent
        if sent < _write_bytes_min(self._limits):
            self._transport.abort()
        else:
            self._watch_writes()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave(self) -> None:
        """Give up the connection; whoever calls this says what becomes of the transport."""
        self._state = _State.LEFT
        self._stop_timer()
        if self._stall is not None:
            self._stall.cancel()

    # ------------------------------------------------------------------------------ websockets

    async def _upgrade(self, request: web.BaseRequest) -> web.StreamResponse:
        """Hand the connection over to a websocket, or say why not.

        The answer to give is then written by the websocket, and what is returned here is not.
        """
        if request.method != hdrs.METH_GET:
            return self._refuse(ONLY_GET)
        if request.version != HttpVersion11:
            return self._refuse(OLD_HTTP)
        asked = upgrade_request(
            request.path,
            request.rel_url.raw_query_string,
            request.headers,
            self._remote,
            self._owner.proxies,
        )
        if isinstance(asked, HttpRefusal):
            return self._refuse(asked)
        # Earlier answers go out first: a websocket's bounds begin with an empty buffer.
        self._transport.set_write_buffer_limits(high=1, low=0)  # at 0, TLS waits for nothing
        await request.writer.drain()
        if self.is_left:
            raise ConnectionResetError
        verdict = self._owner.receive(asked, through=self._remote)
        if isinstance(verdict, HttpRefusal):
            return self._refuse(verdict)
        early = _Early()
        request.protocol.set_parser(cast("Any", early))  # is given what came behind the handshake
        self._leave()
        self._inner.connection_lost(None)
        self._transport.resume_reading()
        serve_websocket(self._owner.open(self._transport, asked.remote), *verdict, early.read)
        return web.Response(status=101)

    def _refuse(self, refusal: HttpRefusal) -> web.Response:
        """Refuse a websocket; the connection ends, since frames may have been sent already."""
        self._owner.count_refusal(code_of_status(refusal.status))
        headers = {**SAFE_HEADERS, **refusal.headers}
        response = web.Response(status=refusal.status, text=f"{refusal.body}\n", headers=headers)
        response.force_close()
        return response


class ClosingConnection(asyncio.Protocol):
    """A connection at its end: what is unsent goes out, what still comes is dropped.

    Both are bounded: a client must read as elsewhere, and once it has been sent everything, it
    has `close_timeout_s` to close its side. With `half` its side stays open that long, unless
    it sends more than `discarded_bytes_max`; TLS has no half.
    """

    __slots__ = ("_dropped", "_gone", "_limits", "_timer", "_transport", "_unsent")

    def __init__(
        self,
        transport: asyncio.Transport,
        limits: TransportLimits,
        gone: Callable[[], None],
        *,
        half: bool,
    ) -> None:
        self._transport = transport
        self._limits = limits
        self._gone = gone
        self._dropped = 0
        self._unsent = 0
        self._timer: asyncio.TimerHandle | None = None
        self._wait(limits.close_timeout_s)
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=1, low=0)  # to be notified when all is sent
        if unsent := transport.get_write_buffer_size():
            self._unsent = unsent
            self._wait(limits.write_timeout_s)
        if half and transport.can_write_eof():
            transport.resume_reading()
            _write_eof(transport)
        else:
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Drop what came; beyond the bound, read no more of it."""
        self._dropped += len(data)
        if self._dropped > self._limits.discarded_bytes_max:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """Do nothing: what is unsent is known."""

    def resume_writing(self) -> None:
        """Give the client, which has been sent everything, its time to close."""
        self._unsent = 0
        self._wait(self._limits.close_timeout_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say that the connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
        self._gone()

    def _wait(self, timeout_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(timeout_s, self._check)

    def _check(self) -> None:
        sent = self._unsent - (self._transport.get_write_buffer_size() if self._unsent else 0)
        if sent < _write_bytes_min(self._limits):
            self._transport.abort()
        else:
            self._unsent -= sent
            self._wait(self._limits.write_timeout_s)


class _Wire(asyncio.Transport):
    """The transport as aiohttp sees it.

    `written_bytes` counts from when the connection last set it to 0; `is_held` says that aiohttp
    does not want to read, and `was_held` that it did not at some time since it was last set.
    """

    def __init__(self, transport: asyncio.Transport, connection: HttpConnection) -> None:
        super().__init__()
        self._transport = transport
        self._connection = connection
        self.written_bytes = 0
        self.is_held = False
        self.was_held = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._connection.is_left:
            self.written_bytes += len(data)
            self._transport.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        self._connection.close()

    def abort(self) -> None:
        if not self._connection.is_left:
            self._transport.abort()

    def is_closing(self) -> bool:
        return self._connection.is_left or self._transport.is_closing()

    def pause_reading(self) -> None:
        self.is_held = self.was_held = True
        if not self._connection.is_left:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        self.is_held = False
        if not self._connection.is_left:
            self._transport.resume_reading()

    def get_write_buffer_size(self) -> int:
        return 0 if self._connection.is_left else self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._connection


class _Early:
    """Takes, in place of a parser of aiohttp's, what came behind a websocket's handshake."""

    def __init__(self) -> None:
        self.read = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.read += data
        return False, b""

    def feed_eof(self) -> None:
        """Do nothing: aiohttp has let go of the connection."""


def _write_bytes_min(limits: TransportLimits) -> float:
    return max(1, limits.write_bytes_per_s_min * limits.write_timeout_s)


def _write_eof(transport: asyncio.Transport) -> None:
    try:
        transport.write_eof()
    except OSError:  # the client was gone before
        transport.abort()
