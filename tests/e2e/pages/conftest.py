"""One node and one browser for all tests of the pages, and people who come with their sessions."""

import json
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.faults.client_line import Guest, lines, new_guests, served
from tests.fixtures.browser import CHROMIUM, Browser, Page, browser
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.postgres import Databases

Json = dict[str, Any]


@dataclass
class Site:
    """A node, and a browser that goes there."""

    node: Node
    chromium: Browser

    async def guests(self, *names: str) -> list[Guest]:
        """Sign people in under these names."""
        found = await new_guests(self.node, len(names))
        for guest, name in zip(found, names, strict=True):
            await self.ask(guest, "PATCH", "/v1/me", display_name=name)
            guest.session["display_name"] = name
        return found

    async def ask(self, who: Guest | None, method: str, path: str, **body: Any) -> Any:
        """Send a request that must succeed."""
        headers = bearer(who.token) if who else {}
        async with (
            aiohttp.ClientSession(self.node.url) as web,
            web.request(method, path, json=body or None, headers=headers) as answer,
        ):
            assert answer.status == 200, await answer.text()
            return await answer.json()

    @asynccontextmanager
    async def page(
        self, path: str, who: Guest | None = None, *, allowed: Sequence[str] = (), **window: Any
    ) -> AsyncIterator[Page]:
        """Open a page as somebody, with a storage of their own.

        Afterwards, nothing may be on the console but what contains one of the `allowed` texts.
        """
        async with self.chromium.person(f"{self.node.url}/notifications/unsubscribe") as page:
            await page.until("location.host && document.readyState === 'complete'")
            if who is not None:
                await page.run(f"localStorage.setItem('playhall.session', {session_text(who)})")
            await page.watch_console()
            await page.emulate(**{"width": 1000, "height": 900, **window})
            await page.go(self.node.url + path)
            yield page
            await page.run("1")  # what was said until now has come
        problems = [each for each in page.problems if not any(text in each for text in allowed)]
        assert not problems, problems

    async def play(
        self, guests: Sequence[Guest], ruleset: str, *, bots: Sequence[str] = (), **config: Any
    ) -> tuple[str, Json]:
        """Play a game to its end by chance; gives its id, and what a player kept in the middle."""
        chance = random.Random(ruleset)  # nosec - play
        async with lines(self.node, guests) as table:
            host, *others = table
            seats = len(guests) + len(bots)
            made = {"ruleset": ruleset, "seats": seats, "is_public": True, "config": config}
            lobby = (await host.ok("lobby.create", **made))["lobby"]
            for line in others:
                await line.ok("lobby.join", code=lobby["join_code"])
                await line.ok("lobby.ready", lobby_id=lobby["lobby_id"])
            for bot in bots:
                await host.ok("lobby.add_bot", lobby_id=lobby["lobby_id"], bot=bot)
            started = await host.ok("lobby.start", lobby_id=lobby["lobby_id"])
            game_id = str(started["lobby"]["game_id"])
            kept: Json = {}
            numbers = [0] * len(table)
            while True:
                for seat, line in enumerate(table):
                    look = await line.ok("game.snapshot", game_id=game_id)
                    if look["status"] == "completed":
                        return game_id, kept
                    if moves := look["view"]["legal_moves"]:
                        numbers[seat] += 1
                        move = {"cmd_no": numbers[seat], "move": chance.choice(moves)}
                        await line.call("game.act", game_id=game_id, **move)
                        kept = look if numbers[0] == 2 else kept


def session_text(who: Guest) -> str:
    """Write a session as the client keeps it, as a JavaScript string."""
    names = ("access_token", "refresh_token", "user_id", "player_id", "display_name")
    ends = (time.time() + who.session["expires_in"]) * 1000
    session = {name: who.session[name] for name in names}
    return json.dumps(json.dumps({**session, "expires_at": ends, "renew_at": ends - 60_000}))


@pytest.fixture(scope="package")
def site(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The node and the browser; without Chromium there is nothing to test."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    folder: Path = tmp_path_factory.mktemp("pages")
    with served(databases, folder / "node") as node, browser(folder / "profile") as chromium:
        yield Site(node, chromium)
    assert "Traceback" not in (said := "\n".join(node.output)), said
