"""Two people's accounts on a real node, to be merged."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from tests.fixtures.browser import Browser, browser
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.ports import free_port
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.fixtures.smtp import PostOffice, post_office, until

GUEST, MERGE, PREVIEW = "/v1/auth/guest", "/v1/me/merge", "/v1/me/merge/preview"
# Every table that can change for a person, as one text: an undone merge leaves all of it as it was.
KEPT = (
    "profiles",
    "players",
    "blueprints",
    "wallets",
    "account_roles",
    "playhall_auth.methods",
    "match_players",
    "player_lifetime_stats",
)

AXE = "axe-core@4"
INSTALL_TIMEOUT_S = 60

# What changes by itself, or is sealed anew.
PASSING = ("updated_at", "sealed", "platform_links", "last_seen")


@dataclass
class World:
    """A node, a client without a token, and the database as its owner."""

    node: Node
    web: aiohttp.ClientSession
    owner: asyncpg.Connection
    office: PostOffice

    async def ask(
        self, verb: str, path: str, who: dict[str, Any] | None = None, **body: Any
    ) -> tuple[int, Any]:
        headers = bearer(who["access_token"]) if who else {}
        async with self.web.request(verb, path, json=body, headers=headers) as reply:
            return reply.status, await reply.json()

    async def good(
        self, verb: str, path: str, who: dict[str, Any] | None = None, **body: Any
    ) -> Any:
        status, answer = await self.ask(verb, path, who, **body)
        assert status == 200, answer
        return answer

    async def guest(self, **body: str) -> Any:
        return await self.good("POST", GUEST, **body)

    async def registered(self, email: str) -> Any:
        """Register with an email address."""
        await self.good("POST", "/v1/auth/email", email=email)
        await until(lambda: self.office.to(email) != [])
        text = self.office.to(email)[-1].get_content()
        code = text.partition("/account/confirm#")[2].split()[0]
        confirmed = await self.good(
            "POST", "/v1/auth/email/confirm", code=code, password="correct horse"
        )
        return confirmed["tokens"]

    async def preview(self, stays: Any, merged: Any) -> Any:
        return await self.good("POST", PREVIEW, stays, access_token=merged["access_token"])

    async def merged(self, stays: Any, merged: Any) -> Any:
        token = (await self.preview(stays, merged))["merge_token"]
        return await self.good("POST", MERGE, stays, merge_token=token)

    @asynccontextmanager
    async def again(self) -> AsyncIterator["World"]:
        """Start the node again, which may have another address then."""
        await asyncio.to_thread(self.node.start)
        async with aiohttp.ClientSession(self.node.url) as web:
            yield replace(self, web=web)

    async def rows(self) -> str:
        """Read everything of people, but when it changed and how it is sealed."""
        found = [
            await self.owner.fetchval(
                f"SELECT jsonb_agg(to_jsonb(t) - $1::text[] ORDER BY t::text)::text FROM {table} t",
                [*PASSING],
            )
            for table in KEPT
        ]
        return "\n".join(str(each) for each in found)


@pytest.fixture
async def world(fresh_dsn: str, serving_dsn: str, tmp_path: Path) -> AsyncIterator[World]:
    async with post_office() as (office, port):
        smtp_url = f"smtp+plain://127.0.0.1:{port}"
        node = Node(tmp_path, serving_dsn, dev_login="1", smtp_url=smtp_url, saves_slots_max=3)
        await asyncio.to_thread(node.start)
        owner = await asyncpg.connect(fresh_dsn)
        try:
            async with aiohttp.ClientSession(node.url) as web:
                yield World(node, web, owner, office)
        finally:
            await owner.close()
            node.kill()
    assert "Traceback" not in (said := "\n".join(node.output)), said


# The origin of a page that is developed elsewhere, as `PLAYHALL_ORIGINS` names it.
DEVELOPERS_PORT = free_port()


@pytest.fixture(scope="module")
def pages_node(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node whose pages are used; it comes back at the same address after it was killed."""
    dsn = databases.create(template=TEMPLATE)
    settings = {
        "port": free_port(),
        "quick_play_wait_s": 0.2,
        "origins": f"http://127.0.0.1:{DEVELOPERS_PORT}",
    }
    serving_dsn = databases.serving_dsn(dsn)
    with Node(tmp_path_factory.mktemp("node"), serving_dsn, **settings) as node:
        yield node
    assert "Traceback" not in (said := "\n".join(node.output)), said
    databases.drop(dsn)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser, in which every person has a storage of their own."""
    with browser(tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, from npm."""
    if (npm := shutil.which("npm")) is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("npm")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", AXE]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, timeout=INSTALL_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("npm's registry does not answer")
    if done.returncode:
        pytest.skip("npm cannot install axe-core")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()
