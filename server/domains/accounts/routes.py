"""`/v1/auth`, `/v1/me` and the published keys."""

from collections.abc import Callable
from functools import partial

import orjson

from persistence.accounts import Account
from protocol.account import (
    GuestRequest,
    Jwks,
    LoggedOut,
    Me,
    RefreshRequest,
    Tokens,
)
from protocol.errors import BadToken, Overloaded, RateLimited, TokenExpired
from protocol.ids import UserId
from server.domains.accounts.accounts import Accounts
from server.domains.accounts.keys import Keys
from server.gateway.http import Endpoint, HttpRequest
from server.kernel.clock import wire_time
from server.kernel.ratelimits import Rate, RateLimiter, network_of

TAG = "accounts"
JWKS = "/.well-known/jwks.json"


def guest_limiter(per_minute: float) -> RateLimiter:
    """Limit how many guests one network makes."""
    rate = Rate(per_minute, burst=max(1.0, per_minute))
    return RateLimiter(rate, "Too many new guests from your network")


class AccountRoutes:
    """The addresses of accounts; `now` gives monotonic seconds."""

    def __init__(
        self, *, accounts: Accounts, keys: Keys, guests: RateLimiter, now: Callable[[], float]
    ) -> None:
        self._accounts = accounts
        self._keys = keys
        self._guests = guests
        self._now = now

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        public = partial(Endpoint, auth="none", answer=Tokens, tag=TAG)
        own = partial(Endpoint, auth="required", answer=Me, tag=TAG)
        return [
            public(
                "POST",
                "/v1/auth/guest",
                "Make an account without a password.",
                self._guest,
                body=GuestRequest,
                errors=(RateLimited, Overloaded),
            ),
            public(
                "POST",
                "/v1/auth/refresh",
                "Trade a refresh token for new tokens.",
                self._refresh,
                body=RefreshRequest,
                errors=(BadToken, TokenExpired, RateLimited),
            ),
            own(
                "POST",
                "/v1/auth/logout",
                "End this session and close its sockets.",
                self._logout,
                answer=LoggedOut,
            ),
            own("GET", "/v1/me", "Read your account.", self._me),
            public("GET", JWKS, "Read the keys that verify tokens.", self._jwks, answer=Jwks),
        ]

    async def _guest(self, request: HttpRequest) -> Tokens:
        self._guests.require(network_of(request.remote), self._now())
        return await self._accounts.new_guest(request.body.display_name)

    async def _refresh(self, request: HttpRequest) -> Tokens:
        return await self._accounts.refresh(request.body.refresh_token)

    async def _logout(self, request: HttpRequest) -> LoggedOut:
        await self._accounts.end(request.who.session_id)
        return LoggedOut(session_id=request.who.session_id)

    async def _me(self, request: HttpRequest) -> Me:
        return await self.read_me(request.who.user_id)

    async def read_me(self, user_id: UserId) -> Me:
        """Read an account as its owner sees it."""
        return _me(await self._accounts.account(user_id))

    async def _jwks(self, _: HttpRequest) -> Jwks:
        return self._keys.published()


def _me(account: Account) -> Me:
    parsed = {
        "created_at": wire_time(account.created_at),
        "preferences": orjson.loads(account.preferences),
    }
    return Me(**{**account._asdict(), **parsed})
