"""One port, two engines: who gets a connection, and who is turned away with what."""

import asyncio
import gc
import ssl
from contextlib import AsyncExitStack
from dataclasses import replace

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from protocol.errors import CloseReason
from server.gateway.transport.framing import TEXT
from server.gateway.transport.handshake import HttpRefusal, NegotiatedHandshake
from server.gateway.transport.listener import _RequestSniffer
from tests.integration.gateway.halls import ACCEPT, HASTY, PATIENT, Echo, hall
from tests.integration.gateway.wire import Wire, masked, request

PLAYHALL = Subprotocol("playhall.v1")
_OF_THE_HANDSHAKE = (_RequestSniffer, NegotiatedHandshake)


async def test_websocket_and_http_share_the_port() -> None:
    async with hall() as h, aiohttp.ClientSession() as web, connect(h.url) as socket:
        await socket.send("over websocket")
        answer = await web.get(f"http://127.0.0.1:{h.port}/hello")
        assert await answer.text() == "hello"
        assert await socket.recv() == "over websocket"


async def test_websocket_and_http_share_the_port_over_tls(
    tls_server: ssl.SSLContext, tls_client: ssl.SSLContext
) -> None:
    async with hall(tls=tls_server) as h, aiohttp.ClientSession() as web:
        async with connect(f"wss://127.0.0.1:{h.port}/ws", ssl=tls_client) as socket:
            for text in ("short", "é" * 20_000):
                await socket.send(text)
                assert await socket.recv() == text
        answer = await web.get(f"https://127.0.0.1:{h.port}/hello", ssl=tls_client)
        assert await answer.text() == "hello"
        await web.close()
        await h.emptied()


async def test_nothing_of_the_handshake_stays_with_an_open_websocket() -> None:
    async with hall() as h, connect(h.url) as socket:
        await socket.send("open")
        assert await socket.recv() == "open"
        gc.collect()
        left = [each for each in gc.get_objects() if isinstance(each, _OF_THE_HANDSHAKE)]
        assert left == []


async def test_peer_hears_open_messages_close_in_order_and_once() -> None:
    async with hall() as h:
        async with connect(h.url) as socket:
            await socket.send("a")
            await socket.recv()
        (peer,) = h.peers
        assert isinstance(peer, Echo)
        await peer.gone.wait()
        assert peer.calls == ["open", b"a", "close"]


async def test_peer_hears_close_when_the_connection_is_cut() -> None:
    async with hall() as h:
        async with Wire(h) as wire:
            await wire.upgrade()
        await h.emptied()
        (peer,) = h.peers
        assert isinstance(peer, Echo)
        assert peer.calls == ["open", "close"]


async def test_accept_key_is_the_one_of_the_rfc() -> None:
    async with hall() as h, Wire(h) as wire:
        wire.send(request())
        assert f"Sec-WebSocket-Accept: {ACCEPT}\r\n" in await wire.head()


async def test_request_reaches_accept_with_query_headers_and_address() -> None:
    async with hall() as h, Wire(h) as wire:
        wire.send(request("/ws?id=a%20b&key=", "X-Trace: 7"))
        assert await wire.status() == 101
        (seen,) = h.requests
        assert (seen.path, dict(seen.query)) == ("/ws", {"id": "a b", "key": ""})
        assert (seen.headers["x-trace"], seen.remote) == ("7", "127.0.0.1")


async def test_bytes_may_come_one_by_one() -> None:
    async with hall() as h, Wire(h) as wire:
        await wire.send_bytewise(request())
        assert await wire.status() == 101
        await wire.send_bytewise(masked(TEXT, b"slowly"))
        assert await wire.frame() == (TEXT, b"slowly")


async def test_http_bytes_may_come_one_by_one() -> None:
    async with hall() as h, Wire(h) as wire:
        await wire.send_bytewise(b"POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
        assert await wire.status() == 200
        assert await wire.reader.readexactly(1) == b"3"


async def test_http_body_may_ride_with_its_head_and_the_connection_is_kept() -> None:
    async with hall() as h, Wire(h) as wire:
        for _ in range(2):
            wire.send(b"POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc")
            assert await wire.status() == 200
            assert await wire.reader.readexactly(1) == b"3"


@pytest.mark.parametrize("size", [1, 125, 126, 5_000, 65_536])
async def test_frames_may_ride_with_the_handshake(size: int) -> None:
    async with hall() as h, Wire(h) as wire:
        wire.send(request() + masked(TEXT, b"x" * size) + masked(TEXT, b"second"))
        assert await wire.status() == 101
        assert await wire.frame() == (TEXT, b"x" * size)
        assert await wire.frame() == (TEXT, b"second")


async def test_offered_subprotocol_is_agreed_on() -> None:
    async with hall() as h:
        async with connect(h.url, subprotocols=[Subprotocol("x"), PLAYHALL]) as socket:
            assert socket.subprotocol == PLAYHALL
        async with connect(h.url) as socket:
            assert socket.subprotocol is None


async def test_bytes_written_are_counted() -> None:
    async with hall() as h, Wire(h) as wire:
        await wire.upgrade()
        before = h.door.bytes_out
        await wire.say(b"x" * 1_000)
        assert h.door.bytes_out - before == 1_004


async def test_no_compression_is_agreed_on() -> None:
    async with hall() as h, connect(h.url, compression="deflate") as socket:
        assert socket.protocol.extensions == []


@pytest.mark.parametrize(
    ("head", "status", "hint"),
    [
        (b"GET /ws HTTP/1.1\r\nHost: h\r\n\r\n", 426, "Upgrade: websocket"),
        (request("/ws", "Upgrade: h2c"), 426, "Upgrade: websocket"),
        (request("/ws", "Sec-WebSocket-Version: 8"), 426, "version 13"),
        (request("/ws", "Sec-WebSocket-Key: short"), 400, "base64"),
        (request("/ws", "Sec-WebSocket-Key: \xfc"), 400, "base64"),
        (request("/ws", without=("Sec-WebSocket-Key",)), 400, "one Sec-WebSocket-Key"),
        (request("/ws", without=("Host",)), 400, "one Host"),
        (request("/ws", "Host: a", "Host: b"), 400, "one Host"),
        (request("/ws", "Connection: close"), 400, "Connection"),
        (request("/ws", "Content-Length: 5"), 400, "must not have a body"),
        (request("/ws", "Transfer-Encoding: chunked"), 400, "must not have a body"),
        (request("/ws", "Sec-WebSocket-Protocol: chat, other"), 400, "playhall.v1"),
        (request("/ws", "Bad Header: 1"), 400, "malformed"),
        (request("/ws", "X: a\r\n folded"), 400, "malformed"),
        (request("/ws?" + "a=1&" * 33), 400, "32 fields"),
        (request().replace(b"HTTP/1.1", b"HTTP/1.0"), 400, "HTTP/1.1"),
        (request("/ws", "Origin: https://elsewhere.example"), 403, "PLAYHALL_ORIGINS"),
        (request("/ws", "Origin: null"), 403, "PLAYHALL_ORIGINS"),
        (request("/ws", "X: " + "x" * 17_000), 431, "16384 bytes"),
        (b"GET /hello HTTP/1.1\r\nX: " + b"x" * 70_000, 431, "16384 bytes"),
        (request("/elsewhere"), 404, ""),
        (request("/ws", method="POST"), 405, ""),
    ],
)
async def test_bad_handshake_is_refused_with_a_remedy(head: bytes, status: int, hint: str) -> None:
    async with hall() as h, Wire(h) as wire:
        wire.send(head)
        assert await wire.status() == status
        if hint:
            assert hint in (await wire.reader.read()).decode()
        assert h.peers == []


async def test_version_refusal_names_the_version() -> None:
    async with hall() as h, Wire(h) as wire:
        wire.send(request("/ws", "Sec-WebSocket-Version: 8"))
        assert "Sec-WebSocket-Version: 13\r\n" in await wire.head()


@pytest.mark.parametrize(
    ("origins", "origin", "status"),
    [
        (set(), None, 101),
        (set(), "http://127.0.0.1", 101),
        (set(), "http://127.0.0.1:81", 403),
        ({" https://Play.example/"}, "https://PLAY.example", 101),
        ({"https://play.example"}, "http://play.example", 403),
        ({"https://play.example"}, "http://127.0.0.1", 101),
        ({"*"}, "https://any.example", 101),
        (set(), "http://127.0.0.1:80", 101),
        (set(), "HTTP://127.0.0.1.", 101),
        ({"https://play.example:443"}, "https://play.example", 101),
        ({"https://play.example"}, "https://play.example.:443", 101),
        ({"https://play.example"}, "https://play.example:8443", 403),
        ({"http://[::1]:80"}, "http://[0:0::1]", 101),
    ],
)
async def test_origin_decides_for_browsers(
    origins: set[str], origin: str | None, status: int
) -> None:
    async with hall(origins=frozenset(origins)) as h, Wire(h) as wire:
        wire.send(request("/ws", *([f"Origin: {origin}"] if origin else [])))
        assert await wire.status() == status


async def test_peer_may_refuse_over_http() -> None:
    def refuse() -> Echo:
        raise AssertionError("never asked")

    async with hall(refuse) as h, Wire(h) as wire:
        h.door.websockets["/ws"] = replace(
            h.door.websockets["/ws"], accept=lambda _: HttpRefusal(429, "Wait a minute.")
        )
        wire.send(request())
        assert await wire.status() == 429
        assert await wire.reader.read() == b"Wait a minute.\n"


async def test_failing_accept_is_answered_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Echo:
        raise RuntimeError("on purpose")

    async with hall(broken) as h, Wire(h) as wire:
        wire.send(request())
        assert await wire.status() == 500
        assert "on purpose" in caplog.text


async def test_full_door_refuses_with_503_and_lets_in_again() -> None:
    async with hall(limits=replace(PATIENT, connections_max=2)) as h:
        async with Wire(h) as first, Wire(h) as second, Wire(h) as third:
            await first.upgrade()
            second.send(b"GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")
            assert await second.status() == 200
            third.send(request())
            assert "503 Service Unavailable\r\n" in (head := await third.head())
            assert "Retry-After: " in head
        await h.emptied()
        async with Wire(h) as fourth:
            await fourth.upgrade()


async def test_crowd_before_a_full_door_is_cut_off() -> None:
    limits = replace(PATIENT, connections_max=0, turned_away_max=1)
    async with hall(limits=limits) as h, Wire(h) as refused, Wire(h) as cut:
        assert await cut.ended() == b""
        refused.send(request())
        assert await refused.status() == 503


async def test_one_address_cannot_take_all_connections() -> None:
    async with hall(limits=replace(PATIENT, connections_per_address_max=1)) as h:
        async with Wire(h) as first, Wire(h) as second:
            await first.upgrade()
            second.send(request())
            assert await second.status() == 503
        await h.emptied()
        assert len(h.door._addresses) == 0


async def test_thousand_unfinished_handshakes_keep_nobody_out() -> None:
    async with hall() as h, AsyncExitStack() as stack:
        for _ in range(1_000):
            wire = await stack.enter_async_context(Wire(h))
            wire.send(b"GET /ws HTTP/1.1\r\nHost: h\r\n")
        async with connect(h.url) as socket:
            await socket.send("still in")
            assert await socket.recv() == "still in"
        await stack.aclose()
        await h.emptied()


async def test_connection_that_sends_nothing_is_cut_off() -> None:
    async with hall(limits=HASTY) as h, Wire(h) as wire:
        assert await wire.ended() == b""
        await h.emptied()


async def test_head_that_trickles_in_is_answered_408_and_cut_off() -> None:
    async with hall(limits=HASTY) as h, Wire(h) as wire:
        answer = asyncio.create_task(wire.status())
        while not answer.done():
            wire.send(b"X")
            await asyncio.sleep(0.02)
        assert answer.result() == 408
        await h.emptied()


async def test_handshake_timeout_ends_with_the_handshake() -> None:
    limits = replace(PATIENT, handshake_timeout_s=2.0)
    async with hall(limits=limits) as h, Wire(h) as socket, Wire(h) as web:
        await socket.upgrade()
        web.send(b"GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")
        assert await web.status() == 200
        await asyncio.sleep(2.1)
        assert await socket.say(b"still here") == (TEXT, b"still here")
        web.send(b"GET /hello HTTP/1.1\r\nHost: h\r\n\r\n")
        await web.reader.readexactly(len(b"hello"))
        assert await web.status() == 200


async def test_going_away_closes_websockets_and_refuses_newcomers() -> None:
    async with hall(limits=replace(PATIENT, close_timeout_s=0.3)) as h:
        async with connect(h.url) as socket, Wire(h) as silent, Wire(h) as half:
            await silent.upgrade()
            half.send(b"GET ")
            await h.door.close_all(CloseReason.GOING_AWAY)
            with pytest.raises(ConnectionClosed) as closed:
                await socket.recv()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "going_away")
            assert await silent.close_code() == 4001
            assert h.door.websockets_open == 0
        with pytest.raises(InvalidStatus, match="503"):
            await connect(h.url)
