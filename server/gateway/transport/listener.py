"""One port, two engines: a connection's first request decides who serves it at first.

    bytes -> _RequestSniffer -- GET of a websocket's path --> picows (`websocket.serve`)
                       -- anything else ------------> aiohttp (`HttpConnection`)
                                                         -- a websocket's handshake --> picows

Neither engine sees a connection before its first request's head is complete; it is then
given what was read so far. Every connection is counted until it is gone.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, cast

from aiohttp import web

from protocol.errors import CloseReason
from server.core.addresses import normalize_ip_address
from server.core.containment import contain_failures, log_failure
from server.gateway.error_counts import Count, code_of_status, ignore_error
from server.gateway.http.cors import normalise_origins
from server.gateway.transport.handshake import (
    NegotiatedHandshake,
    UpgradeRequest,
    negotiate,
    parse_method_and_target,
    parse_request,
)
from server.gateway.transport.http_connection import (
    HEAD_LATE,
    ClosingConnection,
    HttpConnection,
    install_connections,
)
from server.gateway.transport.http_parsing import connections
from server.gateway.transport.limits import AddressLimits, TransportLimits
from server.gateway.transport.proxies import Proxies
from server.gateway.transport.send_buffer import BufferFlusher
from server.gateway.transport.websocket import (
    Accept,
    HttpRefusal,
    Socket,
    WebSocketHandler,
    serve,
)

HEAD_END: Final = b"\r\n\r\n"
TLS_HANDSHAKE: Final = 22  # the first byte of a client that wants TLS (RFC 8446, section 5.1)
PLAIN: Final = HttpRefusal(400, "This port has no TLS; use an http:// or ws:// address.")
FULL: Final = HttpRefusal(
    503,
    "The server has reached its maximum number of connections; try again later.",
    {"Retry-After": "5"},
)
ADDRESS_FULL: Final = HttpRefusal(
    503,
    "Your network has the maximum number of connections; close some of them. "
    "The operator can raise PLAYHALL_CONNECTIONS_PER_ADDRESS_MAX.",
    {"Retry-After": "5"},
)
GOING: Final = HttpRefusal(503, "This server is stopping; try again.", {"Retry-After": "1"})
BROKEN: Final = HttpRefusal(500, "The server failed to handle this; the failure was logged.")


@dataclass(frozen=True, slots=True)
class WebSocketRoute:
    """A websocket's path: who gets it, and the subprotocol to answer with, if it is offered.

    Where `subprotocol` is None, offers are ignored; where `origins` is, the listener's hold.
    """

    accept: Accept
    subprotocol: str | None = None
    origins: frozenset[str] | None = None


class Listener:
    """All connections of one listening port; made inside the event loop that serves it.

    `http` serves the requests that are no websockets (see `http_runner`); closing its
    connections at the end is its owner's business. `count_refusal` is called with the codes of what
    is refused here and on connections. `origins` are the browser origins that may open
    websockets: none for those of the same host only, `*` for any. Connections of trusted
    `proxies` are not counted by address; the websockets of their clients are.
    """

    def __init__(
        self,
        *,
        http: web.Server,
        websockets: Mapping[str, WebSocketRoute],
        limits: TransportLimits | None = None,
        origins: frozenset[str] = frozenset(),
        proxies: Proxies | None = None,
        count_refusal: Count = ignore_error,
    ) -> None:
        install_connections(http)
        self.http = connections(http, count_refusal)
        self.count_refusal = count_refusal
        self.websockets = dict(websockets)
        self.limits = limits or TransportLimits()
        self.origins = normalise_origins(origins)
        self.proxies = proxies or Proxies()
        self.connections = 0
        self.turned_away = 0
        self._flusher = BufferFlusher(asyncio.get_running_loop(), self.limits)
        self._addresses = AddressLimits(self.limits.connections_per_address_max)
        self._entrances: set[_RequestSniffer] = set()
        self._sockets: set[Socket] = set()
        self._on_gone = self._gone  # bound once, not for each socket
        self._no_sockets = asyncio.Event()
        self._no_sockets.set()
        self.is_closed = False

    def protocol(self) -> asyncio.Protocol:
        """Make the protocol of a new connection: the factory for `loop.create_server`.

        With `ssl`, give `ssl_handshake_timeout` as well: TLS comes before this.
        """
        return _RequestSniffer(self)

    @property
    def websockets_open(self) -> int:
        """How many websockets there are, with those that are closing."""
        return len(self._sockets)

    @property
    def bytes_out(self) -> int:
        """How many bytes all websockets were given to write, ever."""
        return self._flusher.bytes_out

    async def close_all(self, reason: CloseReason) -> None:
        """Refuse newcomers, close all websockets, wait `close_timeout_s` for them at most."""
        self.is_closed = True
        for entrance in tuple(self._entrances):
            with contain_failures("dropping a connection"):
                entrance.abort()
        for socket in tuple(self._sockets):
            with contain_failures("closing a websocket"):
                socket.close(reason)
        await self._no_sockets.wait()

    # ------------------------------------------------------- connections call these

    def enter(self, entrance: "_RequestSniffer") -> HttpRefusal | None:
        """Count a connection in, or say why not."""
        if self.is_closed:
            return GOING
        if self.connections >= self.limits.connections_max:
            return FULL
        if not self._admits(entrance.remote):
            return ADDRESS_FULL
        self.connections += 1
        self._entrances.add(entrance)
        return None

    def leave(self, remote: str) -> None:
        """Count a connection out that had entered."""
        self.connections -= 1
        self._dismiss(remote)

    def pass_on(self, entrance: "_RequestSniffer") -> None:
        """Take note that a connection is past the entrance."""
        self._entrances.discard(entrance)

    def receive(
        self, request: UpgradeRequest, *, through: str
    ) -> tuple[WebSocketHandler, NegotiatedHandshake] | HttpRefusal:
        """Find who takes a websocket, and on what terms; counts a proxy's client in.

        `through` is who connected: the client, or the proxy that it came through.
        """
        route = self.websockets[request.path]
        origins = self.origins if route.origins is None else route.origins
        agreed = negotiate(request, subprotocol=route.subprotocol, origins=origins)
        if isinstance(agreed, HttpRefusal):
            return agreed
        if request.remote != through and not self._admits(request.remote):
            return ADDRESS_FULL
        peer = _accepted(route, request)
        if isinstance(peer, HttpRefusal):
            if request.remote != through:
                self._dismiss(request.remote)
            return peer
        return peer, agreed

    def open(self, transport: asyncio.Transport, remote: str) -> Socket:
        """Make the socket of a websocket."""
        socket = Socket(transport, self._flusher, remote=remote, on_gone=self._on_gone)
        self._sockets.add(socket)
        self._no_sockets.clear()
        return socket

    def _admits(self, address: str) -> bool:
        return self.proxies.trusts(address) or self._addresses.count_in(address)

    def _dismiss(self, address: str) -> None:
        if not self.proxies.trusts(address):
            self._addresses.count_out(address)

    def _gone(self, socket: Socket) -> None:
        self._sockets.discard(socket)
        if not self._sockets:
            self._no_sockets.set()
        self.leave(socket.remote)


def _accepted(route: WebSocketRoute, request: UpgradeRequest) -> WebSocketHandler | HttpRefusal:
    try:
        return route.accept(request)
    except Exception:
        log_failure(f"accepting a websocket for {request.path}")
        return BROKEN


class _Nobody(asyncio.Protocol):
    """Takes a sniffer's place for a moment, before a parser that is asked for its buffers.

    Else uvloop's transport would keep the sniffer's `data_received`, and so the sniffer. A static
    method is not bound, so nothing is made for each connection.
    """

    @staticmethod
    def data_received(data: bytes) -> None:
        pass


_NOBODY: Final = _Nobody()


class _RequestSniffer(asyncio.Protocol):
    """A connection until its first request is known.

    One that may not enter is refused when it asks, since clients do not listen before.
    """

    __slots__ = ("_head", "_listener", "_refusal", "_timer", "_transport", "remote")

    _transport: asyncio.Transport
    _timer: asyncio.TimerHandle
    _refusal: HttpRefusal | None

    def __init__(self, listener: Listener) -> None:
        self.remote = ""
        self._listener = listener
        self._head = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.remote = normalize_ip_address(str((transport.get_extra_info("peername") or ("",))[0]))
        self._refusal = self._listener.enter(self)
        if self._refusal is None:
            self._within(self._listener.limits.handshake_timeout_s, self._late)
        else:
            self._turn_away()

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            self._refuse(self._refusal)
            return
        if not self._head and data[0] == TLS_HANDSHAKE:
            self._refuse(PLAIN)
            return
        start = max(0, len(self._head) - len(HEAD_END) + 1)
        self._head += data
        end = self._head.find(HEAD_END, start)
        bytes_max = self._listener.limits.head_bytes_max
        if (end if end >= 0 else len(self._head)) > bytes_max:
            self._refuse(HttpRefusal(431, f"A request head can have at most {bytes_max} bytes."))
        elif end >= 0:
            self._route(bytes(self._head[:end]))

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone()

    def abort(self) -> None:
        """Drop the connection."""
        self._transport.abort()

    def _within(self, timeout_s: float, otherwise: Callable[[], None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(timeout_s, otherwise)

    def _late(self) -> None:
        """End a connection whose first head did not come in time; silence is not answered."""
        if self._head:
            self._refuse(HEAD_LATE)
        else:
            self.abort()

    def _turn_away(self) -> None:
        limits = self._listener.limits
        self._within(limits.close_timeout_s, self.abort)
        self._listener.turned_away += 1
        if self._listener.turned_away > limits.turned_away_max:
            self.abort()

    def _route(self, head: bytes) -> None:
        method, target = parse_method_and_target(head)
        if method != "GET" or target.partition("?")[0] not in self._listener.websockets:
            self._hand_over_to_web()
            return
        request = parse_request(head, self.remote, self._listener.proxies)
        if isinstance(request, HttpRefusal):
            self._refuse(request)
            return
        verdict = self._listener.receive(request, through=self.remote)
        if isinstance(verdict, HttpRefusal):
            self._refuse(verdict)
        else:
            self.remote = request.remote
            self._hand_over_to_peer(*verdict, early_at=len(head) + len(HEAD_END))

    def _hand_over_to_web(self) -> None:
        read = self._pass_on()
        HttpConnection(self._listener.http(), self._listener, self.remote).start(
            self._transport, read
        )

    def _hand_over_to_peer(
        self, peer: WebSocketHandler, agreement: NegotiatedHandshake, *, early_at: int
    ) -> None:
        early = self._pass_on()[early_at:]
        self._transport.set_protocol(_NOBODY)
        serve(self._listener.open(self._transport, self.remote), peer, agreement, early)

    def _pass_on(self) -> bytes:
        """Give up the connection, and give what was read of it."""
        self._timer.cancel()
        self._listener.pass_on(self)
        read = bytes(self._head)
        # A transport of uvloop keeps the last protocol that took data by `data_received`.
        del self._head, self._timer
        return read

    def _refuse(self, refusal: HttpRefusal) -> None:
        """Answer, and close so that the client can read it: what it still sends is dropped."""
        self._listener.count_refusal(code_of_status(refusal.status))
        self._timer.cancel()
        self._head.clear()
        self._transport.write(refusal.to_bytes())
        ClosingConnection(self._transport, self._listener.limits, self._gone, half=True)

    def _gone(self) -> None:
        self._timer.cancel()
        if self._refusal is None:
            self._listener.pass_on(self)
            self._listener.leave(self.remote)
        else:
            self._listener.turned_away -= 1
