"""Signing in with Discord (OAuth 2.0 with PKCE), through the browser and back.

The code travels in an address, so it is worth nothing alone: whoever started must send the
verifier behind the challenge (S256, RFC 7636) that they started with.

What must be remembered in between is in a sealed cookie, so that only the browser that went
there can come back, and no node has to be asked again. Each trip has a cookie of its own, named by
its state, so several tabs can be on their way at once.

A browser shows what it is answered to a person. So where it is known to which client they belong,
it is sent there with an `error`; else it gets a page. Programs that do not ask for HTML get JSON.
"""

import hmac
import html
import logging
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final, NamedTuple
from urllib.parse import urlencode, urlsplit

import aiohttp
import orjson
from aiohttp import web
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from persistence.sealing import Seal, Unsealable
from protocol.accounts import DiscordStart, DisplayName, Tokens
from protocol.codec import validate
from protocol.errors import BadCode, InvalidField, PlayhallError
from protocol.ids import UserId
from server.core.clock import Clock
from server.core.rate_limits import Rate, RateLimiter, client_network
from server.domains.people.accounts.codes import OneTimeCodes, VerifiedCode
from server.domains.people.accounts.sign_in_methods import Methods, Proved

ANSWER_BYTES_MAX: Final = 64 * 1024


class NotJson(Exception):
    """The answer is another, or too large."""


async def json_of(answer: aiohttp.ClientResponse) -> object:
    """Read the JSON of a good answer; raise `NotJson`."""
    if answer.status != 200:
        raise NotJson(f"status {answer.status}")
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise NotJson(f"more than {ANSWER_BYTES_MAX} bytes")
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise NotJson("no JSON") from None


_LOOPBACK: Final = ("127.0.0.1", "[::1]", "localhost")


def is_allowed(redirect: str, allowed: str) -> bool:
    """Say whether a target is one of the comma separated allowed ones, to the letter.

    A program on the same machine listens where it finds a free port, so an allowed loopback
    address without a port stands for all of them (RFC 8252, section 7.3).
    """
    targets = {target.strip() for target in allowed.split(",") if target.strip()}
    return redirect in targets or _without_loopback_port(redirect) in targets


def with_query(redirect: str, **added: str) -> str:
    """Add to a target's query; all else of it stays as it was written.

    It is not taken apart and put together again: that loses parameters without a value, and
    slashes of schemes that the library does not know (`myapp:///signed-in`).
    """
    target, hash_sign, fragment = redirect.partition("#")
    joint = "&" if "?" in target else "?"
    if target.endswith(("?", "&")):
        joint = ""
    return f"{target}{joint}{urlencode(added)}{hash_sign}{fragment}"


def _without_loopback_port(redirect: str) -> str | None:
    try:
        parts = urlsplit(redirect)
        port = parts.port
    except ValueError:
        return None
    host = parts.netloc.removesuffix(f":{port}")
    origin = f"http://{parts.netloc}"
    if host not in _LOOPBACK or not redirect.startswith(origin):
        return None
    return f"http://{host}{redirect.removeprefix(origin)}"


DISCORD: Final = "discord"


def challenge_of(verifier: str) -> str:
    """Give the S256 challenge of a verifier."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


class DiscordSignIn:
    """What a code that came back from Discord is good for."""

    def __init__(self, *, codes: OneTimeCodes, methods: Methods) -> None:
        self._codes = codes
        self._methods = methods

    async def made(self, *, discord_id: str, name: str, challenge: str) -> str:
        """Make the code that goes on the redirect."""
        contents: dict[str, str | None] = {"id": discord_id, "name": name, "challenge": challenge}
        return await self._codes.make(DISCORD, contents)

    async def exchange(self, code: str, verifier: str) -> Tokens:
        """Sign in, with a new account if there is none; raise `BadCode` or `Banned`."""
        proof, proved = await self._read(code, verifier)
        found = await self._methods.find(DISCORD, proved.name)
        if found is not None:
            return await self._methods.enter(proof.code_hash, found)
        name = proved.label or None
        return await self._methods.create_account(proof.code_hash, proved, display_name=name)

    async def link(self, user_id: UserId, code: str, verifier: str) -> None:
        """Link to an account; raise `BadCode` or `MethodTaken`."""
        proof, proved = await self._read(code, verifier)
        await self._methods.link(proof.code_hash, user_id, proved)

    async def _read(self, code: str, verifier: str) -> tuple[VerifiedCode, Proved]:
        proof = await self._codes.read(DISCORD, code)
        discord_id, challenge = proof.contents["id"], proof.contents["challenge"]
        assert discord_id is not None
        assert challenge is not None
        if not hmac.compare_digest(challenge_of(verifier).encode(), challenge.encode()):
            raise BadCode("The verifier does not match the challenge that you sent.")
        return proof, Proved(DISCORD, discord_id, proof.contents["name"] or "")


log = logging.getLogger(__name__)

START: Final = "/v1/auth/discord/start"
CALLBACK: Final = "/v1/auth/discord/callback"
COOKIE: Final = "playhall_discord_"  # and the beginning of the trip's state
COOKIE_S: Final = 600
STATE_CHARS_IN_NAME: Final = 12
# A browser's trips under way; the oldest are forgotten. All cookies must fit into one header.
TRIPS_AT_ONCE_MAX: Final = 5
DISCORD_TIMEOUT_S: Final = 10.0
TRIPS: Final = Rate(per_minute=30, burst=30)  # from one network

_ABOUT: Final = "trip to Discord"
_COOKIE_NAME: Final = re.compile(rf"{COOKIE}[\w-]{{{STATE_CHARS_IN_NAME}}}", re.ASCII)
_NAME: Final[TypeAdapter[str]] = TypeAdapter(DisplayName)


class Application(NamedTuple):
    """What Discord knows this server as, and where Discord is; targets are comma separated."""

    client_id: str
    client_secret: str
    url: str
    redirects: str


class OAuthState(BaseModel, frozen=True, strict=True):
    """What is remembered while a browser is at Discord; `until` is seconds since 1970."""

    state: str
    verifier: str
    redirect: str
    challenge: str
    until: float


class _Token(BaseModel, strict=True):
    access_token: str = Field(max_length=4096)


class _Person(BaseModel, strict=True):
    id: str = Field(pattern=r"^[0-9]{1,20}$")
    username: str = Field(max_length=100)
    global_name: str | None = Field(default=None, max_length=100)


class Refused(Exception):
    """Discord did not accept what the browser brought back, or could not be asked."""


class Discord:
    """The two addresses that a browser visits; `server` says where this one is."""

    def __init__(
        self,
        application: Application,
        *,
        sign_in: DiscordSignIn,
        seal: Seal,
        clock: Clock,
        server: Callable[[], str],
    ) -> None:
        self._application = application
        self._sign_in = sign_in
        self._seal = seal
        self._clock = clock
        self._server = server
        self._trips = RateLimiter(TRIPS, "Too many attempts from your network")

    def mount(self, app: web.Application) -> None:
        """Add the addresses."""
        app.router.add_get(START, _with_error_page(self._start))
        app.router.add_get(CALLBACK, _with_error_page(self._return))

    async def _start(self, request: web.Request) -> web.Response:
        self._trips.require(client_network(request.remote or ""), self._clock.monotonic())
        asked = validate(DiscordStart, dict(request.query))
        if not is_allowed(asked.redirect, self._application.redirects):
            raise InvalidField(
                "redirect: it must be one of PLAYHALL_SIGN_IN_REDIRECTS.", field="redirect"
            )
        trip = OAuthState(
            state=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            redirect=asked.redirect,
            challenge=asked.challenge,
            until=self._clock.now().timestamp() + COOKIE_S,
        )
        response = _sent_to(self._authorize_url(trip))
        self._forget_oldest(request, response)
        self._set_cookie(response, _cookie_of(trip.state), self._sealed(trip), max_age_s=COOKIE_S)
        return response

    async def _return(self, request: web.Request) -> web.Response:
        trip = self._trip(request)
        if "error" in request.query:
            response = _sent_to(with_query(trip.redirect, error="access_denied"))
        else:
            response = await self._arrive(trip, request.query.get("code", ""))
        self._set_cookie(response, _cookie_of(trip.state), "", max_age_s=0)
        return response

    def _trip(self, request: web.Request) -> OAuthState:
        """Read the cookie of this return; raise `BadCode`."""
        state = request.query.get("state", "")
        trip = self._opened(request.cookies.get(_cookie_of(state), ""))
        if trip is None or not hmac.compare_digest(state.encode(), trip.state.encode()):
            raise BadCode("This sign-in was not started in this browser; start again.")
        if self._clock.now().timestamp() > trip.until:
            raise BadCode("The sign-in took too long; start again.")
        return trip

    def _opened(self, cookie: str) -> OAuthState | None:
        try:
            return OAuthState.model_validate_json(
                self._seal.open(urlsafe_b64decode(cookie), about=_ABOUT)
            )
        except (ValueError, Unsealable):
            return None

    def _forget_oldest(self, request: web.Request, response: web.Response) -> None:
        """Leave room for one more cookie; those that cannot be read go first."""
        trips = {
            name: self._opened(value)
            for name, value in request.cookies.items()
            if _COOKIE_NAME.fullmatch(name)
        }
        newest_first = sorted(
            trips, key=lambda name: trip.until if (trip := trips[name]) else 0.0, reverse=True
        )
        for name in newest_first[TRIPS_AT_ONCE_MAX - 1 :]:
            self._set_cookie(response, name, "", max_age_s=0)

    async def _arrive(self, trip: OAuthState, code: str) -> web.Response:
        try:
            person = await self._ask_discord(trip, code)
        except Refused as why:
            log.warning("a sign-in with Discord failed: %s", why)
            return _sent_to(with_query(trip.redirect, error="discord_refused"))
        try:
            made = await self._sign_in.made(
                discord_id=person.id, name=_display_name(person), challenge=trip.challenge
            )
        except PlayhallError as error:  # the database is away, or has no time
            return _sent_to(with_query(trip.redirect, error=error.wire_code))
        return _sent_to(with_query(trip.redirect, code=made))

    async def _ask_discord(self, trip: OAuthState, code: str) -> _Person:
        """Trade Discord's code for a token there, and ask who that is; raise `RpcRefused`."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._server() + CALLBACK,
            "client_id": self._application.client_id,
            "client_secret": self._application.client_secret,
            "code_verifier": trip.verifier,
        }
        timeout = aiohttp.ClientTimeout(total=DISCORD_TIMEOUT_S)
        api = f"{self._application.url}/api"
        try:
            async with aiohttp.ClientSession(timeout=timeout) as web_client:
                async with web_client.post(
                    f"{api}/oauth2/token", data=form, allow_redirects=False
                ) as answer:
                    token = _Token.model_validate(await json_of(answer)).access_token
                headers = {"Authorization": f"Bearer {token}"}
                async with web_client.get(
                    f"{api}/users/@me", headers=headers, allow_redirects=False
                ) as answer:
                    return _Person.model_validate(await json_of(answer))
        except ValidationError:
            raise Refused("an unexpected response") from None
        except NotJson as error:
            raise Refused(str(error)) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Refused(type(error).__name__) from error

    def _authorize_url(self, trip: OAuthState) -> str:
        query = {
            "response_type": "code",
            "client_id": self._application.client_id,
            "redirect_uri": self._server() + CALLBACK,
            "scope": "identify",
            "state": trip.state,
            "code_challenge": challenge_of(trip.verifier),
            "code_challenge_method": "S256",
        }
        return f"{self._application.url}/oauth2/authorize?{urlencode(query)}"

    def _sealed(self, trip: OAuthState) -> str:
        sealed = self._seal.seal(trip.model_dump_json().encode(), about=_ABOUT)
        return urlsafe_b64encode(sealed).decode()

    def _set_cookie(self, response: web.Response, name: str, value: str, *, max_age_s: int) -> None:
        response.set_cookie(
            name,
            value,
            max_age=max_age_s,
            path="/v1/auth/discord",
            httponly=True,
            samesite="Lax",
            secure=self._server().startswith("https:"),
        )


def _cookie_of(state: str) -> str:
    return COOKIE + state[:STATE_CHARS_IN_NAME]


_Visit = Callable[[web.Request], Awaitable[web.Response]]


def _with_error_page(visit: _Visit) -> _Visit:
    """Answer a browser with a page where something went wrong; programs get JSON, as everywhere."""

    async def visited(request: web.Request) -> web.Response:
        try:
            return await visit(request)
        except PlayhallError as error:
            if "text/html" not in request.headers.get("Accept", ""):
                raise
            return _page(error)
        except web.HTTPException:
            raise
        except Exception:
            if "text/html" not in request.headers.get("Accept", ""):
                raise
            log.exception("GET %s failed", request.path)
            return _page(PlayhallError())

    return visited


def _page(error: PlayhallError) -> web.Response:
    text = _PAGE.format(message=html.escape(error.message), code=html.escape(error.wire_code))
    return web.Response(
        text=text, status=error.status, content_type="text/html", headers=_PAGE_HEADERS
    )


_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <meta name="robots" content="noindex">
  <title>Signing in failed · Playhall</title>
  <link rel="stylesheet" href="/static/style.css">
</head>
<body>
  <main class="account">
    <h1>Signing in failed</h1>
    <p>{message}</p>
    <p>Close this page and sign in again from your game.</p>
    <p class="small">Error: {code}</p>
  </main>
</body>
</html>
"""

_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def _display_name(person: _Person) -> str:
    for name in (person.global_name, person.username):
        try:
            return _NAME.validate_python((name or "")[:64])
        except ValidationError:
            continue
    return ""


def _sent_to(url: str) -> web.Response:
    headers = {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return web.Response(status=web.HTTPSeeOther.status_code, headers=headers)
