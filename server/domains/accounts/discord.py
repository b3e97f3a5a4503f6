"""Discord: the browser's way there and back (OAuth 2.0 with PKCE).

What must be remembered in between is in a sealed cookie, so that only the browser that went
there can come back, and no node has to be asked again.
"""

import hmac
import logging
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Final, NamedTuple
from urllib.parse import urlencode

import aiohttp
from aiohttp import web
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from persistence.sealing import Seal, Unsealable
from protocol.account import DisplayName
from protocol.codec import validate
from protocol.errors import BadCode, InvalidField
from protocol.signin import DiscordStart
from server.domains.accounts.exchange import DiscordSignIn, challenge_of
from server.domains.accounts.fetching import NotJson, json_of
from server.domains.accounts.redirects import is_allowed, with_query
from server.kernel.clock import Clock
from server.kernel.ratelimits import Rate, RateLimiter, network_of

log = logging.getLogger(__name__)

START: Final = "/v1/auth/discord/start"
CALLBACK: Final = "/v1/auth/discord/callback"
COOKIE: Final = "playhall_discord"
COOKIE_S: Final = 600
DISCORD_TIMEOUT_S: Final = 10.0
TRIPS: Final = Rate(per_minute=30, burst=30)  # from one network

_ABOUT: Final = "trip to Discord"
_NAME: Final[TypeAdapter[str]] = TypeAdapter(DisplayName)


class Application(NamedTuple):
    """What Discord knows this server as, and where Discord is; targets are comma separated."""

    client_id: str
    client_secret: str
    url: str
    redirects: str


class Trip(BaseModel, frozen=True, strict=True):
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

    def serve_from(self, app: web.Application) -> None:
        """Add the addresses."""
        app.router.add_get(START, self._start)
        app.router.add_get(CALLBACK, self._return)

    async def _start(self, request: web.Request) -> web.Response:
        self._trips.require(network_of(request.remote or ""), self._clock.monotonic())
        asked = validate(DiscordStart, dict(request.query))
        if not is_allowed(asked.redirect, self._application.redirects):
            raise InvalidField(
                "redirect: send one of PLAYHALL_SIGN_IN_REDIRECTS, to the letter.", field="redirect"
            )
        trip = Trip(
            state=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            redirect=asked.redirect,
            challenge=asked.challenge,
            until=self._clock.now().timestamp() + COOKIE_S,
        )
        response = _sent_to(self._authorize_url(trip))
        self._set_cookie(response, self._sealed(trip), max_age_s=COOKIE_S)
        return response

    async def _return(self, request: web.Request) -> web.Response:
        trip = self._trip(request)
        if "error" in request.query:
            response = _sent_to(with_query(trip.redirect, error="access_denied"))
        else:
            response = await self._arrive(trip, request.query.get("code", ""))
        self._set_cookie(response, "", max_age_s=0)
        return response

    def _trip(self, request: web.Request) -> Trip:
        """Read the cookie, and see that it belongs to this return; raise `BadCode`."""
        try:
            sealed = urlsafe_b64decode(request.cookies.get(COOKIE, ""))
            trip = Trip.model_validate_json(self._seal.open(sealed, about=_ABOUT))
        except (ValueError, Unsealable):
            raise BadCode("This browser did not start here; start again.") from None
        state = request.query.get("state", "")
        if not hmac.compare_digest(state.encode(), trip.state.encode()):
            raise BadCode("The state is not the one that this browser started with; start again.")
        if self._clock.now().timestamp() > trip.until:
            raise BadCode("That took too long; start again.")
        return trip

    async def _arrive(self, trip: Trip, code: str) -> web.Response:
        try:
            person = await self._ask_discord(trip, code)
        except Refused as why:
            log.warning("a sign-in with Discord failed: %s", why)
            return _sent_to(with_query(trip.redirect, error="discord_refused"))
        made = await self._sign_in.made(
            discord_id=person.id, name=_display_name(person), challenge=trip.challenge
        )
        return _sent_to(with_query(trip.redirect, code=made))

    async def _ask_discord(self, trip: Trip, code: str) -> _Person:
        """Trade Discord's code for a token there, and ask who that is; raise `Refused`."""
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
            raise Refused("an answer of another shape") from None
        except NotJson as error:
            raise Refused(str(error)) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Refused(type(error).__name__) from error

    def _authorize_url(self, trip: Trip) -> str:
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

    def _sealed(self, trip: Trip) -> str:
        sealed = self._seal.seal(trip.model_dump_json().encode(), about=_ABOUT)
        return urlsafe_b64encode(sealed).decode()

    def _set_cookie(self, response: web.Response, value: str, *, max_age_s: int) -> None:
        response.set_cookie(
            COOKIE,
            value,
            max_age=max_age_s,
            path="/v1/auth/discord",
            httponly=True,
            samesite="Lax",
            secure=self._server().startswith("https:"),
        )


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
