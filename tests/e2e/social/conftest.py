"""One running server for all tests of the social platform, and people who use it over HTTP."""

import asyncio
import re
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final
from zlib import compress, crc32

import aiohttp
import asyncpg
import pytest

from tests.faults.client_line import Guest, new_guests
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.integration.social.world import WRONG_COUNTERS


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc32(name + body))


# An image of 8 by 8 black pixels.
PNG: Final = b"".join(
    (
        b"\x89PNG\r\n\x1a\n",
        _chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0)),
        _chunk(b"IDAT", compress(bytes(8 * 9))),
        _chunk(b"IEND", b""),
    )
)
NOT_LIMITED: Final = {
    f"{name}_{field}": 1_000_000
    for name, fields in {
        "creations": ("writes_per_minute", "writes_burst", "views_per_minute"),
        "reactions": ("likes_per_minute", "comments_per_minute", "comments_burst"),
        "feed": ("searches_per_minute",),
        "reports": ("filed_per_minute",),
        "follows": ("changes_per_minute",),
    }.items()
    for field in fields
}


@dataclass
class Platform:
    """A running server, and its database as its owner."""

    node: Node
    serving_dsn: str
    web: aiohttp.ClientSession
    owner: asyncpg.Connection

    async def people(self, count: int) -> list["Person"]:
        """Sign people in."""
        return [Person(self, guest) for guest in await new_guests(self.node, count)]

    async def ask(
        self, who: "Person | None", method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if who is not None:
            sent |= bearer(who.guest.token)
        async with self.web.request(method, f"/v1{path}", json=body, headers=sent) as answer:
            return answer.status, await answer.json() if answer.status != 304 else None

    async def metric(self, name: str) -> float:
        """Read a metric of the node."""
        async with self.web.get("/metrics") as answer:
            found = re.search(rf"^{name} (\S+)$", await answer.text(), re.M)
        assert found is not None, name
        return float(found[1])

    async def wrong_counters(self) -> list[Any]:
        """List the counters that are not what they count."""
        return await self.owner.fetch(WRONG_COUNTERS)


@dataclass
class Person:
    """Somebody with a token."""

    platform: Platform
    guest: Guest

    @property
    def id(self) -> str:
        return str(self.guest.session["user_id"])

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        return await self.platform.ask(self, method, path, body)

    async def ok(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = await self.ask(method, path, body)
        assert status == 200, answer
        return answer

    async def refused(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        status, answer = await self.ask(method, path, body)
        assert status != 200, answer
        return status, answer["code"]

    async def draft(self, title: str = "A lake", **fields: Any) -> str:
        body = {"title": title, "type": "text", **fields}
        return str((await self.ok("POST", "/creations", body))["creation_id"])

    async def published(self, title: str = "A lake", **fields: Any) -> str:
        """Publish a creation that needs no file."""
        creation = await self.draft(title, **fields)
        await self.ok("POST", f"/creations/{creation}/publish")
        return creation

    async def comment(self, creation: str, content: str = "Well done", **fields: Any) -> str:
        body = {"content": content, **fields}
        return str((await self.ok("POST", f"/creations/{creation}/comments", body))["comment_id"])

    async def notices(self) -> list[tuple[str, str | None]]:
        """List the kinds of notifications that were made for them, and whose doing they are."""
        rows = await self.platform.owner.fetch(
            "SELECT type, actor_id::text FROM notifications WHERE user_id = $1 ORDER BY seq",
            self.id,
        )
        return [(row["type"], row["actor_id"]) for row in rows]

    async def upload(self, creation: str, content: bytes = PNG, **fields: Any) -> str:
        """Upload a file of a creation, and link it; give its address."""
        body = {"size": len(content), "content_type": "image/png", **fields}
        announced = await self.ok("POST", f"/creations/{creation}/uploads", body)
        headers = {"Content-Type": body["content_type"]}
        put = self.platform.web.put(announced["upload_url"], data=content, headers=headers)
        async with put as answer:
            assert answer.status == 200, await answer.text()
        await self.ok("POST", f"/creations/{creation}/files")
        await self.settled(creation)
        return str(announced["url"])

    async def settled(self, creation: str) -> Any:
        """Wait until the image of a creation is processed, or has failed."""
        async with asyncio.timeout(60):
            while True:
                found = await self.ok("GET", f"/creations/{creation}")
                if found["file_state"] != "waiting":
                    return found
                await asyncio.sleep(0.05)


@pytest.fixture(scope="package")
async def platform(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    dsn = databases.create(template=TEMPLATE)
    serving_dsn = databases.serving_dsn(dsn)
    folder = tmp_path_factory.mktemp("social")
    with Node(folder, serving_dsn, **NOT_LIMITED) as node:
        owner = await asyncpg.connect(dsn)
        try:
            async with aiohttp.ClientSession(node.url) as web:
                yield Platform(node, serving_dsn, web, owner)
        finally:
            await owner.close()
    databases.drop(dsn)
    assert "Traceback" not in (said := "\n".join(node.output)), said
