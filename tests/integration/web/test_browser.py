"""The pages in a real browser: what is drawn after the scripts have run."""

import re
from collections.abc import Iterator

import aiohttp
import pytest

from protocol.catalog import COMMANDS, UPDATES, all_errors
from server.gateway.http.endpoints import Endpoint
from tests.fixtures.browser import CHROMIUM, Browser, browser
from tests.integration.web.site import Site, open_site

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all pages."""
    with browser(tmp_path_factory.mktemp("browser") / "profile") as started:
        yield started


async def _draw(
    chromium: Browser, client: aiohttp.ClientSession, path: str, *, settled: str
) -> str:
    """Open a page and give its markup once an expression is true in it."""
    async with chromium.page(str(client._build_url(path))) as page:
        await page.until(settled)
        return str(await page.run("document.documentElement.outerHTML"))


async def test_start_page_shows_counts_and_games(
    chromium: Browser, site: Site, rooms: list[Endpoint]
) -> None:
    async with open_site(site, rooms) as client:
        drawn = await _draw(
            chromium,
            client,
            "/",
            settled="document.querySelector('#rulesets li') !== null"
            " && document.querySelector('#state').dataset.state === 'up'",
        )
    assert "This server is up" in drawn
    for shown in ("1,234", "8,901,234", "1 d 2 h"):
        assert f">{shown}</dd>" in drawn
    assert re.search(r'id="rulesets"><li><h3>', drawn)


async def test_docs_page_shows_everything(
    chromium: Browser, site: Site, rooms: list[Endpoint]
) -> None:
    async with open_site(site, rooms) as client:
        drawn = await _draw(
            chromium, client, "/docs", settled="document.querySelector('[data-drawn]') !== null"
        )
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
