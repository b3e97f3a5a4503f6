"""Websockets, with picows as the parser: the only file that knows it and its internals.

picows reads: it parses the handshake and the frames, unmasks, and finds most violations.
Everything that is written goes through the socket's outbox, also what picows writes: it is
given, instead of the transport, an object that has its methods (`_Wire`). Why a connection
was closed:

    1002  RFC 6455 was violated        1011  the server failed; it was logged
    1003  a binary frame               4000  too slow a reader (`CloseReason.SLOW_CONSUMER`)
    1007  text that is no UTF-8        4104  too many pings or pongs (`CloseReason.FLOODING`)
    1009  too big, or in too many fragments
"""

import asyncio
import logging
from collections.abc import Callable
from socket import SO_RCVBUF, SO_SNDBUF, SOL_SOCKET
from typing import Any, Final, cast

from picows import (
    WSAutoPingStrategy,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # its stubs leave it out

from protocol.errors import CloseReason
from server.core.rate_limits import TokenBucket
from server.gateway.transport.framing import (
    CLOSE_BYTE,
    INVALID_TEXT,
    PROTOCOL_ERROR,
    TOO_BIG,
    UNSUPPORTED_DATA,
    Fragments,
    ProtocolViolation,
    close_echo,
    is_utf8,
    parse_close,
    pong_frame,
)
from server.gateway.transport.handlers import BinaryWebSocketHandler
from server.gateway.transport.handshake import HttpRefusal, NegotiatedHandshake, UpgradeRequest
from server.gateway.transport.limits import TransportLimits
from server.gateway.transport.socket import Accept, Socket, WebSocketHandler

__all__ = [
    "Accept",
    "BinaryWebSocketHandler",
    "HttpRefusal",
    "Socket",
    "UpgradeRequest",
    "WebSocketHandler",
    "serve",
]

log = logging.getLogger(__name__)

# What picows starts to read into; it grows to the largest frame that a client sends.
READ_BUFFER_BYTES: Final = 2048  # picows takes no less
_TEXT: Final = WSMsgType.TEXT  # looking a member up costs as much as a call, for each frame


def serve(
    socket: Socket, peer: WebSocketHandler, agreement: NegotiatedHandshake, early: bytes
) -> None:
    """Speak websocket on a socket's transport; `early` came along with the handshake."""
    transport, limits = socket.transport, socket.limits
    _bound_kernel_buffers(transport, limits.socket_buffer_bytes)
    protocol = _protocol(_Reader(socket, peer, agreement.subprotocol), limits)
    transport.set_protocol(protocol)
    protocol.connection_made(cast("asyncio.Transport", _Wire(socket)))
    _feed(protocol, _REQUEST % agreement.key.encode() + early, socket)


class _Reader(WSListener):
    """What picows reports of one connection, frame by frame.

    It also answers the handshake. picows keeps whatever does that for as long as the connection
    lives; a function of its own, with all that it refers to, would take 400 bytes.
    """

    __slots__ = ("_bucket", "_bytes_max", "_fragments", "_now", "_peer", "_socket", "_subprotocol")

    def __init__(self, socket: Socket, peer: WebSocketHandler, subprotocol: str | None) -> None:
        self._socket = socket
        self._peer = peer
        self._now = socket.now
        self._bytes_max = socket.limits.frame_bytes_max
        self._fragments: Fragments | None = None
        self._bucket: TokenBucket | None = None
        self._subprotocol = subprotocol

    def __call__(self, _: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        chosen = self._subprotocol
        headers = {"Sec-WebSocket-Protocol": chosen} if chosen else None
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(headers), self)

    def on_ws_connected(self, transport: WSTransport) -> None:
        # Nobody reads them again, and they would be a tenth of an idle connection's memory.
        request = transport.request
        del request.headers, request.method, request.path, request.version
        del transport.response.headers
        self._socket.open(self._peer)

    def on_ws_frame(self, _: object, frame: WSFrame) -> None:
        socket = self._socket
        socket.last_seen = self._now()
        kind = frame.msg_type
        if socket.closing:
            if kind is WSMsgType.CLOSE:
                socket.end()
            return
        try:
            if frame.rsv1 or frame.rsv2 or frame.rsv3:
                self._reserved()
            elif kind is _TEXT and frame.fin and self._fragments is None:
                self._text(frame.get_payload_as_bytes())
            else:
                _TAKE[kind](self, frame)
        except ProtocolViolation as violation:
            socket.fail(violation.code, violation.reason)
        except Exception:
            socket.close_after_crash()

    def on_ws_disconnected(self, _: object) -> None:
        self._socket.on_lost()

    def pause_writing(self) -> None:
        self._socket.pause_writing()

    def resume_writing(self) -> None:
        self._socket.resume_writing()

    def _text(self, message: bytes) -> None:
        # picows says so too, as soon as it has read the length; yet where the rest is read in the
        # same turn of the loop, it goes on and reports the frame.
        if len(message) > self._bytes_max:
            raise ProtocolViolation(TOO_BIG, f"A message can have at most {self._bytes_max} bytes.")
        if not (message.isascii() or is_utf8(message)):
            raise ProtocolViolation(INVALID_TEXT, "A text message must be UTF-8.")
        self._peer.on_message(message)

    def _binary(self, message: bytes) -> None:
        if not isinstance(self._peer, BinaryWebSocketHandler):
            raise ProtocolViolation(
                UNSUPPORTED_DATA, "Send JSON in text frames; binary frames are not supported."
            )
        self._peer.on_binary(message)

    def _reserved(self) -> None:
        raise ProtocolViolation(
            PROTOCOL_ERROR, "Reserved bits are set, but no extension was negotiated."
        )

    def _start(self, frame: WSFrame) -> None:
        if self._fragments is not None:
            raise ProtocolViolation(
                PROTOCOL_ERROR, "A new message started before the previous one ended."
            )
        limits = self._socket.limits
        self._fragments = Fragments(
            is_text=frame.msg_type is WSMsgType.TEXT,
            bytes_max=self._bytes_max,
            parts_max=limits.fragments_max,
        )
        self._continue(frame)

    def _continue(self, frame: WSFrame) -> None:
        fragments = self._fragments
        if fragments is None:
            raise ProtocolViolation(
                PROTOCOL_ERROR, "A continuation frame came without a message to continue."
            )
        fragments.add(frame.get_payload_as_bytes())
        if frame.fin:
            self._fragments = None
            deliver = self._text if fragments.is_text else self._binary
            deliver(fragments.joined())

    def _ping(self, frame: WSFrame) -> None:
        self._pong(frame)
        self._socket.send(pong_frame(frame.get_payload_as_bytes()))

    def _pong(self, _: WSFrame) -> None:
        limits = self._socket.limits
        if self._bucket is None:
            self._bucket = TokenBucket(limits.control_frames_per_s, limits.control_frames_burst)
        if not self._bucket.take(self._now()):
            raise ProtocolViolation(*CloseReason.FLOODING.value)

    def _close(self, frame: WSFrame) -> None:
        self._socket.send_last(close_echo(frame.get_payload_as_bytes()))
        self._socket.end()


_TAKE: Final[dict[WSMsgType, Callable[[_Reader, WSFrame], None]]] = {
    WSMsgType.TEXT: _Reader._start,
    WSMsgType.BINARY: _Reader._start,
    WSMsgType.CONTINUATION: _Reader._continue,
    WSMsgType.PING: _Reader._ping,
    WSMsgType.PONG: _Reader._pong,
    WSMsgType.CLOSE: _Reader._close,
}


class _Wire:
    """The transport as picows sees it: all that it writes goes through the outbox.

    It writes its answer to the handshake, and a close frame where it finds a violation.
    """

    __slots__ = ("_socket",)

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    def write(self, data: bytes | bytearray) -> None:
        if data[0] == CLOSE_BYTE:
            self._socket.fail_soon(*parse_close(bytes(data)))
        else:
            self._socket.put(bytes(data))

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def close(self) -> None:
        self._socket.end()

    def abort(self) -> None:
        self._socket.abort()

    @staticmethod  # picows keeps it for each connection: a function is there, a bound method made
    def get_write_buffer_size() -> int:
        return 1  # at 0 picows would write to the file descriptor, past everything

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self._socket.transport.get_extra_info(name, default)


class _Log(logging.LoggerAdapter[logging.Logger]):
    """Takes picows' log down to DEBUG: a client's faults are no errors of the server's.

    It is no `Logger`, since picows makes a child of those for every connection.
    """

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        quiet = level if "exc_info" in kwargs else min(level, logging.DEBUG)
        super().log(quiet, msg, *args, **kwargs)


_LOG: Final = _Log(log, {})

# The listener has checked the request; picows only needs the key to answer it.
_REQUEST: Final = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n"
)


def _protocol(reader: _Reader, limits: TransportLimits) -> asyncio.BufferedProtocol:
    protocol = WSProtocol(
        None,  # host, of a client
        None,  # path, of a client
        False,  # is a client
        reader,
        _LOG,
        True,  # disconnect on exceptions; the reader lets none out
        None,  # handshake timeout: the listener has waited already
        False,  # ping by itself: life is the session's business
        0,  # idle timeout of that
        0,  # reply timeout of that
        WSAutoPingStrategy.PING_WHEN_IDLE,
        False,  # pong by itself: pongs are counted, and wait in the outbox
        limits.frame_bytes_max,
        None,  # headers, of a client
        READ_BUFFER_BYTES,
    )
    return cast("asyncio.BufferedProtocol", protocol)


def _feed(protocol: asyncio.BufferedProtocol, data: bytes, socket: Socket) -> None:
    rest = memoryview(data)
    while rest and not socket.ending:
        buffer = memoryview(protocol.get_buffer(-1))
        size = min(len(buffer), len(rest))
        buffer[:size] = rest[:size]
        protocol.buffer_updated(size)
        rest = rest[size:]


def _bound_kernel_buffers(transport: asyncio.Transport, size: int) -> None:
    """Bound what one client makes the kernel hold, and what picows can read at once.

    Its read buffer doubles whenever one read fills it.
    """
    sock = transport.get_extra_info("socket")
    sock.setsockopt(SOL_SOCKET, SO_RCVBUF, size)
    sock.setsockopt(SOL_SOCKET, SO_SNDBUF, size)
