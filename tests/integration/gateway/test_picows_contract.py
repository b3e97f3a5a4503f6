"""What `websocket.py` leans on inside picows: a new version has to show that it still holds."""

import asyncio
import socket
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
from picows import WSAutoPingStrategy, WSFrame, WSListener, WSMsgType, WSTransport
from picows.picows import WSProtocol

from server.gateway.transport.framing import CONTINUATION, PING, TEXT
from server.gateway.transport.websocket import _LOG, _REQUEST
from tests.integration.gateway.halls import ACCEPT, KEY
from tests.integration.gateway.wire import masked

HANDSHAKE = _REQUEST % KEY.encode()


class Recorder:
    """A transport that picows writes to, and nobody else."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.written = bytearray()
        self.closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def get_write_buffer_size(self) -> int:
        return 1

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self.sock if name == "socket" else default


class Listener(WSListener):
    """What picows tells."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def on_ws_connected(self, transport: WSTransport) -> None:
        request = transport.request
        del request.headers, request.method, request.path, request.version
        del transport.response.headers
        self.calls.append("connected")

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.calls.append((frame.msg_type, frame.fin, frame.rsv1, frame.get_payload_as_bytes()))

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.calls.append("disconnected")

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")


def arguments(listener: Listener) -> list[Any]:
    idle = WSAutoPingStrategy.PING_WHEN_IDLE
    head: list[Any] = [None, None, False, lambda _: listener, _LOG, True, None]
    return [*head, False, 0, 0, idle, False, 65_536, None, 2048]


Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """The server's and the client's end of a TCP connection."""
    with socket.socket() as listening, socket.socket() as client:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        client.connect(listening.getsockname())
        accepted, _ = listening.accept()
        with accepted:
            yield accepted, client


class Bench:
    """picows between a recorder and a listener."""

    def __init__(self, ends: Ends) -> None:
        server, self.client = ends
        self.transport = Recorder(server)
        self.listener = Listener()
        self.protocol = WSProtocol(*arguments(self.listener))
        self.protocol.connection_made(self.transport)

    def feed(self, data: bytes) -> None:
        view = self.protocol.get_buffer(-1)
        view[: len(data)] = data
        self.protocol.buffer_updated(len(data))


@pytest.fixture
async def bench(ends: Ends) -> Bench:
    bench = Bench(ends)
    bench.feed(HANDSHAKE)
    return bench


def test_version_is_the_pinned_one() -> None:
    assert version("picows") == "2.3.1"


async def test_constructor_takes_these_fifteen() -> None:
    fifteen = arguments(Listener())
    WSProtocol(*fifteen)
    with pytest.raises(TypeError, match="15 positional"):
        WSProtocol(*fifteen[:-1])
    with pytest.raises(TypeError, match="15 positional"):
        WSProtocol(*fifteen, None)


async def test_is_read_into_by_buffer_only() -> None:
    assert isinstance(WSProtocol(*arguments(Listener())), asyncio.BufferedProtocol)
    assert not hasattr(WSProtocol, "data_received")


async def test_handshake_is_answered_through_the_transport_it_was_given(bench: Bench) -> None:
    assert bench.transport.written.startswith(b"HTTP/1.1 101 ")
    assert f"Sec-WebSocket-Accept: {ACCEPT}".encode() in bench.transport.written
    assert bench.listener.calls == ["connected"]


async def test_frames_are_passed_on_as_they_are_and_nothing_is_answered(bench: Bench) -> None:
    bench.transport.written.clear()
    bench.feed(masked(TEXT, b"a", fin=False) + masked(PING, b"p") + masked(CONTINUATION, b"\xff"))
    assert bench.listener.calls[1:] == [
        (WSMsgType.TEXT, 0, 0, b"a"),
        (WSMsgType.PING, 1, 0, b"p"),
        (WSMsgType.CONTINUATION, 1, 0, b"\xff"),
    ]
    assert bench.listener.calls[1][0] is WSMsgType.TEXT  # type: ignore[index]  # a tuple
    assert bench.transport.written == b""


async def test_violation_is_a_close_frame_then_a_disconnect(bench: Bench) -> None:
    bench.transport.written.clear()
    bench.feed(masked(TEXT, b"fine") + b"\x81\x02hi")
    assert bench.transport.written[0] == 0x88
    assert bench.transport.written[2:4] == (1002).to_bytes(2, "big")
    assert bench.listener.calls[-1] == (WSMsgType.TEXT, 1, 0, b"fine")
    async with asyncio.timeout(5):
        while not bench.transport.closed:  # picows closes by a timer of its own
            await asyncio.sleep(0.005)


async def test_transport_callbacks_reach_the_listener(bench: Bench) -> None:
    bench.protocol.pause_writing()
    bench.protocol.resume_writing()
    bench.protocol.connection_lost(None)
    assert bench.listener.calls[1:] == ["pause", "resume", "disconnected"]


async def test_nothing_is_written_past_the_transport(bench: Bench) -> None:
    bench.feed(b"\x81\x02hi")
    bench.client.setblocking(False)
    with pytest.raises(BlockingIOError):
        bench.client.recv(1)
