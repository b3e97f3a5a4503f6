"""HTTP requests of the client, against servers that answer byte by byte what a test tells them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain, repeat

import pytest

from playhall import RequestRefused, ServerUnreachable, http
from playhall.http import HttpClient, full_jitter_pause_s

OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = OK + b"Content-Length: 2\r\n\r\n{}"


class Server:
    """Answers each request with the next of some responses; None closes the connection."""

    def __init__(self, responses: list[bytes | None]) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.url = ""
        self._responses = chain(responses, repeat(None))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                self.requests.append(head + await reader.readexactly(int(length or 0)))
                response = next(self._responses)
                if response is None:
                    return
                writer.write(response)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def answering(*responses: bytes | None) -> AsyncIterator[tuple[Server, HttpClient]]:
    server = Server(list(responses))
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        async with HttpClient(server.url) as client:
            yield server, client


CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "response",
    [
        OK + b'Content-Length: 7\r\n\r\n{"a":1}',
        OK + b'content-length: 7\r\nX: y\r\n\r\n{"a":1}',
        OK + CHUNKED + b'3\r\n{"a\r\n4;x=y\r\n":1}\r\n0\r\n\r\n',
        OK + CHUNKED + b'7\r\n{"a":1}\r\n0\r\nTrailer: x\r\n\r\n',
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b'Content-Length: 7\r\n\r\n{"a":1}',
    ],
    ids=["length", "lower case", "chunks", "trailer", "interim"],
)
async def test_body_is_read_to_its_end_and_the_connection_is_used_again(response: bytes) -> None:
    async with answering(response, EMPTY) as (server, client):
        assert await client.get("/a") == {"a": 1}
        assert await client.post("/b", {"c": "d"}) == {}
    assert server.connections == 1
    first, second = server.requests
    assert first.startswith(b"GET /a HTTP/1.1\r\nHost: 127.0.0.1:")
    assert second.endswith(b'\r\n\r\n{"c":"d"}')


@pytest.mark.parametrize(
    "head", [b"HTTP/1.0 200 OK\r\n", OK + b"Connection: close\r\n"], ids=["1.0", "close"]
)
async def test_connection_that_the_server_gives_up_is_not_used_again(head: bytes) -> None:
    response = head + b"Content-Length: 2\r\n\r\n{}"
    async with answering(response, response) as (server, client):
        await client.get("/")
        await client.get("/")
    assert server.connections == 2


async def test_body_without_a_length_goes_on_to_the_end_of_the_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b'\r\n{"a":')
        writer.write(b"1}")
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with (
        listening,
        HttpClient(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}") as client,
    ):
        assert await client.get("/") == {"a": 1}


async def test_read_on_a_connection_that_was_just_closed_is_sent_again() -> None:
    async with answering(EMPTY, None, EMPTY) as (server, client):
        await client.get("/1")
        await client.get("/2")  # the server closes instead of answering
    assert (server.connections, len(server.requests)) == (2, 3)


async def test_write_on_a_connection_that_was_just_closed_is_not_sent_again() -> None:
    async with answering(EMPTY, None, EMPTY) as (server, client):
        await client.get("/1")
        with pytest.raises(ServerUnreachable):
            await client.post("/2", {})
    assert len(server.requests) == 2


async def test_connection_that_was_idle_for_long_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http, "IDLE_MAX_S", 0.0)
    async with answering(EMPTY, EMPTY) as (server, client):
        await client.get("/")
        await client.get("/")
    assert server.connections == 2


@pytest.mark.parametrize(
    "response",
    [
        None,
        b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n",
        b"SSH-2.0-x\r\n\r\n",
        OK + b"Content-Length: many\r\n\r\n",
        OK + b"Content-Length: 10\r\n\r\n{}",
        OK + CHUNKED + b"xyz\r\n",
        OK + CHUNKED + b"-5\r\n",
        OK + b"X: " + 200_000 * b"x" + b"\r\n\r\n",
        OK + b"Content-Length: 99999999999\r\n\r\n",
        OK + CHUNKED + b"fffffffff\r\n",
    ],
    ids=lambda response: repr(response)[:40],
)
async def test_what_is_no_http_is_unreachable(
    response: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "TIMEOUT_S", 0.5)
    async with answering(response) as (_, client):
        with pytest.raises(ServerUnreachable, match=r"127\.0\.0\.1"):
            await client.get("/")


async def test_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TIMEOUT_S", 0.05)
    async with answering(b"HTTP/1.1 ") as (_, client):
        with pytest.raises(ServerUnreachable, match="in time"):
            await client.get("/")


async def test_request_that_is_cancelled_leaves_no_half_read_response_behind() -> None:
    async with answering(OK + b"Content-Length: 9\r\n\r\n{", EMPTY) as (server, client):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.get("/")
        assert await client.get("/") == {}
    assert server.connections == 2


async def test_error_is_raised_with_its_code_and_the_connection_stays() -> None:
    body = b'{"code":"rate_limited","message":"Slowly.","retry":true}'
    refusal = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    async with answering(refusal, EMPTY) as (server, client):
        with pytest.raises(RequestRefused) as refused:
            await client.get("/")
        await client.get("/")
    assert (refused.value.code, refused.value.retry) == ("rate_limited", True)
    assert server.connections == 1


async def test_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECTIONS_MAX", 3)
    async with answering(*[EMPTY] * 30) as (server, client), asyncio.TaskGroup() as tasks:
        for _ in range(30):
            tasks.create_task(client.get("/"))
    assert server.connections <= 3
    assert len(server.requests) == 30


async def test_path_cannot_end_the_request_line() -> None:
    async with answering(EMPTY) as (server, client):
        await client.get("/a b\r\nX: y/é?c=%20&d=e#f")
    line, _, _ = server.requests[0].partition(b"\r\n")
    assert line == b"GET /a%20b%0D%0AX:%20y/%C3%A9?c=%20&d=e%23f HTTP/1.1"


async def test_token_cannot_begin_another_header() -> None:
    async with answering() as (server, client):
        with pytest.raises(ValueError, match="control"):
            await client.get("/", token="a\r\nX: y")
    assert server.requests == []


@pytest.mark.parametrize("prefix", ["", "/hall", "/hall/"])
async def test_server_behind_a_prefix_is_asked_there(prefix: str) -> None:
    async with answering(EMPTY) as (server, _), HttpClient(server.url + prefix) as client:
        await client.get("/v1/status")
        assert client.socket_url.endswith(prefix.rstrip("/") + "/ws")
    assert server.requests[0].startswith(f"GET {prefix.rstrip('/')}/v1/status ".encode())


@pytest.mark.parametrize("url", ["http://[::1", "http://a..b", "ftp://a", "http://a:0"])
def test_address_that_no_server_can_have_is_refused(url: str) -> None:
    with pytest.raises(ServerUnreachable, match="not a server address"):
        HttpClient(url)


@pytest.mark.parametrize("attempt", [0, 3, 8, 1000])
def test_pauses_start_at_nothing_and_have_a_cap(attempt: int) -> None:
    pauses = [full_jitter_pause_s(attempt, base_s=0.1, cap_s=5) for _ in range(500)]
    top = min(5.0, 0.1 * 2 ** min(attempt, 30))
    assert 0 <= min(pauses) < top / 10
    assert top * 0.9 < max(pauses) <= top
