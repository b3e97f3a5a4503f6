"""Signing in with Discord, there and back through a real provider (fault 32 among it)."""

import asyncio
import secrets
import string
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from server.domains.people.accounts.browser_sign_in import (
    COOKIE,
    TRIPS_AT_ONCE_MAX,
    BrowserSignIn,
    callback_path,
    start_path,
)
from server.domains.people.accounts.discord import DISCORD, Discord, DiscordApplication
from server.domains.people.accounts.keys import ScopedTokens
from server.domains.people.accounts.providers import compute_challenge
from server.gateway.http.endpoints import build_http
from tests.fixtures.http import served_app
from tests.integration.accounts.conftest import SEAL, Room
from tests.integration.accounts.provider import CLIENT_ID, CLIENT_SECRET, Provider, provider
from tests.integration.accounts.ways import Client, Ways

START, CALLBACK = start_path(DISCORD), callback_path(DISCORD)
QUERIES = "https://game.example.org/in?next=%2Fa+b&flag&x=#/home"
SCHEME = "mygame:///signed-in?x=1"
SHORT_SCHEME = "org.example.game:in"
REDIRECTS = (
    "https://game.example.org/signed-in,http://127.0.0.1/,http://127.0.0.1/cb?x=&y,"
    f"{QUERIES},{SCHEME},{SHORT_SCHEME},mygame://cb?x=1"
)
TARGET = "http://127.0.0.1:51234/"
VERIFIER = secrets.token_urlsafe(32)
ALPHANUMERIC = string.ascii_letters + string.digits


@dataclass
class OAuthState:
    """A browser on its way, and the client that sent it."""

    http: aiohttp.ClientSession
    there: Provider
    client: Client

    async def start(self, redirect: str = TARGET, challenge: str | None = None) -> str:
        """Be sent to Discord."""
        query = {"redirect": redirect, "challenge": challenge or compute_challenge(VERIFIER)}
        async with self.http.get(START, params=query, allow_redirects=False) as reply:
            assert reply.status == 303, await reply.text()
            return reply.headers["Location"]

    async def back(self, url: str) -> dict[str, str]:
        """Come back to the server; gives what the target's query says."""
        path = url.removeprefix(self.ways_server)
        async with self.http.get(path, allow_redirects=False) as reply:
            assert reply.status == 303, await reply.text()
            target = reply.headers["Location"]
        assert target.startswith(TARGET)
        return {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}

    async def refused(self, url: str) -> tuple[int, str]:
        """Come back, and be refused."""
        path = url.removeprefix(self.ways_server)
        async with self.http.get(path, allow_redirects=False) as reply:
            return reply.status, (await reply.json())["code"]

    async def code(self) -> str:
        """Go there and back."""
        return (await self.back(self.there.consent(await self.start())))["code"]

    @property
    def ways_server(self) -> str:
        return str(self.http._base_url).rstrip("/")


@pytest.fixture
async def trip(room: Room) -> AsyncIterator[OAuthState]:
    ways = Ways(room)
    async with provider() as there, ways.served() as client:
        app = build_http([], room.accounts.authenticate)
        here: list[str] = []
        discord = BrowserSignIn(
            [Discord(DiscordApplication(CLIENT_ID, CLIENT_SECRET, there.url))],
            redirects=REDIRECTS,
            sign_in=ways.providers,
            links=ScopedTokens("link", keys=room.keys, clock=room.clock, lifetime_s=600),
            seal=SEAL,
            clock=room.clock,
            server=lambda: here[0],
        )
        discord.mount(app)
        async with served_app(app) as http:
            here.append(str(http._base_url).rstrip("/"))
            jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address, not of a name
            async with aiohttp.ClientSession(here[0], cookie_jar=jar) as browser:
                yield OAuthState(browser, there, client)


async def _exchange(
    trip: OAuthState, code: str, verifier: str = VERIFIER
) -> tuple[int, dict[str, str]]:
    return await trip.client.post("/v1/auth/exchange", code=code, verifier=verifier)


async def test_the_way_there_and_back_signs_in_and_again_to_the_same_account(
    trip: OAuthState,
) -> None:
    status, first = await _exchange(trip, await trip.code())
    assert (status, first["display_name"]) == (200, "Ann")
    _, second = await _exchange(trip, await trip.code())
    assert first["user_id"] == second["user_id"]
    assert await trip.client.methods(second["access_token"]) == [("discord", "Ann")]
    account = await trip.client.ways.room.accounts.read_account(first["user_id"])  # type: ignore[arg-type]  # a NewType of str
    assert not account.is_anonymous


async def test_cookie_is_out_of_scripts_reach_and_gone_afterwards(trip: OAuthState) -> None:
    url = await trip.start()
    (cookie,) = list(trip.http.cookie_jar)
    assert cookie.key.startswith(COOKIE)
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    await trip.back(trip.there.consent(url))
    assert list(trip.http.cookie_jar) == []


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_two_tabs_both_come_back_in_any_order(
    trip: OAuthState, order: tuple[int, int]
) -> None:
    urls = [trip.there.consent(await trip.start()) for _ in order]
    for nth in order:
        assert (await _exchange(trip, (await trip.back(urls[nth]))["code"]))[0] == 200
    assert list(trip.http.cookie_jar) == []


async def test_tabs_that_start_at_once_all_come_back(trip: OAuthState) -> None:
    asked = await asyncio.gather(*(trip.start() for _ in range(TRIPS_AT_ONCE_MAX)))
    for url in map(trip.there.consent, asked):
        assert "code" in await trip.back(url)


async def test_browser_keeps_so_many_trips_at_most_and_the_newest_work(trip: OAuthState) -> None:
    urls = [trip.there.consent(await trip.start()) for _ in range(TRIPS_AT_ONCE_MAX + 2)]
    assert len(list(trip.http.cookie_jar)) == TRIPS_AT_ONCE_MAX
    assert await trip.refused(urls[0]) == (403, "bad_code")
    for url in urls[-TRIPS_AT_ONCE_MAX:]:
        assert "code" in await trip.back(url)


@pytest.mark.parametrize(
    ("redirect", "before", "after"),
    [
        (QUERIES, "https://game.example.org/in?next=%2Fa+b&flag&x=&", "#/home"),
        (SCHEME, "mygame:///signed-in?x=1&", ""),
        (SHORT_SCHEME, "org.example.game:in?", ""),
        ("mygame://cb?x=1", "mygame://cb?x=1&", ""),
        ("http://127.0.0.1:51234/cb?x=&y", "http://127.0.0.1:51234/cb?x=&y&", ""),
    ],
)
async def test_target_comes_back_as_it_was_written(
    trip: OAuthState, redirect: str, before: str, after: str
) -> None:
    for go, said in ((trip.there.consent, "code="), (trip.there.deny, "error=access_denied")):
        path = go(await trip.start(redirect)).removeprefix(trip.ways_server)
        async with trip.http.get(path, allow_redirects=False) as reply:
            target = reply.headers["Location"]
        assert target.startswith(before + said)
        assert target.endswith(after)
        assert not target.removeprefix(before).removesuffix(after).strip("=_-" + ALPHANUMERIC)


@pytest.mark.parametrize(
    "address",
    [
        f"{CALLBACK}?code=x&state=y",
        f"{CALLBACK}?error=access_denied",
        CALLBACK,
        f"{START}?redirect=https://evil.example.org/&challenge={'x' * 43}",
        f"{START}?redirect={TARGET}&challenge=<b>",
        START,
    ],
)
async def test_browser_is_shown_a_page_and_no_json_where_it_cannot_be_sent_on(
    trip: OAuthState, address: str
) -> None:
    accept = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with trip.http.get(address, headers=accept, allow_redirects=False) as reply:
        page = await reply.text()
        assert reply.status in (403, 422)
        assert reply.content_type == "text/html"
        assert reply.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert "Signing in failed" in page
    assert "again" in page
    assert "<b>" not in page


async def test_wrong_state_is_refused(trip: OAuthState) -> None:
    url = trip.there.consent(await trip.start())
    state = parse_qs(urlsplit(url).query)["state"][0]
    assert await trip.refused(url.replace(state, "x" * len(state))) == (403, "bad_code")


async def test_browser_that_did_not_start_here_is_refused(trip: OAuthState) -> None:
    url = trip.there.consent(await trip.start())
    trip.http.cookie_jar.clear()
    assert await trip.refused(url) == (403, "bad_code")
    trip.http.cookie_jar.update_cookies({f"{COOKIE}y": "bm9uc2Vuc2U="})
    assert await trip.refused(f"{CALLBACK}?code=x&state=y") == (403, "bad_code")


async def test_return_that_took_too_long_is_refused(trip: OAuthState) -> None:
    url = trip.there.consent(await trip.start())
    trip.client.ways.room.clock.move(seconds=601)
    assert await trip.refused(url) == (403, "bad_code")


async def test_wrong_code_and_broken_provider_send_back_with_an_error(trip: OAuthState) -> None:
    url = trip.there.consent(await trip.start())
    code = parse_qs(urlsplit(url).query)["code"][0]
    assert await trip.back(url.replace(code, "nonsense")) == {"error": "discord_refused"}
    url = trip.there.consent(await trip.start())
    trip.there.is_broken = True
    assert await trip.back(url) == {"error": "discord_refused"}


async def test_replayed_code_is_refused_by_both(trip: OAuthState) -> None:
    url = trip.there.consent(await trip.start())
    cookies = {cookie.key: cookie.value for cookie in trip.http.cookie_jar}
    ours = (await trip.back(url))["code"]
    trip.http.cookie_jar.update_cookies(cookies)
    assert await trip.back(url) == {"error": "discord_refused"}
    assert (await _exchange(trip, ours))[0] == 200
    status, refusal = await _exchange(trip, ours)
    assert (status, refusal["code"]) == (403, "bad_code")


async def test_code_of_another_browsers_trip_is_refused(trip: OAuthState) -> None:
    """Discord binds its code to the verifier, which is in the other browser's cookie."""
    stolen = parse_qs(urlsplit(trip.there.consent(await trip.start())).query)["code"][0]
    trip.http.cookie_jar.clear()
    url = trip.there.consent(await trip.start())
    code = parse_qs(urlsplit(url).query)["code"][0]
    assert await trip.back(url.replace(code, stolen)) == {"error": "discord_refused"}


async def test_denied_consent_sends_back_with_an_error(trip: OAuthState) -> None:
    url = trip.there.deny(await trip.start())
    assert await trip.back(url) == {"error": "access_denied"}


async def test_code_without_its_verifier_is_worth_nothing(trip: OAuthState) -> None:
    code = await trip.code()
    status, refusal = await _exchange(trip, code, secrets.token_urlsafe(32))
    assert (status, refusal["code"]) == (403, "bad_code")
    assert (await _exchange(trip, code))[0] == 200


@pytest.mark.parametrize(
    "redirect",
    [
        "https://evil.example.org/",
        "https://game.example.org/signed-in/more",
        "https://game.example.org@evil.example.org/signed-in",
        "http://127.0.0.1.evil.example.org/",
        "http://127.0.0.1:80@evil.example.org/",
        "http://127.0.0.1:port/",
        "//evil.example.org",
        "javascript:alert(1)",
    ],
)
async def test_only_configured_targets_are_sent_to(trip: OAuthState, redirect: str) -> None:
    query = {"redirect": redirect, "challenge": compute_challenge(VERIFIER)}
    async with trip.http.get(START, params=query, allow_redirects=False) as reply:
        assert (reply.status, (await reply.json())["field"]) == (422, "redirect")


async def test_guest_who_links_discord_stays_who_they_are(trip: OAuthState) -> None:
    room = trip.client.ways.room
    guest = await room.accounts.create_guest("Bo")
    ask = {"code": await trip.code(), "verifier": VERIFIER}
    status, _ = await trip.client.post("/v1/me/methods/discord", token=guest.access_token, **ask)
    assert status == 200
    _, tokens = await _exchange(trip, await trip.code())
    assert (guest.user_id, guest.player_id) == (tokens["user_id"], tokens["player_id"])
    assert tokens["display_name"] == "Bo"


async def test_discord_of_another_account_cannot_be_linked(trip: OAuthState) -> None:
    await _exchange(trip, await trip.code())
    guest = await trip.client.ways.room.accounts.create_guest("Eve")
    ask = {"code": await trip.code(), "verifier": VERIFIER}
    status, refusal = await trip.client.post(
        "/v1/me/methods/discord", token=guest.access_token, **ask
    )
    assert (status, refusal["code"]) == (409, "method_taken")


async def test_one_of_two_methods_can_be_unlinked(trip: OAuthState) -> None:
    client = trip.client
    tokens = await client.registered(f"{secrets.token_hex(8)}@example.org")
    token = tokens["access_token"]
    ask = {"code": await trip.code(), "verifier": VERIFIER}
    await client.post("/v1/me/methods/discord", token=token, **ask)
    status, left = await client.delete("/v1/me/methods/email", token=token)
    assert (status, [each["kind"] for each in left["methods"]]) == (200, ["discord"])
    assert (await client.delete("/v1/me/methods/discord", token=token))[0] == 409
    _, again = await _exchange(trip, await trip.code())
    assert again["user_id"] == tokens["user_id"]
