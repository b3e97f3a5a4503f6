"""The pages in a real browser: what is drawn after the scripts have run."""

import asyncio
import re
import shutil
from pathlib import Path

import aiohttp
import pytest

from protocol.catalog import COMMANDS, UPDATES, all_errors
from server.gateway.http.endpoints import Endpoint
from tests.integration.web.site import Site, open_site

CHROMIUM = shutil.which("chromium")
TIMEOUT_S = 60.0

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


async def _draw(client: aiohttp.ClientSession, path: str, folder: Path) -> str:
    """Open a page and return its markup once it has settled.

    A browser that ends without a word, as on a machine that is short of something, starts again.
    """
    said = b""
    for attempt in range(3):
        markup, said = await _dump(client, path, folder / f"profile {attempt}")
        if markup:
            return markup.decode()
    raise AssertionError(f"the browser printed nothing but {said.decode()[-1000:]}")


async def _dump(client: aiohttp.ClientSession, path: str, profile: Path) -> tuple[bytes, bytes]:
    assert CHROMIUM is not None
    browser = await asyncio.create_subprocess_exec(
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=3000",
        "--dump-dom",
        str(client._build_url(path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await browser.communicate()
    finally:
        if browser.returncode is None:
            browser.kill()


async def test_start_page_shows_counts_and_games(
    site: Site, rooms: list[Endpoint], tmp_path: Path
) -> None:
    async with open_site(site, rooms) as client:
        drawn = await _draw(client, "/", tmp_path)
    assert "This server is up" in drawn
    for shown in ("1,234", "8,901,234", "1 d 2 h"):
        assert f">{shown}</dd>" in drawn
    assert re.search(r'id="rulesets"><li><h3>', drawn)


async def test_docs_page_shows_everything(
    site: Site, rooms: list[Endpoint], tmp_path: Path
) -> None:
    async with open_site(site, rooms) as client:
        drawn = await _draw(client, "/docs", tmp_path)
    assert 'data-drawn="yes"' in drawn
    for name in (*COMMANDS, *UPDATES):
        assert f'id="ws-{name}"' in drawn
    for endpoint in rooms:
        assert f">{endpoint.path}</a>" in drawn
    for error in all_errors():
        assert f"<code>{error.code}</code>" in drawn
    ids = re.findall(r'\bid="([^"]+)"', drawn)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', drawn)) <= set(ids)
