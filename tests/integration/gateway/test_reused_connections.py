"""Websockets on connections that have carried requests, as proxies that keep theirs open do it."""

import asyncio
import shutil
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from websockets.asyncio.client import connect

from server.gateway.transport.framing import PING, PONG, TEXT
from server.gateway.transport.proxies import Proxies
from tests.fixtures.ports import free_port
from tests.integration.gateway.halls import PATIENT, Echo, hall
from tests.integration.gateway.wire import Wire, masked, request

HELLO = b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
SMUGGLED = request("/ws")
POST = b"POST /count HTTP/1.1\r\nHost: 127.0.0.1\r\n"
START_TIMEOUT_S = 30

# What may come before a handshake: the request, its status, the body of its answer.
BEFORE = {
    "a GET": (HELLO, 200, b"hello"),
    "a body": (POST + b"Content-Length: 5\r\n\r\nabcde", 200, b"5"),
    "a chunked body": (
        POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: t\r\n\r\n",
        200,
        b"5",
    ),
    "a body that looks like a handshake": (
        POST + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
        200,
        b"%d" % len(SMUGGLED),
    ),
    "chunks that look like a handshake": (
        POST
        + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(SMUGGLED)
        + SMUGGLED
        + b"\r\n0\r\n\r\n",
        200,
        b"%d" % len(SMUGGLED),
    ),
    "an upgrade to something else": (
        b"GET /hello HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        200,
        b"hello",
    ),
}


async def _answer(wire: Wire, body: bytes) -> int:
    status = await wire.status()
    assert await wire.reader.readexactly(len(body)) == body
    return status


@pytest.mark.parametrize(("before", "status", "body"), BEFORE.values(), ids=BEFORE)
async def test_handshake_behind_a_request_opens_a_websocket(
    before: bytes, status: int, body: bytes
) -> None:
    async with hall() as h, Wire(h) as wire:
        for _ in range(3):
            wire.send(before)
            assert await _answer(wire, body) == status
        await wire.upgrade()
        assert await wire.say(b"over the used connection") == (TEXT, b"over the used connection")
        assert len(h.peers) == 1


@pytest.mark.parametrize(("before", "status", "body"), BEFORE.values(), ids=BEFORE)
async def test_handshake_and_frames_sent_ahead_are_taken_in_order(
    before: bytes, status: int, body: bytes
) -> None:
    async with hall() as h, Wire(h) as wire:
        wire.send(before * 3 + request() + masked(TEXT, b"one") + masked(PING, b"?"))
        for _ in range(3):
            assert await _answer(wire, body) == status
        assert await wire.status() == 101
        assert await wire.frame() == (TEXT, b"one")
        assert await wire.frame() == (PONG, b"?")
        assert await wire.say(b"two") == (TEXT, b"two")


async def test_requests_and_handshake_may_come_byte_by_byte() -> None:
    async with hall() as h, Wire(h) as wire:
        before, _, body = BEFORE["a chunked body"]
        await wire.send_bytewise(before + request() + masked(TEXT, b"slowly"))
        assert await _answer(wire, body) == 200
        assert await wire.status() == 101
        assert await wire.frame() == (TEXT, b"slowly")


async def test_handshake_on_a_used_connection_over_tls(
    tls_server: ssl.SSLContext, tls_client: ssl.SSLContext
) -> None:
    async with hall(tls=tls_server) as h, Wire(h, tls=tls_client) as wire:
        wire.send(HELLO + HELLO)
        assert await _answer(wire, b"hello") == await _answer(wire, b"hello") == 200
        await wire.upgrade()
        assert await wire.say(b"x" * 60_000) == (TEXT, b"x" * 60_000)


async def test_large_answer_goes_out_before_the_websocket_opens() -> None:
    size = 8 << 20
    async with hall() as h, Wire(h, receive_bytes=4096) as wire:
        wire.send(b"GET /large?bytes=%d HTTP/1.1\r\nHost: h\r\n\r\n" % size + request())
        assert await _answer(wire, bytes(size)) == 200
        assert await wire.status() == 101
        assert await wire.say(b"and on") == (TEXT, b"and on")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (request("/ws", "Sec-WebSocket-Version: 8"), 426),
        (b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 426),
        (request("/ws", "Sec-WebSocket-Key: short"), 400),
        (request("/ws", "Content-Length: 5") + b"abcde", 400),
        (request("/ws", "Origin: https://elsewhere.example"), 403),
        (request("/ws?" + "a=1&" * 33), 400),
        (request("/ws", method="HEAD"), 405),
        (request("/ws", method="POST"), 405),
        (request().replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
    ],
)
async def test_bad_handshake_on_a_used_connection_is_refused_and_closed(
    head: bytes, status: int
) -> None:
    async with hall() as h, Wire(h) as wire:
        wire.send(HELLO)
        assert await _answer(wire, b"hello") == 200
        wire.send(head + HELLO)
        assert await wire.status() == status
        assert b"hello" not in await wire.ended()
        assert h.peers == []
        await h.emptied()


async def test_websocket_keeps_what_its_handshake_asked_for() -> None:
    async with hall(proxies=Proxies.parse(["127.0.0.1"])) as h, Wire(h) as wire:
        wire.send(HELLO)
        assert await _answer(wire, b"hello") == 200
        headers = ("X-Forwarded-For: 203.0.113.9", "Sec-WebSocket-Protocol: playhall.v1")
        wire.send(request("/ws?name=%25+%C3%A9", *headers))
        assert "Sec-WebSocket-Protocol: playhall.v1" in await wire.head()
        (asked,) = h.requests
        assert (asked.remote, dict(asked.query)) == ("203.0.113.9", {"name": "% é"})


async def test_connections_that_became_websockets_are_counted_until_they_end() -> None:
    limits = replace(PATIENT, connections_per_address_max=2)
    async with hall(limits=limits) as h:
        async with Wire(h) as first, Wire(h) as second, Wire(h) as third:
            for wire in (first, second):
                wire.send(HELLO)
                assert await _answer(wire, b"hello") == 200
                await wire.upgrade()
            assert h.door.connections == h.door.websockets_open == 2
            third.send(HELLO)
            assert await third.status() == 503
        await h.emptied()
        assert len(h.door._addresses) == 0
        for peer in h.peers:
            assert isinstance(peer, Echo)
            assert peer.calls == ["open", "close"]


# ------------------------------------------------------------------------- with real proxies

NGINX = """
daemon off; master_process off; worker_processes 1; error_log stderr; pid {folder}/nginx.pid;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream playhall {{ server 127.0.0.1:{port}; keepalive 10; }}
  server {{
    listen 127.0.0.1:{listen};
    location / {{
      proxy_pass http://playhall;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
    }}
  }}
}}
"""
HAPROXY = """
global
  maxconn 256
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  timeout tunnel 60s
  http-reuse always
frontend in
  bind 127.0.0.1:{listen}
  default_backend playhall
backend playhall
  server one 127.0.0.1:{port} pool-purge-delay 60s
"""
PROXIES = {
    "nginx": (NGINX, lambda folder: ["nginx", "-p", str(folder), "-c", str(folder / "conf")]),
    "haproxy": (HAPROXY, lambda folder: ["haproxy", "-db", "-f", str(folder / "conf")]),
}


@asynccontextmanager
async def _proxy(
    name: str, template: str, command: Callable[[Path], list[str]], folder: Path, port: int
) -> AsyncIterator[int]:
    """Run a proxy in front of a port; gives its own."""
    if shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    listen = free_port()
    (folder / "conf").write_text(template.format(folder=folder, port=port, listen=listen))
    process = await asyncio.create_subprocess_exec(
        *command(folder), stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while not await _answers(listen):
                assert process.returncode is None, await process.stderr.read()  # type: ignore[union-attr]
                await asyncio.sleep(0.02)
        yield listen
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.mark.parametrize("name", PROXIES)
async def test_websockets_open_behind_a_proxy_that_reuses_connections(
    name: str, tmp_path: Path
) -> None:
    async with (
        hall() as h,
        _proxy(name, *PROXIES[name], tmp_path, h.port) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as web,
    ):
        for n in range(10):
            async with web.get("/hello") as answer:
                assert await answer.text() == "hello"
            async with web.post("/count", data=b"x" * n) as answer:
                assert await answer.text() == str(n)
            async with connect(f"ws://127.0.0.1:{port}/ws", proxy=None) as opened:
                await opened.send(f"message {n}")
                assert await opened.recv() == f"message {n}"
        assert len(h.peers) == 10
