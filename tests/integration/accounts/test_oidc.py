"""Signing in with OpenID providers that answer nonsense, lie, or change their keys."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from aiohttp import web

from persistence.errors import StartRefused
from server.core.settings import read_settings
from server.domains.people.accounts.browser_sign_in import BrowserSignIn, start_path
from server.domains.people.accounts.keys import ScopedTokens
from server.domains.people.accounts.oidc import DESCRIBE_AGAIN_S, OpenIdProvider
from server.domains.people.accounts.providers import compute_challenge
from server.domains.people.accounts.published_keys import FETCH_AGAIN_S
from server.domains.people.accounts.settings import AccountSettings, OidcProvider
from server.gateway.http.endpoints import build_http
from tests.fixtures.clocks import PassingClock
from tests.fixtures.http import served_app
from tests.fixtures.openid import CLIENT_ID, CLIENT_SECRET, Liar, SigningKey, liar
from tests.integration.accounts.conftest import SEAL, Room
from tests.integration.accounts.ways import Client, Ways

TARGET = "http://127.0.0.1:51234/"
VERIFIER = secrets.token_urlsafe(32)


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey("first")


@pytest.fixture(scope="module")
def other_key() -> SigningKey:
    return SigningKey("second")


@dataclass
class Visit:
    """A browser, the provider that it is sent to, and the client that sent it."""

    browser: aiohttp.ClientSession
    there: Liar
    client: Client
    passed_s: list[float] = field(default_factory=lambda: [0.0])

    async def start(self) -> str:
        """Be sent away; gives where to."""
        query = {"redirect": TARGET, "challenge": compute_challenge(VERIFIER)}
        async with self.browser.get(
            start_path("acme"), params=query, allow_redirects=False
        ) as reply:
            assert reply.status == 303, await reply.text()
            return reply.headers["Location"]

    async def sign_in(self) -> tuple[str, str]:
        """Go there and back; gives the name and the value that the client is sent."""
        url = await self.start()
        if not url.startswith(TARGET):
            back = "/v1/" + self.there.consent(url).partition("/v1/")[2]
            async with self.browser.get(back, allow_redirects=False) as reply:
                assert reply.status == 303, await reply.text()
                url = reply.headers["Location"]
        [(name, values)] = parse_qs(urlsplit(url).query).items()
        return name, values[0]

    async def tokens(self) -> Any:
        name, code = await self.sign_in()
        assert name == "code", code
        status, tokens = await self.client.post("/v1/auth/exchange", code=code, verifier=VERIFIER)
        assert status == 200, tokens
        return tokens


@asynccontextmanager
async def visiting(room: Room, there: Liar) -> AsyncIterator[Visit]:
    ways = Ways(room)
    passed_s = [1000.0]
    settings = OidcProvider(
        id="acme",
        name="Acme",
        issuer=there.issuer,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,  # type: ignore[arg-type]  # pydantic makes it a secret
    )
    async with ways.served() as client:
        app = build_http([], room.accounts.authenticate)
        here: list[str] = []
        BrowserSignIn(
            [OpenIdProvider(settings, clock=PassingClock(lambda: passed_s[0]))],
            redirects=TARGET,
            sign_in=ways.providers,
            links=ScopedTokens("link", keys=room.keys, clock=room.clock, lifetime_s=600),
            seal=SEAL,
            clock=room.clock,
            server=lambda: here[0],
        ).mount(app)
        async with served_app(app) as http:
            here.append(str(http._base_url).rstrip("/"))
            jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address, not of a name
            async with aiohttp.ClientSession(here[0], cookie_jar=jar) as browser:
                yield Visit(browser, there, client, passed_s)


@pytest.fixture
async def visit(room: Room, key: SigningKey) -> AsyncIterator[Visit]:
    async with liar(key) as there, visiting(room, there) as visit:
        yield visit


async def test_same_subject_is_the_same_account_and_another_is_another(visit: Visit) -> None:
    visit.there.sub = "ann with blanks & signs"
    first = await visit.tokens()
    assert first["display_name"] == "Ann"
    assert (await visit.tokens())["user_id"] == first["user_id"]
    assert await visit.client.methods(first["access_token"]) == [("acme", "Ann")]
    visit.there.sub = "ann"
    visit.there.claims = {"name": "admin"}  # a reserved name is not taken over
    second = await visit.tokens()
    assert second["user_id"] != first["user_id"]
    assert second["display_name"] != "admin"


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://evil.example"}, "InvalidIssuerError"),
        ({"aud": "another"}, "InvalidAudienceError"),
        ({"aud": [CLIENT_ID, "another"]}, "another client"),
        ({"azp": "another"}, "another client"),
        ({"exp": 1}, "ExpiredSignatureError"),
        ({"iat": 9_999_999_999}, "ImmatureSignatureError"),
        ({"nonce": "of another sign-in"}, "another nonce"),
        ({"nonce": None}, "MissingRequiredClaimError"),
        ({"sub": None}, "MissingRequiredClaimError"),
        ({"sub": ""}, "lacks something"),
        ({"sub": "x" * 256}, "lacks something"),
        ({"exp": None}, "MissingRequiredClaimError"),
    ],
)
async def test_id_token_that_says_something_else_is_refused(
    visit: Visit, claims: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    visit.there.claims = claims
    assert await visit.sign_in() == ("error", "acme_refused")
    assert why in caplog.text
    assert CLIENT_SECRET not in caplog.text
    assert "eyJ" not in caplog.text  # how every token begins


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_id_token_with_another_algorithm_is_refused(visit: Visit, algorithm: str) -> None:
    visit.there.algorithm = algorithm
    assert await visit.sign_in() == ("error", "acme_refused")


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.Response(text="<html>"),
        lambda: web.Response(status=502),
        lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}),
        lambda: web.Response(body=b"[" * 70_000),
        lambda: web.json_response({"access_token": "a"}),
        lambda: web.json_response({"id_token": "nonsense"}),
        lambda: web.json_response({"id_token": "e30.e30.e30"}),
        lambda: web.json_response([]),
    ],
)
async def test_answer_that_is_none_is_refused(visit: Visit, answer: Any) -> None:
    visit.there.answer = answer()
    assert await visit.sign_in() == ("error", "acme_refused")


@pytest.mark.parametrize(
    "described",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://192.0.2.1/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": 7},
    ],
)
async def test_description_that_cannot_be_used_sends_back_and_is_read_again_later(
    visit: Visit, described: dict[str, Any]
) -> None:
    visit.there.described = described
    assert await visit.sign_in() == ("error", "unavailable")
    visit.there.described = {}
    assert await visit.sign_in() == ("error", "unavailable")
    visit.passed_s[0] += DESCRIBE_AGAIN_S
    await visit.tokens()


async def test_new_key_is_fetched_and_an_invented_one_is_not_fetched_for_again_and_again(
    visit: Visit, other_key: SigningKey
) -> None:
    await visit.tokens()
    visit.there.signed_with = other_key
    assert await visit.sign_in() == ("error", "acme_refused")
    assert await visit.sign_in() == ("error", "acme_refused")
    assert visit.there.keys_fetched == 1
    visit.there.key = other_key
    visit.passed_s[0] += FETCH_AGAIN_S
    await visit.tokens()
    assert visit.there.keys_fetched == 2


async def test_code_links_only_as_what_it_is(visit: Visit) -> None:
    guest = (await visit.client.ways.room.accounts.create_guest("Bea")).model_dump()
    _, code = await visit.sign_in()
    body = {"code": code, "verifier": VERIFIER, "token": guest["access_token"]}
    status, refused = await visit.client.post("/v1/me/methods/discord", **body)
    assert (status, refused["code"]) == (403, "bad_code")
    status, linked = await visit.client.post("/v1/me/methods/acme", **body)
    assert status == 200, linked
    assert (await visit.tokens())["user_id"] == guest["user_id"]


async def test_player_has_the_platform_until_it_is_unlinked(visit: Visit) -> None:
    tokens, client = await visit.tokens(), visit.client
    database = client.ways.room.database

    async def links() -> str:
        async with database.acquire() as connection:
            found: str = await connection.fetchval(
                "SELECT platform_links::text FROM players WHERE id = $1", tokens["player_id"]
            )
        return found

    assert '"acme"' in await links()
    assert visit.there.sub not in await links()
    token = tokens["access_token"]
    await client.post("/v1/me/methods/email", token=token, email="ann@example.org")
    await client.post("/v1/auth/email/confirm", code=client.ways.code(), password="correct horse")
    assert '"acme"' in await links()
    assert (await client.delete("/v1/me/methods/acme", token=token))[0] == 200
    assert await links() == "{}"


@pytest.mark.parametrize(
    ("provider", "why"),
    [
        ({"issuer": "http://accounts.example"}, "https://"),
        ({"issuer": "https://accounts.example?x"}, "https://"),
        ({"issuer": "https://ann:secret@accounts.example"}, "https://"),
        ({"id": "email"}, "taken"),
        ({"id": "Acme"}, "pattern"),
        ({"secret": "x"}, "not permitted"),
        ({"algorithm": "HS256"}, "RS256"),
    ],
)
def test_provider_that_cannot_be_used_stops_the_start(provider: dict[str, str], why: str) -> None:
    good = {"id": "acme", "name": "Acme", "issuer": "https://a.example", "client_id": "x"}
    read = read_settings(AccountSettings, oidc_providers=[good]).oidc_providers
    assert read is not None
    assert read[0].id == "acme"
    with pytest.raises(StartRefused, match="PLAYHALL_OIDC_PROVIDERS") as refused:
        read_settings(AccountSettings, oidc_providers=[good | provider])
    assert why in str(refused.value)
    with pytest.raises(StartRefused, match="taken"):
        read_settings(AccountSettings, oidc_providers=[good, good])
