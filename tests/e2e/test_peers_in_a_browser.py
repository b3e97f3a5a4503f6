"""Pages with the unmodified `peerjs` package meet through a lobby, also after its host died."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from tests.faults.client_line import new_guests
from tests.fixtures.browser import CHROMIUM, browser
from tests.fixtures.node import Node

PAGES = Path(__file__).with_name("peerjs")
GRACE_S = 1
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture
async def site() -> AsyncIterator[str]:
    """The game's own site: another origin than the server's."""
    app = web.Application()
    app.router.add_static("/", PAGES)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


@pytest.mark.parametrize("keys", [{}, {"peer_member_keys": "members"}], ids=["open", "members"])
async def test_pages_meet_through_a_lobby_and_again_after_their_host_was_killed(
    tmp_path: Path, serving_dsn: str, site: str, keys: dict[str, str]
) -> None:
    settings = {"origins": site, "lobby_grace_s": GRACE_S, **keys}
    async with AsyncExitStack() as stack:
        node = stack.enter_context(Node(tmp_path / "node", serving_dsn, **settings))
        chromium = stack.enter_context(browser(tmp_path / "profile"))
        ann_token, bob_token, cem_token = [g.token for g in await new_guests(node, 3)]

        def address(name: str) -> str:
            return f"{site}/lobby.html?name={name}&server={node.url}"

        ann = await stack.enter_async_context(chromium.page(address("ann")))
        bob = await stack.enter_async_context(chromium.page(address("bob")))
        cem = await stack.enter_async_context(chromium.page(address("cem")))
        for page in (ann, bob, cem):
            await page.until("typeof window.start === 'function'")

        code = await ann.run(f"start('{ann_token}')")
        for name, page, token in (("bob", bob, bob_token), ("cem", cem, cem_token)):
            await page.run(f"start('{token}', '{code}')")
            await page.until(f"state.heard.includes('hello from {name}, says ann!')")
        assert await ann.run("state.heard.sort().join()") == "hello from bob,hello from cem"

        await ann.crash()
        await bob.until("state.isHost")
        await cem.until("state.heard.includes('hello from cem, says bob!')")
        assert await bob.run("state.heard.includes('hello from cem')")
        if folder := os.environ.get("PLAYHALL_SCREENSHOTS"):
            await cem.screenshot(Path(folder) / "peers.png")
