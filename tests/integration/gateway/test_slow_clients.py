"""Clients that send or read too slowly over HTTP: they are cut off, and cost others nothing."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

import pytest

from server.gateway.transport.limits import connections_per_address
from tests.integration.gateway.halls import PATIENT, hall
from tests.integration.gateway.wire import Wire

HELLO = b"GET /hello HTTP/1.1\r\nHost: h\r\n\r\n"
POST = b"POST /count HTTP/1.1\r\nHost: h\r\n"
ANNOUNCED = POST + b"Content-Length: 100000\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

BODIES_LATE = replace(PATIENT, body_timeout_s=0.3, close_timeout_s=0.3)
HEADS_LATE = replace(PATIENT, handshake_timeout_s=2.0, close_timeout_s=0.3)
# Bodies of which something comes, but never enough.
DRIPS = {
    "announced": (ANNOUNCED, b"x"),
    "in chunks": (CHUNKED, b"1\r\nx\r\n"),
    "in chunk sizes": (CHUNKED, b"0"),
    "behind a request": (HELLO + ANNOUNCED, b"x"),
}


@asynccontextmanager
async def dripping(wire: Wire, data: bytes) -> AsyncIterator[None]:
    """Send a little again and again."""

    async def drip() -> None:
        with suppress(ConnectionError):
            while True:
                wire.send(data)
                await asyncio.sleep(0.02)

    task = asyncio.create_task(drip())
    try:
        yield
    finally:
        task.cancel()


async def hello(wire: Wire) -> None:
    wire.send(HELLO)
    assert await wire.status() == 200
    assert await wire.reader.readexactly(5) == b"hello"


@pytest.mark.parametrize(
    "head", [ANNOUNCED, CHUNKED, ANNOUNCED + b"some", CHUNKED + b"4\r\nsome\r\n"]
)
async def test_body_that_never_comes_is_answered_408_and_closed(head: bytes) -> None:
    async with hall(limits=BODIES_LATE) as h, Wire(h) as wire:
        wire.send(head)
        answer = await wire.head()
        assert answer.startswith("HTTP/1.1 408 ")
        assert "Connection: close" in answer
        assert b'"request_timeout"' in await wire.ended()
        await h.emptied()


@pytest.mark.parametrize(("head", "drop"), DRIPS.values(), ids=DRIPS)
async def test_body_that_drips_is_answered_408_and_closed(head: bytes, drop: bytes) -> None:
    async with hall(limits=BODIES_LATE) as h, Wire(h) as wire:
        wire.send(head)
        if head.startswith(HELLO):
            assert await wire.status() == 200
            await wire.reader.readexactly(5)
        async with dripping(wire, drop):
            assert await wire.status() == 408
            await h.emptied()


# Bodies that begin well, and what then comes that no parser takes.
BROKEN = {
    "a chunk's size": (CHUNKED + b"4\r\nsome\r\n", b"zz\r\n"),
    "a chunk's end": (CHUNKED + b"4\r\n", b"more than four"),
    "too many trailers": (CHUNKED + b"0\r\n", b"X: y\r\n" * 100),
    "behind a request": (HELLO + CHUNKED + b"4\r\nsome\r\n", b"zz\r\n"),
}


@pytest.mark.parametrize(("head", "rest"), BROKEN.values(), ids=BROKEN)
async def test_body_that_turns_out_broken_ends_the_connection_at_once(
    head: bytes, rest: bytes
) -> None:
    async with hall(limits=replace(PATIENT, close_timeout_s=0.3)) as h, Wire(h) as wire:
        wire.send(head)
        if head.startswith(HELLO):
            assert await wire.status() == 200
            await wire.reader.readexactly(5)
        await asyncio.sleep(0.05)  # the request is being served before its body breaks
        async with dripping(wire, rest):
            assert await wire.status() == 400
            await h.emptied()


async def test_body_may_take_many_time_outs_while_enough_of_it_comes() -> None:
    limits = replace(PATIENT, body_timeout_s=0.2, body_bytes_per_s_min=1)
    async with hall(limits=limits) as h, Wire(h) as wire:
        wire.send(POST + b"Content-Length: 50\r\n\r\n")
        for _ in range(50):
            wire.send(b"x")
            await asyncio.sleep(0.01)
        assert await wire.status() == 200


async def test_body_over_tls_that_never_comes_is_answered_408(
    tls_server: ssl.SSLContext, tls_client: ssl.SSLContext
) -> None:
    async with hall(limits=BODIES_LATE, tls=tls_server) as h, Wire(h, tls=tls_client) as wire:
        wire.send(ANNOUNCED)
        assert await wire.status() == 408
        await h.emptied()


async def test_connection_without_a_next_request_is_closed() -> None:
    async with hall(limits=replace(PATIENT, keepalive_timeout_s=0.3)) as h, Wire(h) as wire:
        await hello(wire)
        await hello(wire)
        assert await wire.ended() == b""
        await h.emptied()


@pytest.mark.parametrize("head", [b"G", HELLO[:-2], POST + b"X-Long: "])
async def test_later_head_that_never_ends_is_answered_408_and_closed(head: bytes) -> None:
    async with hall(limits=HEADS_LATE) as h, Wire(h) as wire:
        await hello(wire)
        wire.send(head)
        assert await wire.status() == 408
        await wire.ended()
        await h.emptied()


async def test_later_head_that_drips_is_answered_408_and_closed() -> None:
    async with hall(limits=HEADS_LATE) as h, Wire(h) as wire:
        await hello(wire)
        wire.send(b"GET /hello HTTP/1.1\r\nX: ")
        async with dripping(wire, b"x"):
            assert await wire.status() == 408
            await h.emptied()


# What is left of an answer when its reader stops: much, or less than a transport holds back.
SIZES = {"much": 64 << 20, "little": 3 << 20}


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("extra", [b"", b"Connection: close\r\n"], ids=["kept", "closed"])
async def test_answer_that_is_not_read_is_dropped(size: int, extra: bytes) -> None:
    limits = replace(PATIENT, write_timeout_s=0.3, keepalive_timeout_s=0.3, close_timeout_s=0.3)
    async with hall(limits=limits) as h, Wire(h, receive_bytes=4096) as wire:
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a Transport
        wire.send(b"GET /large?bytes=%d HTTP/1.1\r\nHost: h\r\n%b\r\n" % (size, extra))
        await h.emptied()


async def test_answer_that_is_not_read_is_dropped_over_tls(
    tls_server: ssl.SSLContext, tls_client: ssl.SSLContext
) -> None:
    limits = replace(PATIENT, write_timeout_s=0.3, close_timeout_s=0.3)
    async with (
        hall(limits=limits, tls=tls_server) as h,
        Wire(h, receive_bytes=4096, tls=tls_client) as wire,
    ):
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a Transport
        wire.send(b"GET /large?bytes=67108864 HTTP/1.1\r\nHost: h\r\n\r\n")
        await h.emptied()


async def test_answer_may_take_many_time_outs_while_enough_of_it_is_read() -> None:
    limits = replace(PATIENT, write_timeout_s=0.3, write_bytes_per_s_min=1)
    size = 16 << 20
    async with hall(limits=limits) as h, Wire(h, receive_bytes=65536) as wire:
        wire.send(b"GET /large?bytes=%d HTTP/1.1\r\nHost: h\r\n\r\n" % size)
        assert await wire.status() == 200
        for _ in range(16):
            assert len(await wire.reader.readexactly(1 << 20)) == 1 << 20
            await asyncio.sleep(0.05)
        await hello(wire)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /hello HTTP/1.1\r\nHost: h\r\nContent-Length: 209715200\r\n\r\n",
        b"GET /nowhere HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n6400000\r\n",
        b"POST /answer HTTP/1.1\r\nHost: h\r\nContent-Length: 209715200\r\n\r\n",
    ],
    ids=["no body wanted", "no such address", "too large"],
)
async def test_two_hundred_megabytes_are_answered_early_and_not_read(head: bytes) -> None:
    async with hall(limits=replace(PATIENT, close_timeout_s=0.3)) as h, Wire(h) as wire:
        wire.send(head)
        assert await wire.status() in (200, 404, 413)
        sent = 0
        with suppress(ConnectionError):
            while sent < 200 << 20:
                wire.send(bytes(1 << 20))
                sent += 1 << 20
                await wire.writer.drain()
        assert sent < 100 << 20  # what the kernel's buffers took, and what was dropped
        await h.emptied()


async def test_silent_requests_of_one_address_leave_room_for_others() -> None:
    limits = replace(
        PATIENT, connections_max=300, connections_per_address_max=connections_per_address(300)
    )
    async with hall(limits=limits) as h, AsyncExitStack() as stack:
        for _ in range(300):
            wire = await stack.enter_async_context(Wire(h))
            wire.send(ANNOUNCED)
        other = await stack.enter_async_context(Wire(h, source="127.0.0.2"))
        await hello(other)
        await other.upgrade()
        crowded = await stack.enter_async_context(Wire(h))
        crowded.send(HELLO)
        assert await crowded.status() == 503
        assert b"PLAYHALL_CONNECTIONS_PER_ADDRESS_MAX" in await crowded.reader.read()


@pytest.mark.parametrize(
    ("connections_max", "share"), [(1, 1), (2, 1), (100, 50), (300, 64), (20_000, 2_000)]
)
def test_share_of_an_address_is_well_below_all(connections_max: int, share: int) -> None:
    assert connections_per_address(connections_max) == share
