"""Signing in with another service (OAuth 2.0 with PKCE), through the browser and back.

The code travels in an address, so it is worth nothing alone: whoever started must send the
verifier behind the challenge (S256, RFC 7636) that they started with.

What must be remembered in between is in a sealed cookie, so that only the browser that went
there can come back, and no node has to be asked again. Each trip has a cookie of its own, named by
its state, so several tabs can be on their way at once. Every provider has a callback of its own,
and the cookie names the provider, so that no code of one is ever sent to another.

A browser shows what it is answered to a person. So where it is known to which client they belong,
it is sent there with an `error`; else it gets a page. Programs that do not ask for HTML get JSON.
"""

import hmac
import html
import logging
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from persistence.rls import Requester
from persistence.sealing import Seal, Unsealable
from protocol.accounts import RedirectStart
from protocol.codec import validate
from protocol.errors import BadCode, BadToken, InvalidField, PlayhallError
from protocol.ids import SessionId, UserId
from server.core.clock import Clock
from server.core.rate_limits import Rate, RateLimiter, client_network
from server.domains.interfaces import TokenScope
from server.domains.people.accounts.providers import (
    IdentityProvider,
    OAuthState,
    ProviderRefused,
    ProviderSignIn,
)

log = logging.getLogger(__name__)

COOKIE: Final = "playhall_sign_in_"  # and the beginning of the trip's state
COOKIE_S: Final = 600
STATE_CHARS_IN_NAME: Final = 12
# A browser's trips under way; the oldest are forgotten. All cookies must fit into one header.
TRIPS_AT_ONCE_MAX: Final = 5
TRIPS: Final = Rate(per_minute=30, burst=30)  # from one network

_ABOUT: Final = "sign-in elsewhere"
_COOKIE_NAME: Final = re.compile(rf"{COOKIE}[\w-]{{{STATE_CHARS_IN_NAME}}}", re.ASCII)


def start_path(provider: str) -> str:
    """Give the address at which a browser sets out to a provider."""
    return f"/v1/auth/{provider}/start"


def callback_path(provider: str) -> str:
    """Give the address at which a browser comes back from a provider."""
    return f"/v1/auth/{provider}/callback"


def link_claims(who: Requester, provider: str, redirect: str, challenge: str) -> dict[str, str]:
    """Say what a link to an account is bound to."""
    return {
        "user": who.user_id,
        "session": who.session_id,
        "provider": provider,
        "redirect": redirect,
        "challenge": challenge,
    }


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


class BrowserSignIn:
    """The two addresses of each provider that a browser visits; `server` says where this one is.

    `redirects` are the targets that are allowed, comma separated.
    """

    def __init__(
        self,
        providers: Sequence[IdentityProvider],
        *,
        redirects: str,
        sign_in: ProviderSignIn,
        links: TokenScope,
        seal: Seal,
        clock: Clock,
        server: Callable[[], str],
    ) -> None:
        self._links = links
        self._providers = tuple(providers)
        self._redirects = redirects
        self._sign_in = sign_in
        self._seal = seal
        self._clock = clock
        self._server = server
        self._trips = RateLimiter("browser-sign-ins", TRIPS, "Too many attempts from your network")

    def mount(self, app: web.Application) -> None:
        """Add the addresses."""
        for provider in self._providers:
            start, back = partial(self._start, provider), partial(self._return, provider)
            app.router.add_get(start_path(provider.id), with_error_page(start))
            app.router.add_get(callback_path(provider.id), with_error_page(back))

    async def _start(self, provider: IdentityProvider, request: web.Request) -> web.Response:
        self._trips.require_allowed(client_network(request.remote or ""), self._clock.monotonic())
        asked = validate(RedirectStart, dict(request.query))
        if not is_allowed(asked.redirect, self._redirects):
            raise InvalidField(
                "redirect: it must be one of PLAYHALL_SIGN_IN_REDIRECTS.", field="redirect"
            )
        owner = await self._link_owner(provider, asked)
        trip = OAuthState(
            provider=provider.id,
            state=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            nonce=secrets.token_urlsafe(32),
            redirect=asked.redirect,
            challenge=asked.challenge,
            until=self._clock.now().timestamp() + COOKIE_S,
            links_to=None if owner is None else owner.user_id,
            linked_in=None if owner is None else owner.session_id,
        )
        try:
            there = await provider.authorize_url(trip, self._callback(provider))
        except ProviderRefused as why:
            log.warning("a sign-in with %s cannot start: %s", provider.id, why)
            return _sent_to(with_query(trip.redirect, error="unavailable"))
        response = _sent_to(there)
        self._forget_oldest(request, response)
        self._set_cookie(response, _cookie_of(trip.state), self._sealed(trip), max_age_s=COOKIE_S)
        return response

    async def _link_owner(
        self, provider: IdentityProvider, asked: RedirectStart
    ) -> Requester | None:
        """Read whose account shall be linked; raise `BadToken` for a link that is not good.

        A link is bound to challenge and target. So whoever gets hold of one can neither link
        something of their own, nor have somebody else's linked: only who made it has the verifier.
        """
        if asked.link is None:
            return None
        claims = await self._links.read(asked.link)
        owner = Requester(UserId(claims["user"]), SessionId(claims["session"]))
        bound_to = link_claims(owner, provider.id, asked.redirect, asked.challenge)
        if any(claims[name] != value for name, value in bound_to.items()):
            raise BadToken("The link is for something else; ask for another one.")
        return owner

    async def _return(self, provider: IdentityProvider, request: web.Request) -> web.Response:
        trip = self._trip(provider, request)
        if "error" in request.query:
            response = _sent_to(with_query(trip.redirect, error="access_denied"))
        else:
            response = await self._arrive(provider, trip, request.query.get("code", ""))
        self._set_cookie(response, _cookie_of(trip.state), "", max_age_s=0)
        return response

    def _trip(self, provider: IdentityProvider, request: web.Request) -> OAuthState:
        """Read the cookie of this return; raise `BadCode`."""
        state = request.query.get("state", "")
        trip = self._opened(request.cookies.get(_cookie_of(state), ""))
        if (
            trip is None
            or trip.provider != provider.id
            or not hmac.compare_digest(state.encode(), trip.state.encode())
        ):
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

    async def _arrive(
        self, provider: IdentityProvider, trip: OAuthState, code: str
    ) -> web.Response:
        try:
            who = await provider.identify(trip, self._callback(provider), code)
        except ProviderRefused as why:
            log.warning("a sign-in with %s failed: %s", provider.id, why)
            return _sent_to(with_query(trip.redirect, error=f"{provider.id}_refused"))
        try:
            made = await self._sign_in.make_redirect_code(
                provider.id,
                who,
                challenge=trip.challenge,
                links_to=trip.link_owner,
            )
        except PlayhallError as error:  # the database is away, or has no time
            return _sent_to(with_query(trip.redirect, error=error.wire_code))
        return _sent_to(with_query(trip.redirect, code=made))

    def _callback(self, provider: IdentityProvider) -> str:
        return self._server() + callback_path(provider.id)

    def _sealed(self, trip: OAuthState) -> str:
        sealed = self._seal.seal(trip.model_dump_json().encode(), about=_ABOUT)
        return urlsafe_b64encode(sealed).decode()

    def _set_cookie(self, response: web.Response, name: str, value: str, *, max_age_s: int) -> None:
        response.set_cookie(
            name,
            value,
            max_age=max_age_s,
            path="/v1/auth",
            httponly=True,
            samesite="Lax",
            secure=self._server().startswith("https:"),
        )


def _cookie_of(state: str) -> str:
    return COOKIE + state[:STATE_CHARS_IN_NAME]


_Visit = Callable[[web.Request], Awaitable[web.Response]]


def with_error_page(visit: _Visit) -> _Visit:
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


def _sent_to(url: str) -> web.Response:
    headers = {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return web.Response(status=web.HTTPSeeOther.status_code, headers=headers)
