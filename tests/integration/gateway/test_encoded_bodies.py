"""Compressed request bodies: refused before anything is inflated, unless an endpoint takes them."""

import gzip
import zlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from pydantic import BaseModel

from protocol.envelope import WireModel
from protocol.errors import Forbidden
from server.gateway.http.bodies import zstd
from server.gateway.http.endpoints import Endpoint, HttpRequest, RawResponse
from tests.fixtures.http import nobody, served
from tests.integration.gateway.halls import hall
from tests.integration.gateway.wire import Wire, request

BLANKS = gzip.compress(b" " * (8 << 20))
ADDRESSES = [
    ("GET", "/healthz"),
    ("POST", "/body"),
    ("POST", "/bodiless"),
    ("PUT", "/nowhere"),
    ("DELETE", "/healthz"),
]
CODINGS = ["gzip", "GZip", "deflate", "br", "zstd", "x-gzip", "compress", "identity, gzip", "me"]


class Said(WireModel):
    """A body."""

    text: str = ""


async def _answer(request: HttpRequest) -> RawResponse:
    text = request.body.text if isinstance(request.body, BaseModel) else "body"
    return RawResponse(text.encode(), "text/plain")


def _admit(request: HttpRequest) -> None:
    if request.path["name"] == "nobody":
        raise Forbidden


ENDPOINTS = [
    Endpoint("GET", "/healthz", "Answer.", _answer, auth="none"),
    Endpoint("POST", "/body", "Answer.", _answer, auth="none", body=Said),
    Endpoint("POST", "/bodiless", "Answer.", _answer, auth="none"),
    Endpoint(
        "POST",
        "/packed/{name}",
        "Answer.",
        _answer,
        auth="none",
        body=Said,
        is_compressible=True,
        body_bytes_max=1000,
        admit=_admit,
    ),
]


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with served(ENDPOINTS, nobody) as client:
        yield client


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
@pytest.mark.parametrize("coding", CODINGS)
async def test_encoded_body_is_answered_415_with_what_is_taken(
    client: aiohttp.ClientSession, method: str, path: str, coding: str
) -> None:
    headers = {"Content-Encoding": coding}
    async with client.request(method, path, data=BLANKS, headers=headers) as answer:
        assert answer.status == 415
        assert answer.headers["Accept-Encoding"] == "identity"
        body = await answer.json()
        assert body["code"] == "unsupported_encoding"
        assert "without Content-Encoding" in body["message"]


@pytest.mark.parametrize("coding", ["gzip, chunked", "deflate,chunked"])
async def test_encoded_transfer_is_refused(coding: str) -> None:
    async with hall() as h, Wire(h) as wire:
        body = zlib.compress(b"{}")
        wire.send(
            f"POST /answer HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: {coding}\r\n\r\n"
            f"{len(body):x}\r\n".encode()
            + body
            + b"\r\n0\r\n\r\n"
        )
        assert await wire.status() == 415


async def test_transfer_that_has_no_end_is_refused() -> None:
    async with hall() as h, Wire(h) as wire:
        wire.send(b"POST /answer HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n")
        assert await wire.status() == 400
        await wire.ended()
        await h.emptied()


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)  # the same for every worker, as a test's name has to be


SAID = b'{"text": "hi"}'
FULL = b'{"text": "' + b"a" * 988 + b'"}'


@pytest.mark.parametrize(
    ("coding", "packed", "status"),
    [
        ("gzip", _gzip(SAID), 200),
        ("GZIP", _gzip(SAID), 200),
        ("zstd", zstd.compress(SAID), 200),
        ("identity", SAID, 200),
        ("gzip", _gzip(FULL), 200),
        ("zstd", zstd.compress(FULL), 200),
        ("gzip", _gzip(FULL + b" "), 413),
        ("zstd", zstd.compress(FULL + b" "), 413),
        ("gzip", BLANKS, 413),
        ("gzip", _gzip(b" " * 900_000), 413),  # small, and inflates to much
        ("zstd", zstd.compress(b" " * (64 << 20)), 413),
        ("gzip", _gzip(SAID)[:-1], 400),
        ("zstd", zstd.compress(SAID)[:-1], 400),
        ("gzip", _gzip(SAID) + b"more", 400),
        ("zstd", zstd.compress(SAID) + b"more", 400),
        ("gzip", zstd.compress(SAID), 400),
        ("zstd", SAID, 400),
        ("gzip, gzip", _gzip(_gzip(SAID)), 415),
        ("br", SAID, 415),
        ("deflate", zlib.compress(SAID), 415),
    ],
)
async def test_compressed_body_is_inflated_within_a_bound_where_it_is_taken(
    client: aiohttp.ClientSession, coding: str, packed: bytes, status: int
) -> None:
    headers = {"Content-Encoding": coding}
    async with client.post("/packed/x", data=packed, headers=headers) as answer:
        assert answer.status == status, await answer.text()
        if status == 415:
            assert answer.headers["Accept-Encoding"] == "gzip, zstd, identity"


async def test_window_larger_than_allowed_is_refused(client: aiohttp.ClientSession) -> None:
    options = {int(zstd.CompressionParameter.window_log): 27}
    pack = zstd.ZstdCompressor(options=options)
    packed = pack.compress(SAID) + pack.flush()  # of no stated size, so the window counts
    headers = {"Content-Encoding": "zstd"}
    async with client.post("/packed/x", data=packed, headers=headers) as answer:
        assert answer.status == 400


async def test_limit_counts_before_the_body_is_read(client: aiohttp.ClientSession) -> None:
    headers = {"Content-Encoding": "gzip"}
    async with client.post("/packed/nobody", data=b"no gzip", headers=headers) as answer:
        assert answer.status == 403


async def test_plain_bodies_are_read_whatever_they_are_called(
    client: aiohttp.ClientSession,
) -> None:
    for coding in ("identity", "Identity", ""):
        headers = {"Content-Encoding": coding}
        async with client.post("/body", data=b'{"text": "hi"}', headers=headers) as answer:
            assert (answer.status, await answer.text()) == (200, "hi")
    async with client.get("/healthz", headers={"Content-Encoding": "gzip"}) as answer:
        assert answer.status == 200  # there is no body


async def test_compressed_body_of_an_announced_upload_is_refused(
    client: aiohttp.ClientSession,
) -> None:
    async with client.put("/files/b/p", data=BLANKS, headers={"Content-Encoding": "gzip"}) as no:
        assert no.status == 415


async def test_websocket_compression_is_not_agreed_on() -> None:
    extension = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    async with hall() as h, Wire(h) as wire:
        wire.send(request("/ws", extension))
        head = await wire.head()
        assert head.startswith("HTTP/1.1 101 ")
        assert "extensions" not in head.lower()
