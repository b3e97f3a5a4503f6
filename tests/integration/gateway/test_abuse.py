"""What a client can do wrong after the handshake: the code it gets, and who else notices."""

import asyncio
import ssl
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import cast

import pytest
from websockets.asyncio.client import connect

from protocol.errors import CloseReason
from server.gateway.transport.framing import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    text_frame,
)
from server.gateway.transport.limits import TransportLimits
from server.gateway.transport.send_buffer import BufferFlusher
from server.gateway.transport.websocket import Socket
from tests.integration.gateway.halls import PATIENT, Echo, Hall, hall
from tests.integration.gateway.wire import Wire, masked, request

PIECE = text_frame(b"x" * 4096)
UNMASKED = b"\x81\x02hi"
LENGTH_2_63 = b"\x81\xff" + (1 << 63).to_bytes(8, "big") + b"\0\0\0\0"
LENGTH_2_62 = b"\x81\xff" + (1 << 62).to_bytes(8, "big") + b"\0\0\0\0"
LONG_FOR_SHORT = b"\x81\xfe\x00\x05\0\0\0\0hello"
OPEN = masked(TEXT, b"a", fin=False)

FAULTS = {
    "unmasked frame": (UNMASKED, 1002),
    "length of 2^63": (LENGTH_2_63, 1002),
    "length of 2^62": (LENGTH_2_62, 1009),
    "length not minimal": (LONG_FOR_SHORT, 1002),
    "126-byte ping": (masked(PING, b"x" * 126), 1002),
    "ping in fragments": (masked(PING, fin=False), 1002),
    "reserved bit": (masked(TEXT, b"x", rsv=4), 1002),
    "reserved bit on a ping": (masked(PING, rsv=1), 1002),
    "reserved opcode": (masked(3), 1002),
    "reserved control opcode": (masked(11), 1002),
    "continuation of nothing": (masked(CONTINUATION, b"x"), 1002),
    "message in a message": (OPEN + masked(TEXT, b"b"), 1002),
    "close code 1006": (masked(CLOSE, b"\x03\xee"), 1002),
    "close code 0": (masked(CLOSE, b"\0\0"), 1002),
    "close code 5000": (masked(CLOSE, b"\x13\x88"), 1002),
    "half a close code": (masked(CLOSE, b"\x03"), 1002),
    "close reason no text": (masked(CLOSE, b"\x03\xe8\xff"), 1007),
    "binary": (masked(BINARY, b"x"), 1003),
    "bad text": (masked(TEXT, b"\xff"), 1007),
    "surrogate": (masked(TEXT, b"\xed\xa0\x80"), 1007),
    "bad text in fragments": (OPEN + masked(CONTINUATION, b"\xff"), 1007),
    "frame too big": (masked(TEXT, b"x" * 65_537), 1009),
    "joined too big": (
        masked(TEXT, b"x" * 65_536, fin=False) + masked(CONTINUATION, b"x"),
        1009,
    ),
    "33 fragments": (OPEN + masked(CONTINUATION, b"", fin=False) * 32, 1009),
    "ping flood": (masked(PING) * 1_000, 4104),
    "pong flood": (masked(PONG) * 1_000, 4104),
    "a million empty fragments": (
        masked(TEXT, b"", fin=False) + masked(CONTINUATION, b"", fin=False) * 1_000_000,
        1009,
    ),
    "garbage": (b"\xde\xad\xbe\xef" * 100_000, 1002),
}


@pytest.mark.parametrize(("data", "code"), FAULTS.values(), ids=FAULTS)
async def test_fault_gets_its_close_code(data: bytes, code: int) -> None:
    async with hall() as h, Wire(h) as wire, connect(h.url) as other:
        await wire.upgrade()
        wire.send(data)
        assert await wire.close_code() == code
        assert await wire.ended() == b""
        await other.send("unhurt")
        assert await other.recv() == "unhurt"


@pytest.mark.parametrize("name", ["garbage", "binary", "a million empty fragments"])
async def test_fault_gets_its_close_code_over_tls(
    name: str, tls_server: ssl.SSLContext, tls_client: ssl.SSLContext
) -> None:
    data, code = FAULTS[name]
    async with hall(tls=tls_server) as h, Wire(h, tls=tls_client) as wire:
        await wire.upgrade()
        wire.send(data)
        assert await wire.close_code() == code
        assert await wire.ended() == b""
        await h.emptied()


async def test_what_came_before_a_fault_is_answered() -> None:
    async with hall() as h, Wire(h) as wire:
        await wire.upgrade()
        wire.send(masked(TEXT, b"fine") + UNMASKED)
        assert await wire.frame() == (TEXT, b"fine")
        assert await wire.close_code() == 1002


async def test_nothing_after_a_fault_reaches_the_peer() -> None:
    async with hall() as h, Wire(h) as wire:
        await wire.upgrade()
        wire.send(masked(BINARY, b"x") + masked(TEXT, b"late"))
        assert await wire.close_code() == 1003
        assert await wire.ended() == b""
        await h.emptied()
        (peer,) = h.peers
        assert isinstance(peer, Echo)
        assert peer.calls == ["open", "close"]


async def test_frame_too_big_reaches_nobody_when_it_is_all_there_at_once() -> None:
    async with hall(limits=replace(PATIENT, frame_bytes_max=4096)) as h, Wire(h) as wire:
        wire.send(request() + masked(TEXT, b"x" * 4097) + masked(TEXT, b"late"))
        assert await wire.status() == 101
        assert await wire.close_code() == 1009
        assert await wire.ended() == b""
        await h.emptied()
        (peer,) = h.peers
        assert isinstance(peer, Echo)
        assert peer.calls == ["open", "close"]


async def test_flood_after_a_fault_is_dropped_not_gathered() -> None:
    async with hall() as h, Wire(h) as wire:
        await wire.upgrade()
        wire.send(UNMASKED)
        assert await wire.close_code() == 1002
        tracemalloc.start()
        with suppress(ConnectionError):
            for _ in range(256):
                wire.send(bytes(64 * 1024))
                await wire.writer.drain()
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes < 4 << 20


async def test_limits_themselves_are_allowed() -> None:
    async with hall() as h, Wire(h) as wire:
        await wire.upgrade()
        assert await wire.say(b"x" * 65_536) == (TEXT, b"x" * 65_536)
        pieces = [masked(CONTINUATION, b"bc", fin=n == 30) for n in range(31)]
        wire.send(OPEN + masked(PING, b"x" * 125).join(pieces[:2]) + b"".join(pieces[2:]))
        assert await wire.frame() == (PONG, b"x" * 125)
        assert await wire.frame() == (TEXT, b"a" + b"bc" * 31)


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
async def test_close_is_answered_with_its_code(code: int) -> None:
    async with hall() as h, Wire(h) as wire:
        await wire.upgrade()
        wire.send(masked(CLOSE, code.to_bytes(2, "big") + b"bye"))
        assert await wire.frame() == (CLOSE, code.to_bytes(2, "big"))
        assert await wire.ended() == b""
        await h.emptied()


async def test_server_waits_for_the_answer_to_its_close() -> None:
    async with hall(limits=PATIENT) as h, Wire(h) as wire:
        await wire.upgrade()
        socket = socket_of(h)
        socket.send(text_frame(b"last"))
        socket.close(CloseReason.SUPERSEDED)
        socket.close(CloseReason.BANNED)
        socket.send(text_frame(b"too late"))
        assert await wire.frame() == (TEXT, b"last")
        assert await wire.frame() == (CLOSE, b"\x0f\xa2superseded")
        wire.send(masked(TEXT, b"ignored") + masked(CLOSE, b"\x0f\xa2"))
        assert await wire.ended() == b""
        await h.emptied()


async def test_failing_peer_is_closed_with_1011(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Echo):
        def on_message(self, message: bytes) -> None:
            raise RuntimeError("on purpose")

    async with hall(Broken) as h, Wire(h) as wire:
        await wire.upgrade()
        wire.send(masked(TEXT, b"x"))
        assert await wire.close_code() == 1011
        assert "on purpose" in caplog.text


async def test_faults_of_clients_are_not_logged_as_errors(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with hall() as h, Wire(h) as wire:
        await wire.upgrade()
        wire.send(UNMASKED)
        assert await wire.close_code() == 1002
        assert [r.levelname for r in caplog.records if r.levelno > 20] == []


# ------------------------------------------------------------------------ slow readers

SLOW = replace(PATIENT, outbox_bytes_max=256 * 1024, socket_buffer_bytes=16 * 1024)
CAPS = {
    "bytes": SLOW,
    "frames": replace(SLOW, outbox_bytes_max=1 << 30, outbox_frames_max=50),
    "age": replace(SLOW, outbox_bytes_max=1 << 30, outbox_age_max_s=0.1),
}


@pytest.mark.parametrize("limits", CAPS.values(), ids=CAPS)
async def test_slow_reader_is_closed_at_the_cap_and_others_read_on(
    limits: TransportLimits,
) -> None:
    async with hall(limits=limits) as h, Wire(h, receive_bytes=4096) as slow, Wire(h) as reader:
        await slow.upgrade()
        slow_socket = socket_of(h)
        await reader.upgrade()
        quick_socket = socket_of(h)
        sent = 0
        while not slow_socket.closing:
            slow_socket.send(PIECE)
            quick_socket.send(PIECE)
            sent += 1
            assert await reader.frame() == (TEXT, b"x" * 4096)
            assert slow_socket.queued_bytes < limits.outbox_bytes_max + (1 << 17)
        assert not quick_socket.closing
        assert slow_socket.queued_bytes < 1 << 17
        assert await slow.close_code() == 4000


async def test_reader_that_never_reads_is_dropped() -> None:
    limits = replace(SLOW, close_timeout_s=0.3)
    async with hall(limits=limits) as h, Wire(h, receive_bytes=4096) as slow:
        await slow.upgrade()
        socket = socket_of(h)
        while not socket.closing:
            socket.send(PIECE)
        await h.emptied()
        assert socket.queued_bytes == 0


async def test_late_reader_gets_everything_in_order() -> None:
    limits = replace(SLOW, outbox_bytes_max=1 << 30)
    async with hall(limits=limits) as h, Wire(h, receive_bytes=4096) as slow:
        await slow.upgrade()
        socket = socket_of(h)
        texts = [b"%06d" % n * 100 for n in range(5_000)]
        for text in texts:
            socket.send(text_frame(text))
        await asyncio.sleep(0)
        assert socket.queued_bytes > 1_000_000
        assert [await slow.frame() for _ in texts] == [(TEXT, text) for text in texts]
        assert socket.queued_bytes == 0


async def test_burst_that_the_kernel_takes_is_no_slowness() -> None:
    limits = replace(PATIENT, outbox_frames_max=10)
    async with hall(limits=limits) as h, Wire(h) as wire:
        await wire.upgrade()
        socket = socket_of(h)
        for n in range(100):
            socket.send(text_frame(b"%d" % n))
        assert [(await wire.frame())[1] for _ in range(100)] == [b"%d" % n for n in range(100)]
        assert not socket.closing


async def test_stalls_that_come_and_go_are_watched_by_one_timer() -> None:
    loop = asyncio.get_running_loop()
    timers = 0

    class Counting:
        time = loop.time

        def call_later(self, delay_s: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
            nonlocal timers
            timers += 1
            return loop.call_later(delay_s, callback)

    async with hall() as h, Wire(h) as wire:
        await wire.upgrade()
        socket = socket_of(h)
        flusher = BufferFlusher(cast("asyncio.AbstractEventLoop", Counting()), PATIENT)
        for _ in range(100):
            flusher.note_stalled(socket)
            flusher.note_drained(socket)
        assert timers == 1


async def test_slow_reader_is_closed_at_the_cap_over_tls(
    tls_server: ssl.SSLContext, tls_client: ssl.SSLContext
) -> None:
    async with (
        hall(limits=replace(SLOW, close_timeout_s=0.3), tls=tls_server) as h,
        Wire(h, receive_bytes=4096, tls=tls_client) as slow,
    ):
        await slow.upgrade()
        socket = socket_of(h)
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a Transport
        while not socket.closing:
            socket.send(PIECE)
            await asyncio.sleep(0)
        await h.emptied()


def socket_of(h: Hall) -> Socket:
    """Give the socket of the newest peer."""
    peer = h.peers[-1]
    assert isinstance(peer, Echo)
    return peer.socket
