"""Signing in as anybody, for development: refused unless only this machine can ask.

It is off unless `PLAYHALL_DEV_LOGIN` is set, and then the node starts only if it listens on nothing
but loopback addresses. That alone does not keep others out: a proxy on this machine, or a page in
the developer's browser, may pass on what comes from elsewhere. So a request must also name this
machine as its host and its origin, and must not have come through a proxy that says so.
"""

import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from persistence.accounts.store import AccountStore, SessionOwner, UsernameTaken
from persistence.errors import StartRefused
from protocol.accounts import Tokens
from protocol.errors import AccountDeactivated, Banned, Forbidden, Overloaded
from protocol.profiles import DevSignIn
from server.core.settings import split_names
from server.domains.people.accounts.names import NUMBER_BITS, generate_names
from server.domains.people.accounts.service import Accounts, draft_account
from server.gateway.http.endpoints import Endpoint, HttpRequest

log = logging.getLogger(__name__)

DEV: Final = "dev"
PROXIED: Final = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine, by its name or its address."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_loopback_url(url: str) -> bool:
    """Say whether a URL, or what stands in a Host header behind `//`, is on this machine."""
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False


class DevLogin:
    """Signs in whoever asks as whomever they name."""

    def __init__(self, *, accounts: Accounts, store: AccountStore) -> None:
        self._accounts = accounts
        self._store = store

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        return [
            Endpoint(
                "POST",
                "/v1/auth/dev",
                "Sign in as anybody, in development.",
                self._sign_in,
                auth="none",
                body=DevSignIn,
                answer=Tokens,
                errors=(Forbidden, Banned, AccountDeactivated, Overloaded),
                tag="accounts",
            )
        ]

    async def _sign_in(self, request: HttpRequest) -> Tokens:
        require_loopback(request.remote, request.headers)
        name = request.body.name
        for _ in range(2):
            user_id = await self._store.find_user_by_username(name)
            if user_id is not None:
                return await self._accounts.open_session(user_id, method=DEV)
            names = generate_names(secrets.randbits(NUMBER_BITS))._replace(username=name)
            person = draft_account(names, name)
            session, refresh_token = self._accounts.issuer.new_session(DEV)
            with suppress(UsernameTaken):  # by another request, meanwhile: found in the next turn
                await self._store.add_guest(person, session)
                who = (session.session_id, person.user_id, person.player_id, name)
                return self._accounts.issuer.make_tokens(SessionOwner(*who), refresh_token)
        raise Overloaded


def require_loopback(remote: str, headers: Mapping[str, str]) -> None:
    """Raise `Forbidden` unless a request came from this machine, and from nowhere before it."""
    if any(name in headers for name in PROXIED):
        raise Forbidden("The development login refuses requests that came through a proxy.")
    if not is_loopback(remote) or not is_loopback_url(f"//{headers.get('Host', '')}"):
        raise Forbidden("The development login answers only at a loopback address.")
    if "Origin" in headers and not is_loopback_url(headers["Origin"]):
        raise Forbidden("The development login refuses pages of other machines.")


def require_private(hosts: str, public_url: str) -> None:
    """Raise `StartRefused` unless only this machine can reach the node; else log a warning."""
    reachable = [host for host in split_names(hosts) if not is_loopback(host)]
    if reachable or not split_names(hosts):
        raise StartRefused(
            "PLAYHALL_DEV_LOGIN lets anybody sign in as anybody, and PLAYHALL_HOST is "
            f"{', '.join(reachable) or 'empty'}; unset it, or listen on 127.0.0.1 only."
        )
    if public_url and not is_loopback_url(public_url):
        raise StartRefused(
            f"PLAYHALL_DEV_LOGIN lets anybody sign in as anybody, and PLAYHALL_PUBLIC_URL is "
            f"{public_url}; unset one of them."
        )
    log.warning("PLAYHALL_DEV_LOGIN is set: anybody on this machine can sign in as anybody")
