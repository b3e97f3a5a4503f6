"""The examples of the JavaScript client: the page plays the bot, from another web server."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from aiohttp import web

from persistence.address_space import lift_limit
from tests.fixtures.browser import CHROMIUM, browser
from tests.fixtures.node import Node

CLIENT = Path(__file__).parents[2] / "clients" / "js"
NODE = shutil.which("node")
TIMEOUT_S = 120

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(NODE is None, reason="node is not installed"),
]
CLICK = """
(() => {
  const open = [...document.querySelectorAll("#board button:enabled")];
  open.at(-1)?.click();
  return /won|lost/.test(document.querySelector("#state").textContent);
})()
"""


async def test_page_and_bot_play_each_other(tmp_path: Path, serving_dsn: str) -> None:
    app = web.Application()
    app.router.add_static("/", CLIENT / "examples")
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    site = f"http://{host}:{port}"
    try:
        with (
            Node(tmp_path / "node", serving_dsn, origins=site, quick_play_wait_s=60) as node,
            browser(tmp_path / "profile") as chromium,
        ):
            async with chromium.page(f"{site}/four_in_a_row.html?server={node.url}") as page:
                await page.until("document.querySelectorAll('#board button').length === 7")
                await page.run("document.querySelector('#play').click()")
                await page.until("document.querySelector('#state').textContent.includes('Waiting')")
                bot = await play_bot(node.url)
                try:
                    async with asyncio.timeout(TIMEOUT_S):
                        while not await page.run(CLICK):
                            await asyncio.sleep(0.02)
                        said, problem = await bot.communicate()
                finally:
                    if bot.returncode is None:
                        bot.kill()
                state = await page.run("document.querySelector('#state').textContent")
    finally:
        await runner.cleanup()
    assert bot.returncode == 0, problem.decode()
    outcome = said.decode().rpartition(": ")[2].strip()
    assert {"won": "You lost.", "lost": "You won.", "drawn": "Nobody won."}[outcome] == state


async def play_bot(url: str) -> asyncio.subprocess.Process:
    assert NODE is not None
    lift_limit()  # which a server in this process has set: Node.js maps gigabytes
    return await asyncio.create_subprocess_exec(
        *(NODE, "--experimental-websocket", str(CLIENT / "examples" / "bot.js"), url, "1"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NODE_NO_WARNINGS": "1"},
    )
