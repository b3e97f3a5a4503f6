"""Requests that are written before the time starts, sent over plain sockets: the load costs little.

Each connection sends one request after the other; answers are kept and read when the time is over.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import orjson
import uvloop

from loadtest.simulation.player import sign_in_guests
from playhall.http import HttpClient

_LENGTH: Final = b"content-length: "


class Answer(NamedTuple):
    """What a request was answered with, in JSON, and how long that took."""

    status: int
    body: bytes
    seconds: float

    @property
    def data(self) -> Any:
        """The answer, read."""
        return orjson.loads(self.body)


class Sent(NamedTuple):
    """All answers, by connection, and when it began and ended on the monotonic clock."""

    answers: list[list[Answer]]
    began_s: float
    ended_s: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended_s - self.began_s


def written(
    url: str,
    method: str,
    path: str,
    token: str,
    body: object = None,
    headers: Mapping[str, str] = {},
) -> bytes:
    """Write a whole request."""
    content = b"" if body is None else orjson.dumps(body)
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {urlsplit(url).netloc}",
        f"Authorization: Bearer {token}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + content


def send_all(url: str, connections: Sequence[Sequence[bytes]]) -> Sent:
    """Send all requests, each list over a connection of its own."""
    return uvloop.run(_send_all(url, connections))


async def _send_all(url: str, connections: Sequence[Sequence[bytes]]) -> Sent:
    began_s = time.monotonic()
    answers = await asyncio.gather(*(_send(url, requests) for requests in connections))
    return Sent(list(answers), began_s, time.monotonic())


async def _send(url: str, requests: Sequence[bytes]) -> list[Answer]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    answers = []
    try:
        for request in requests:
            began_s = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            _, _, rest = head.lower().partition(_LENGTH)
            body = await reader.readexactly(int(rest.partition(b"\r\n")[0]))
            seconds = time.perf_counter() - began_s
            answers.append(Answer(int(head[9:12]), body, seconds))
    finally:
        writer.close()
    return answers


def guests(url: str, count: int) -> list[str]:
    """Make guests; gives their tokens."""

    async def make() -> list[str]:
        async with HttpClient(url) as http:
            accounts = await sign_in_guests(http, count, on_count=lambda _: None)
            return [account.token for account in accounts]

    return asyncio.run(make())
