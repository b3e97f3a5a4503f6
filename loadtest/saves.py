"""How many saves and manifests a server answers, and what each costs it and its database.

    python -m loadtest.saves [--requests 6000] [--runs 5] [--connections 16]

It starts a server of its own on one core; the database and the load have the others. A run writes
states of 4 KB over HTTP, each answered after its commit, then asks for the manifest of a catalog,
with a token and with an installation's name alone. `--merges` measures the merge of a state of
1 MiB instead, without a server. Linux only. See docs/operations/benchmarks.md.
"""

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Final, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import orjson
import typer
from rich.console import Console

from loadtest.benching.machine import Cores, cores, monitored
from loadtest.benching.servers import Node
from loadtest.telemetry import Figures

STATE_BYTES: Final = 4096
PLACES: Final = tuple((name, place) for name in ("story", "voices") for place in range(6))
TITLE: Final = "bench"
SCHEMA: Final = {
    "json_schema": {
        "type": "object",
        "properties": {
            "chapter": {"type": "integer", "minimum": 0},
            "flags": {"type": "object", "additionalProperties": {"type": "boolean"}},
            "counters": {"type": "object", "additionalProperties": {"type": "integer"}},
            "inventory": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"id": {"type": "string"}, "n": {"type": "integer"}},
                    "required": ["id", "n"],
                },
            },
            "text": {"type": "string"},
        },
        "additionalProperties": False,
    },
    "merge": {"/chapter": "max", "/counters/*": "sum", "/flags/*": "newest"},
}
ROOM: Final = {
    "PLAYHALL_SAVES_WRITES_PER_MINUTE": "1000000",
    "PLAYHALL_SAVES_WRITES_BURST": "1000000",
}

out = Console(highlight=False, soft_wrap=True)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Person(NamedTuple):
    """An account and its token."""

    user_id: str
    token: str


def make_state(revision: int) -> dict[str, Any]:
    """Make a state of about 4 KB as a story game would save it."""
    state: dict[str, Any] = {
        "chapter": revision % 12,
        "flags": {f"flag_{place}": (place + revision) % 3 == 0 for place in range(60)},
        "counters": {f"counter_{place}": place * revision for place in range(40)},
        "inventory": [{"id": f"item_{place}", "n": place} for place in range(20)],
        "text": "",
    }
    state["text"] = "x" * max(0, STATE_BYTES - len(orjson.dumps(state)))
    return state


def written(url: str, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """Write a whole request, so that the load costs little while it is sent."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {urlsplit(url).netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def sign_in(web: aiohttp.ClientSession) -> Person:
    """Make a guest."""
    async with web.post("/v1/auth/guest", json={}) as reply:
        tokens = await reply.json()
    return Person(tokens["user_id"], tokens["access_token"])


async def make_slot(web: aiohttp.ClientSession, person: Person) -> str:
    """Make a slot; gives its id."""
    save = {"title": TITLE, "state": make_state(0)}
    async with web.post("/v1/saves", json=save, headers=_bearer(person)) as reply:
        made = await reply.json()
    return str(made["slot_id"])


async def publish_schema(web: aiohttp.ClientSession, editor: Person) -> None:
    """Publish the schema of the title."""
    path = f"/v1/admin/save-schemas/{TITLE}/1"
    async with web.put(path, json=SCHEMA, headers=_bearer(editor)) as reply:
        reply.raise_for_status()


async def release_packages(web: aiohttp.ClientSession, editor: Person) -> None:
    """Release some packages, one of them to a share of the accounts."""
    for name, place in PLACES:
        content = f"{name} {place}".encode() * 100
        package = {
            "name": f"{name}_{place}",
            "version": "1.0.0",
            "locale": "und" if place % 2 else "de",
            "checksum": f"sha256:{sha256(content).hexdigest()}",
            "size": len(content),
            "rollout_percent": 50 if place == 0 else 100,
        }
        async with web.post("/v1/content/packages", json=package, headers=_bearer(editor)) as reply:
            draft = await reply.json()
        async with web.put(draft["url"], data=content, headers=_bearer(editor)) as reply:
            reply.raise_for_status()
        path = f"/v1/content/packages/{draft['package_id']}/release"
        async with web.post(path, json={}, headers=_bearer(editor)) as reply:
            reply.raise_for_status()


def _bearer(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.token}"}


def saves_of(url: str, person: Person, slot_id: str, first: int, count: int) -> list[bytes]:
    """Write the requests that bring a slot on, from a revision."""
    requests = []
    for revision in range(first, first + count):
        body = {"state": make_state(revision), "mutation_id": str(uuid4()), "device": "bench"}
        headers = {**_bearer(person), "If-Match": f'"{revision}"'}
        path = f"/v1/saves/{slot_id}"
        requests.append(written(url, "PUT", path, headers, orjson.dumps(body)))
    return requests


async def send_all(url: str, requests: Sequence[Sequence[bytes]]) -> None:
    """Send everything, each list over a connection of its own."""
    await asyncio.gather(*(_send(url, each) for each in requests))


async def _send(url: str, requests: Sequence[bytes]) -> None:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        _, _, rest = head.lower().partition(b"content-length: ")
        answer = await reader.readexactly(int(rest.partition(b"\r\n")[0]))
        if b" 200 " not in head.partition(b"\r\n")[0]:
            raise SystemExit(f"a request was refused: {answer.decode()}")
    writer.close()


def measure(node: Node, on: Cores, requests: Sequence[Sequence[bytes]]) -> Figures:
    """Send requests; gives the figures."""
    count = sum(map(len, requests))
    with monitored(on=on, server=node.pid, database=node.database_pid) as monitor:
        monitor.sample()
        began_s = time.monotonic()
        asyncio.run(send_all(node.url, requests))
        sent_s = time.monotonic()
        monitor.sample()
    usage = monitor.between(began_s, sent_s)
    each_us = [
        used * usage.seconds / count * 1e6 for used in (usage.server, usage.database, usage.load)
    ]
    return Figures(count / (sent_s - began_s), *each_us)


class Stage:
    """A server with people, their slots and a catalog."""

    def __init__(self, node: Node, on: Cores, connections: int) -> None:
        self._node = node
        self._on = on
        self._people, self._slots = asyncio.run(self._prepare(connections))
        self._revision = 1

    async def _prepare(self, connections: int) -> tuple[list[Person], list[str]]:
        async with aiohttp.ClientSession(self._node.url) as web:
            editor = await sign_in(web)
            await asyncio.to_thread(
                self._node.console, "accounts", "grant", editor.user_id, "editor"
            )
            await publish_schema(web, editor)
            await release_packages(web, editor)
            people = [await sign_in(web) for _ in range(connections)]
            return people, [await make_slot(web, each) for each in people]

    def saves(self, requests: int) -> Figures:
        """Write states."""
        share = -(-requests // len(self._people))
        made = [
            saves_of(self._node.url, person, slot_id, self._revision, share)
            for person, slot_id in zip(self._people, self._slots, strict=True)
        ]
        self._revision += share
        return measure(self._node, self._on, made)

    def manifests(self, requests: int, *, is_signed_in: bool) -> Figures:
        """Ask for manifests."""
        share = -(-requests // len(self._people))
        path = "/v1/content/manifest?client=1.4.0&locale=de-AT&channel=stable"
        made = [
            [
                written(
                    self._node.url,
                    "GET",
                    path if is_signed_in else f"{path}&installation=bench-{place}",
                    _bearer(person) if is_signed_in else {},
                )
            ]
            * share
            for place, person in enumerate(self._people)
        ]
        return measure(self._node, self._on, made)


@app.command()
def main(
    requests: Annotated[int, typer.Option(min=1, help="Requests of each kind in a run.")] = 6000,
    runs: Annotated[int, typer.Option(min=1)] = 5,
    connections: Annotated[int, typer.Option(min=1, max=256)] = 16,
) -> None:
    """Measure, and show each run and the medians."""
    os.environ.update(ROOM)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    on = cores()
    os.sched_setaffinity(0, on.rest)
    with tempfile.TemporaryDirectory(prefix="playhall-saves-") as folder:
        Path(folder).chmod(0o755)
        node = Node(Path(folder) / "node", on=on)
        node.start()
        try:
            stage = Stage(node, on, connections)
            stage.saves(requests // 4)
            found = [
                (
                    stage.saves(requests),
                    stage.manifests(requests, is_signed_in=True),
                    stage.manifests(requests, is_signed_in=False),
                )
                for _ in range(runs)
            ]
        finally:
            node.clear()
    kinds = ("saves", "manifests with a token", "manifests without one")
    for what, figures in zip(kinds, zip(*found, strict=True), strict=True):
        for each in figures:
            out.print(_line(what, each))
        middle = Figures(*(median(column) for column in zip(*figures, strict=True)))
        out.print(f"[bold]{_line(f'{what}, median', middle)}[/bold]")


def _line(what: str, figures: Figures) -> str:
    return (
        f"{what}: {figures.events_per_s:,.0f} a second; for each: "
        f"server {figures.server_us:.0f} µs, database {figures.database_us:.0f} µs, "
        f"load {figures.load_us:.0f} µs"
    )


if __name__ == "__main__":
    app()
