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


async def _draw(client: aiohttp.ClientSession, path: str, profile: Path) -> str:
    """Open a page and return its markup once it has settled."""
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
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            markup, _ = await browser.communicate()
    finally:
        if browser.returncode is None:
            browser.kill()
    return markup.decode()


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
