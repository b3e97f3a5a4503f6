"""Signing in with Discord by people who lie on the way: a real node, a real provider with PKCE.

Whatever is wrong, the browser is refused, nobody is signed in, and nothing is left of it.
"""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import aiohttp
import psycopg
import pytest

from server.domains.people.accounts.browser_sign_in import (
    COOKIE,
    STATE_CHARS_IN_NAME,
    callback_path,
    start_path,
)
from server.domains.people.accounts.discord import DISCORD
from server.domains.people.accounts.providers import compute_challenge
from tests.faults.client_line import Json
from tests.faults.conftest import Nodes
from tests.faults.table import Figures
from tests.fixtures.node import Node
from tests.integration.accounts.provider import CLIENT_ID, CLIENT_SECRET, Provider, provider

START, CALLBACK = start_path(DISCORD), callback_path(DISCORD)
TARGET = "http://127.0.0.1:51234/"
BAD_CODE = (403, "bad_code")
SENT_BACK = (303, "discord_refused")
KEPT = (
    "auth.users",
    "profiles",
    "players",
    "playhall_auth.sessions",
    "playhall_auth.refresh_tokens",
    "playhall_auth.methods",
    "playhall_auth.codes",
)

Verdict = tuple[int, str]


@dataclass
class World:
    """A node, where it sends people to, and its database."""

    node: Node
    there: Provider
    dsn: str

    def rows(self) -> dict[str, int]:
        """Count what signing in would leave behind."""
        with psycopg.connect(self.dsn) as connection:
            return {name: _count(connection, name) for name in KEPT}


def _count(connection: psycopg.Connection, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
async def world(nodes: Nodes, serving_dsn: str, fresh_dsn: str) -> AsyncIterator[World]:
    async with provider() as there:
        settings = {
            "discord_url": there.url,
            "discord_client_id": CLIENT_ID,
            "discord_client_secret": CLIENT_SECRET,
            "sign_in_redirects": TARGET,
        }
        yield World(nodes("a", serving_dsn, **settings), there, fresh_dsn)


class Browser:
    """Cookies of its own, and the verifier of whoever sent it."""

    def __init__(self, world: World, http: aiohttp.ClientSession) -> None:
        self.world = world
        self.http = http
        self.verifier = secrets.token_urlsafe(32)

    async def go(self) -> str:
        """Go to Discord and agree there; gives the address that one is sent back to."""
        query = {"redirect": TARGET, "challenge": compute_challenge(self.verifier)}
        async with self.http.get(START, params=query, allow_redirects=False) as reply:
            assert reply.status == 303, await reply.text()
            return self.world.there.consent(reply.headers["Location"])

    async def come_back(self, url: str) -> Verdict:
        """Come back; gives the status, and the error or, where all is well, our code."""
        path = url.removeprefix(self.world.node.url)
        async with self.http.get(path, allow_redirects=False) as reply:
            if reply.status != 303:
                return reply.status, (await reply.json())["code"]
            target = reply.headers["Location"]
        assert target.startswith(TARGET)
        said = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        return 303, said.get("error") or said["code"]

    async def exchange(self, code: str, verifier: str | None = None) -> tuple[int, Json]:
        body = {"code": code, "verifier": verifier or self.verifier}
        async with self.http.post("/v1/auth/exchange", json=body) as reply:
            return reply.status, await reply.json()

    def cookie(self) -> tuple[str, str]:
        """Give the name and the value of the only trip's cookie."""
        trips = [each for each in self.http.cookie_jar if each.key.startswith(COOKIE)]
        (cookie,) = [(each.key, each.value) for each in trips]
        return cookie

    def set_cookie(self, name: str, value: str) -> None:
        self.http.cookie_jar.clear()
        self.http.cookie_jar.update_cookies({name: value})


@asynccontextmanager
async def browser(world: World) -> AsyncIterator[Browser]:
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address, not of a name
    async with aiohttp.ClientSession(world.node.url, cookie_jar=jar) as http:
        yield Browser(world, http)


def asked(url: str, name: str) -> str:
    return parse_qs(urlsplit(url).query)[name][0]


# ------------------------------------------------------------------ the lies


async def wrong_state(liar: Browser, _: Browser) -> Verdict:
    url = await liar.go()
    state = asked(url, "state")
    return await liar.come_back(url.replace(state, "x" * len(state)))


async def state_of_ones_other_cookie(liar: Browser, _: Browser) -> Verdict:
    """A cookie under the name that another trip's state asks for is not that trip."""
    await liar.go()
    _, sealed = liar.cookie()
    url = await liar.go()
    liar.set_cookie(COOKIE + asked(url, "state")[:STATE_CHARS_IN_NAME], sealed)
    return await liar.come_back(url)


async def no_state(liar: Browser, _: Browser) -> Verdict:
    url = await liar.go()
    return await liar.come_back(f"{CALLBACK}?code={asked(url, 'code')}")


async def way_back_of_another_browser(liar: Browser, other: Browser) -> Verdict:
    """Signing somebody in as oneself: they are sent where one's own trip ends."""
    url = await other.go()
    await liar.go()
    return await liar.come_back(url)


async def way_back_without_a_trip(liar: Browser, other: Browser) -> Verdict:
    return await liar.come_back(await other.go())


async def cookie_of_ones_own_making(liar: Browser, other: Browser) -> Verdict:
    url = await liar.go()
    name, sealed = liar.cookie()
    middle = len(sealed) // 2
    liar.set_cookie(
        name, sealed[:middle] + ("A" if sealed[middle] != "A" else "B") + sealed[middle + 1 :]
    )
    return await liar.come_back(url)


async def wrong_code(liar: Browser, _: Browser) -> Verdict:
    url = await liar.go()
    return await liar.come_back(url.replace(asked(url, "code"), "nonsense"))


async def no_code(liar: Browser, _: Browser) -> Verdict:
    url = await liar.go()
    return await liar.come_back(f"{CALLBACK}?state={asked(url, 'state')}")


async def code_of_another_browsers_trip(liar: Browser, other: Browser) -> Verdict:
    """Discord's code is bound to the verifier, which is sealed in the other's cookie."""
    stolen = asked(await other.go(), "code")
    url = await liar.go()
    return await liar.come_back(url.replace(asked(url, "code"), stolen))


LIES: dict[str, tuple[Callable[[Browser, Browser], Awaitable[Verdict]], Verdict]] = {
    "wrong state": (wrong_state, BAD_CODE),
    "no state": (no_state, BAD_CODE),
    "the cookie of one's other trip": (state_of_ones_other_cookie, BAD_CODE),
    "another browser's way back": (way_back_of_another_browser, BAD_CODE),
    "a way back without a trip": (way_back_without_a_trip, BAD_CODE),
    "a cookie of one's own making": (cookie_of_ones_own_making, BAD_CODE),
    "wrong code": (wrong_code, SENT_BACK),
    "no code": (no_code, SENT_BACK),
    "another trip's code": (code_of_another_browsers_trip, SENT_BACK),
}


async def test_lies_on_the_way_are_refused_and_leave_nothing(
    world: World, figures: Figures
) -> None:
    before = world.rows()
    for name, (lie, verdict) in LIES.items():
        async with browser(world) as liar, browser(world) as other:
            assert await lie(liar, other) == verdict, name
        assert world.rows() == before, name
        figures.count("OAuth lies refused")
    async with browser(world) as honest:  # the truth is still believed
        _, code = await honest.come_back(await honest.go())
        assert (await honest.exchange(code))[0] == 200


async def test_code_of_ours_is_worth_nothing_with_another_verifier(
    world: World, figures: Figures
) -> None:
    async with browser(world) as honest, browser(world) as thief:
        _, code = await honest.come_back(await honest.go())
        before = world.rows()
        for verifier in (thief.verifier, compute_challenge(honest.verifier), "x" * 43):
            status, refusal = await thief.exchange(code, verifier)
            assert (status, refusal.get("code")) == BAD_CODE
            figures.count("OAuth lies refused")
        assert world.rows() == before
        assert (await honest.exchange(code))[0] == 200


async def test_codes_that_were_used_are_refused_by_both(world: World, figures: Figures) -> None:
    async with browser(world) as honest:
        url = await honest.go()
        cookie = honest.cookie()
        _, code = await honest.come_back(url)
        assert (await honest.exchange(code))[0] == 200
        before = world.rows()
        honest.set_cookie(*cookie)
        assert await honest.come_back(url) == SENT_BACK
        status, refusal = await honest.exchange(code)
        assert (status, refusal.get("code")) == BAD_CODE
        assert world.rows() == before
        figures.count("OAuth lies refused", 2)
