"""A whole node, an editor who uploads and releases, and clients who ask."""

import random
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from typing import Any, TypeAlias

import aiohttp
import pytest

from persistence.packages.store import PackageStore
from protocol.ids import new_id
from server.domains.progression.packages.jobs import PackageMaintenance
from tests.fixtures.http import bearer
from tests.integration.bots.conftest import Node, Person, node

__all__ = ["node"]

Json: TypeAlias = dict[str, Any]


def checksum_of(content: bytes) -> str:
    """Write the checksum of some bytes."""
    return f"sha256:{sha256(content).hexdigest()}"


def prose(seed: int, words: int = 20_000) -> bytes:
    """Write text that compresses about as stories do."""
    chance = random.Random(seed)
    return b" ".join(b"w%d" % chance.randrange(5000) for _ in range(words))


@dataclass
class Studio:
    """An editor at a node."""

    node: Node
    editor: Person

    @property
    def maintenance(self) -> PackageMaintenance:
        """The node's sweeps over packages, to be done now."""
        (domain,) = [each for each in self.node.app.domains if each.name == "packages"]
        found = domain.jobs[0].run.__self__  # type: ignore[attr-defined]  # a bound method
        assert isinstance(found, PackageMaintenance)
        return found

    @property
    def store(self) -> PackageStore:
        return PackageStore(self.node.database, self.node.app.services.rls)

    async def announce(self, content: bytes, **fields: object) -> tuple[int, Json]:
        body = {
            "name": new_id(),
            "version": "1.0.0",
            "checksum": checksum_of(content),
            "size": len(content),
            **fields,
        }
        return await self.node.ask(self.editor, "POST", "/v1/content/packages", body)

    async def put(
        self, package: Json, content: bytes, who: Person | None = None
    ) -> tuple[int, Json]:
        headers = bearer((who or self.editor).token)
        sent = self.node.http.put(package["url"], data=BytesIO(content), headers=headers)
        async with sent as answer:
            return answer.status, await answer.json()

    async def draft(self, content: bytes, **fields: object) -> Json:
        """Make a draft and send its bytes."""
        status, made = await self.announce(content, **fields)
        assert status == 200, made
        status, stored = await self.put(made, content)
        assert status == 200, stored
        assert stored["uploaded_at"]
        return stored

    async def release(self, content: bytes, **fields: object) -> Json:
        """Make a draft and release it."""
        made = await self.draft(content, **fields)
        return await self.act(made, "release")

    async def act(self, package: Json, act: str, body: object = None) -> Json:
        path = f"/v1/content/packages/{package['package_id']}/{act}"
        return await self.node.ok(self.editor, "POST", path, body)

    async def refusal(self, package: Json, act: str, body: object = None) -> str:
        path = f"/v1/content/packages/{package['package_id']}/{act}"
        return await self.node.refusal(self.editor, "POST", path, body)

    async def manifest(self, who: Person | None = None, **query: object) -> Json:
        query = {"client": "1.0.0", **query}
        return await self.node.ok(who, "GET", "/v1/content/manifest", **query)

    async def fetched(self, name: str, who: Person | None = None, **query: object) -> Json | None:
        """Say what a client is to fetch of one name."""
        manifest = await self.manifest(who, **query)
        return next((each for each in manifest["fetch"] if each["name"] == name), None)

    async def get(
        self, url: str, who: Person | None = None, **headers: str
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if who is not None:
            sent |= bearer(who.token)
        async with self.node.http.get(url, headers=sent) as answer:
            return answer, await answer.read()

    async def run(self, statement: str, *values: object) -> list[Any]:
        async with self.node.database.acquire() as connection:
            return list(await connection.fetch(statement, *values))


@pytest.fixture(scope="module")
async def studio(node: Node) -> Studio:
    """An editor at the node of the file."""
    return Studio(node, await node.person(role="editor"))
