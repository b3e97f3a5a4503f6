"""All pages in a real browser: accessible in both schemes and at 360 px, and at work.

With PLAYHALL_SCREENSHOTS, a folder, the pages are drawn into it as they are visited:

    PLAYHALL_FAULTS=long PLAYHALL_SCREENSHOTS=docs/images pytest \
        tests/e2e/test_pages_in_a_browser.py
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.e2e.conftest import DEVELOPERS_PORT
from tests.fixtures.browser import CHROMIUM, Browser, Page
from tests.fixtures.node import Node
from tests.fixtures.ports import free_port

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

SERIOUS = ("serious", "critical")
WIDE, NARROW = (960, 720), (360, 720)
TABLE = "document.querySelector('.table-root')?.dataset.mine === 'true'"

# Address, what is there once the page is drawn, and the name of its images.
PAGES = (
    ("/", "document.querySelectorAll('[data-play]').length > 3", "start"),
    ("/lobbies", "!!document.querySelector('#lobbies')", "lobbies"),
    ("/lobbies?create=el_dorado", "!!document.querySelector('#config-rounds')", "lobby-new"),
    ("/account", "!!document.querySelector('form')", "account"),
    ("/account/confirm#code", "!!document.querySelector('#form')", "confirm"),
    ("/notifications/unsubscribe#x", "!!document.querySelector('.bar')", "unsubscribe"),
    ("/docs/index", "!!document.querySelector('main.guide')", "guides"),
    ("/docs/guides/rulesets", "!!document.querySelector('main.guide table')", "guide"),
    ("/peers", "!!document.querySelector('#create')", "peers-start"),
)


async def serious_findings(page: Page, axe: str, *, colours_only: bool) -> list[str]:
    await page.run(f"typeof axe === 'object' || void (0, eval)({json.dumps(axe)})")
    rules = "runOnly: ['color-contrast']" if colours_only else "resultTypes: ['violations']"
    found = await page.run(f"axe.run(document, {{{rules}}}).then(done => done.violations)")
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]


async def check(page: Page, name: str, axe: str) -> None:
    """Look at a page as it is now: light, dark and narrow."""
    for look, (width, height), dark in (
        ("light", WIDE, False),
        ("dark", WIDE, True),
        ("360px", NARROW, False),
    ):
        await page.emulate(width=width, height=height, dark=dark)
        assert await page.run("document.documentElement.scrollWidth") <= width, (name, look)
        if look != "360px":
            found = await serious_findings(page, axe, colours_only=dark)
            assert found == [], (name, look)
        if folder := os.environ.get("PLAYHALL_SCREENSHOTS"):
            await page.run("scrollTo(0, 0)")
            await page.screenshot(Path(folder) / f"{name}-{look}.png")


@pytest.mark.long("half a minute")
async def test_nothing_serious_on_any_page(pages_node: Node, chromium: Browser, axe: str) -> None:
    async with chromium.person(pages_node.url) as page:
        for address, drawn, name in PAGES:
            await page.go(f"{pages_node.url}{address}")
            await page.until(drawn)
            await check(page, name, axe)
        await page.go(f"{pages_node.url}/lobbies?create=el_dorado")
        await page.click("form .actions button")
        await page.click("[data-add=bid_and_duck]")
        await page.click("[data-add=random]")
        await page.until("document.querySelectorAll('#members li:not(.empty)').length === 3")
        await check(page, "lobby", axe)
        await page.click("[data-key=start]")
        await page.until("!!document.querySelector('.el-bids button')")
        await check(page, "el-dorado-bid", axe)
        await page.click(".el-bids button")
        await page.until(
            f"{TABLE} && !!document.querySelector('.el-hand button:not([aria-disabled])')"
        )
        await page.click(".el-hand button:not([aria-disabled])")
        await page.until(f"{TABLE} && !!document.querySelector('.el-trick figure')")
        await check(page, "el-dorado", axe)
        await page.go(f"{pages_node.url}/")
        await page.click("[data-bots=four_in_a_row]")
        await page.until("!!document.querySelector('.four-column:not([aria-disabled])')")
        await page.click("[data-key=column-3]")
        await page.until(f"{TABLE} && document.querySelectorAll('[data-seat]').length > 3")
        await check(page, "four-in-a-row", axe)
        await page.go(f"{pages_node.url}/")
        await page.click("[data-bots=reversi]")
        await page.until("!!document.querySelector('.table-root table')")
        await check(page, "any-game", axe)
        await page.go(f"{pages_node.url}/account")
        await page.until("!!document.querySelector('#display-name')")
        await check(page, "account-own", axe)


@pytest.mark.parametrize("transport", ["webrtc", "relay"])
async def test_two_browsers_exchange_moves(
    pages_node: Node, chromium: Browser, transport: str
) -> None:
    wanted = f"transport={transport}"
    async with (
        chromium.person(f"{pages_node.url}/peers?{wanted}") as ann,
        chromium.person("about:blank") as bob,
    ):
        await ann.click("#create")
        await ann.until("!!document.querySelector('#join-code')")
        code = await ann.run("document.querySelector('#join-code').textContent")
        await bob.go(f"{pages_node.url}/peers?join={code}&{wanted}")
        await carried(ann, bob, by=transport)
        for turn, cell in enumerate((0, 3, 1, 4, 2)):
            page = (ann, bob)[turn % 2]
            await page.click(f'[data-cell="{cell}"]:not([aria-disabled])')
            if turn == 2 and transport == "webrtc":
                if folder := os.environ.get("PLAYHALL_SCREENSHOTS"):
                    await ann.emulate(width=WIDE[0], height=WIDE[1])
                    await ann.screenshot(Path(folder) / "peers-light.png")
                await ann.click("[data-key=fallback]")
                await carried(ann, bob, by="relay")
        await ann.until("document.querySelector('.turn').textContent === 'You won!'")
        await bob.until("document.querySelector('.turn').textContent === 'You lost.'")


async def carried(*pages: Page, by: str) -> None:
    for page in pages:
        await page.until(f"document.querySelector('#transport')?.dataset.transport === '{by}'")


@pytest.mark.long("two servers")
async def test_people_on_two_nodes_play_with_each_other(
    tmp_path: Path, serving_dsn: str, chromium: Browser
) -> None:
    """A game is on one node; the page that another node served follows it there."""
    ports = free_port(), free_port()
    origins = ",".join(f"http://127.0.0.1:{port}" for port in ports)
    nodes = [Node(tmp_path / str(port), serving_dsn, port=port, origins=origins) for port in ports]
    async with AsyncExitStack() as stack:
        people = []
        for node in nodes:
            stack.enter_context(node)
            address = f"{node.url}/lobbies"
            people.append(await stack.enter_async_context(chromium.person(address)))
        ann, bob = people
        await ann.go(f"{nodes[0].url}/lobbies?create=four_in_a_row")
        await ann.click("form .actions button")
        await ann.until("!!document.querySelector('#join-code')")
        code = await ann.run("document.querySelector('#join-code').textContent")
        await bob.go(f"{nodes[1].url}/lobbies?join={code}")
        await bob.click("[data-key=ready]")
        await ann.until("document.querySelector('[data-key=start]')?.disabled === false")
        await ann.click("[data-key=start]")
        for turn in range(7):
            page = people[turn % 2]
            await page.until(TABLE)
            await page.click(f"[data-key=column-{turn % 2}]:not([aria-disabled])")
        for page in people:
            await page.until("document.querySelector('.result')?.hidden === false")


# ------------------------------------------------------------------ pages of other origins


@asynccontextmanager
async def developers_page(port: int) -> AsyncIterator[str]:
    """Serve an empty page, as a developer's own server does."""

    async def empty(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>Mine</title>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", empty)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


SDK = Path(__file__).parents[2] / "clients" / "js" / "playhall.js"


async def test_page_of_a_named_origin_plays(pages_node: Node, chromium: Browser) -> None:
    async with developers_page(DEVELOPERS_PORT) as origin, chromium.person(origin) as page:
        await page.until("document.title === 'Mine'")
        events = await page.run(
            f"import('{pages_node.url}/sdk/playhall.js').then(async ({{ connect }}) => {{"
            f"  const client = await connect('{pages_node.url}');"
            "   const game = await client.lobbies.quickPlay('four_in_a_row');"
            "   let events = 0;"
            "   for await (const event of game) {"
            "     events += 1;"
            "     const { legal_moves } = await game.view();"
            "     if (legal_moves.length) await game.act(legal_moves[0]);"
            "   }"
            "   client.close();"
            "   return events; })"
        )
        assert events > 8


async def test_page_of_another_origin_is_told_which_setting_names_it(
    pages_node: Node, chromium: Browser
) -> None:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{pages_node.url}/v1/auth/guest", json={}) as answer,
    ):
        token = (await answer.json())["access_token"]
    source = json.dumps(SDK.read_text())
    port = free_port()
    async with developers_page(port) as origin, chromium.person(origin) as page:
        await page.until("document.title === 'Mine'")
        for options in ("{}", json.dumps({"token": token})):  # HTTP, then the websocket
            said = await page.run(
                f"import(URL.createObjectURL(new Blob([{source}], {{type: 'text/javascript'}})))"
                f".then(({{ connect }}) => connect('{pages_node.url}', {options}))"
                ".then(() => 'connected', (error) => `${error.name}: ${error.message}`)"
            )
            assert said.startswith("ServerUnreachable: "), said
            assert f"PLAYHALL_ORIGINS={origin}" in said
        said = await page.run(
            f"import(URL.createObjectURL(new Blob([{source}], {{type: 'text/javascript'}})))"
            f".then(({{ connect }}) => connect('http://127.0.0.1:{free_port()}'))"
            ".then(() => 'connected', (error) => error.message)"
        )
        assert "Is a server running there" in said
