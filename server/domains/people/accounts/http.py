"""None"""

from collections.abc import Awaitable, Callable
from functools import partial

import orjson

from persistence.accounts.sessions import OwnSession as Stored
from persistence.accounts.sessions import SessionStore
from persistence.accounts.store import Account
from protocol.accounts import (
    Deactivated,
    GuestRequest,
    Jwks,
    LoggedOut,
    Me,
    OwnSession,
    OwnSessions,
    Reactivated,
    ReactivationRequest,
    RefreshRequest,
    SessionPath,
    SessionsEnded,
    Tokens,
)
from protocol.errors import (
    AccountDeactivated,
    BadToken,
    Banned,
    NotFound,
    Overloaded,
    RateLimited,
    TokenExpired,
)
from protocol.ids import SessionId, UserId
from server.core.clock import wire_fields, wire_time
from server.core.rate_limits import Rate, RateLimiter, client_network
from server.domains.people.accounts.keys import SigningKeys
from server.domains.people.accounts.revocation import SessionRevocation
from server.domains.people.accounts.service import Accounts
from server.gateway.http.endpoints import Endpoint, HttpRequest

TAG = "accounts"
JWKS = "/.well-known/jwks.json"
REACTIVATIONS = Rate(per_minute=30, burst=30)  # from one network


def guest_limiter(per_minute: float) -> RateLimiter:
    """Limit how many guests one network makes."""
    rate = Rate(per_minute, burst=max(1.0, per_minute))
    return RateLimiter("guests", rate, "Too many new guests from your network")


class AccountRoutes:
    """The addresses of accounts; `now` gives monotonic seconds."""

    def __init__(
        self,
        *,
        accounts: Accounts,
        keys: SigningKeys,
        guests: RateLimiter,
        now: Callable[[], float],
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
                "Create a guest account.",
                self._guest,
                body=GuestRequest,
                errors=(RateLimited, Overloaded),
            ),
            public(
                "POST",
                "/v1/auth/refresh",
                "Exchange a refresh token for new tokens.",
                self._refresh,
                body=RefreshRequest,
                errors=(BadToken, TokenExpired, AccountDeactivated, RateLimited),
            ),
            own(
                "POST",
                "/v1/auth/logout",
                "End this session and close its sockets.",
                self._logout,
                answer=LoggedOut,
            ),
            own("GET", "/v1/me", "Read your account.", self._me),
            public("GET", JWKS, "Get the keys that verify access tokens.", self._jwks, answer=Jwks),
        ]

    def require_guest_allowed(self, remote: str) -> None:
        """Count a new guest of a network; raise `RateLimited`."""
        self._guests.require_allowed(client_network(remote), self._now())

    async def _guest(self, request: HttpRequest) -> Tokens:
        self.require_guest_allowed(request.remote)
        return await self._accounts.create_guest(request.body.display_name)

    async def _refresh(self, request: HttpRequest) -> Tokens:
        body: RefreshRequest = request.body
        return await self._accounts.refresh(body.refresh_token, reactivate=body.reactivate)

    async def _logout(self, request: HttpRequest) -> LoggedOut:
        await self._accounts.end_session(request.who.session_id)
        return LoggedOut(session_id=request.who.session_id)

    async def _me(self, request: HttpRequest) -> Me:
        return await self.read_me(request.who.user_id)

    async def read_me(self, user_id: UserId) -> Me:
        """Read an account as its owner sees it."""
        return _me(await self._accounts.read_account(user_id))

    async def _jwks(self, _: HttpRequest) -> Jwks:
        return self._keys.to_jwks()


def _me(account: Account) -> Me:
    preferences = orjson.loads(account.preferences)
    return Me(**wire_fields(account) | {"preferences": preferences})


class ActivityRoutes:
    """Deactivating one's account, and making it active again without signing in."""

    def __init__(
        self,
        *,
        deactivate: Callable[[UserId], Awaitable[None]],
        reactivate: Callable[[str], Awaitable[UserId]],
        now: Callable[[], float],
    ) -> None:
        self._deactivate_account = deactivate
        self._reactivate_account = reactivate
        self._now = now
        self._attempts = RateLimiter(
            "reactivations", REACTIVATIONS, "Too many attempts from your network"
        )

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        return [
            Endpoint(
                "POST",
                "/v1/me/deactivate",
                "Hide yourself and all that you made, and close your connections, until you "
                "reactivate your account.",
                self._deactivate,
                auth="required",
                answer=Deactivated,
                tag=TAG,
            ),
            Endpoint(
                "POST",
                "/v1/me/reactivate",
                "Reactivate the account of an access token that is still valid.",
                self._reactivate,
                auth="none",
                body=ReactivationRequest,
                answer=Reactivated,
                errors=(BadToken, TokenExpired, Banned, AccountDeactivated, RateLimited),
                tag=TAG,
            ),
        ]

    async def _deactivate(self, request: HttpRequest) -> Deactivated:
        await self._deactivate_account(request.who.user_id)
        return Deactivated(user_id=request.who.user_id)

    async def _reactivate(self, request: HttpRequest) -> Reactivated:
        self._attempts.require_allowed(client_network(request.remote), self._now())
        user_id = await self._reactivate_account(request.body.access_token)
        return Reactivated(user_id=user_id)


class SessionRoutes:
    """The addresses of somebody's own sessions."""

    def __init__(self, *, store: SessionStore, revocation: SessionRevocation) -> None:
        self._store = store
        self._revocation = revocation

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        own = partial(Endpoint, auth="required", tag=TAG)
        return [
            own(
                "POST",
                "/v1/auth/logout-everywhere",
                "End all your sessions, including this one.",
                self._end_all,
                answer=SessionsEnded,
            ),
            own(
                "GET",
                "/v1/me/sessions",
                "List where you are signed in.",
                self._list,
                answer=OwnSessions,
            ),
            own(
                "DELETE",
                "/v1/me/sessions/{session_id}",
                "End one of your sessions.",
                self._end,
                answer=LoggedOut,
                errors=(NotFound,),
            ),
        ]

    async def _list(self, request: HttpRequest) -> OwnSessions:
        stored = await self._store.list_sessions(request.who.user_id)
        return OwnSessions(sessions=[_own(each, request.who.session_id) for each in stored])

    async def _end(self, request: HttpRequest) -> LoggedOut:
        session_id = request.parse_path(SessionPath).session_id
        await self._revocation.end_own(session_id, request.who.user_id)
        return LoggedOut(session_id=session_id)

    async def _end_all(self, request: HttpRequest) -> SessionsEnded:
        return SessionsEnded(ended=await self._revocation.end_all(request.who.user_id))


def _own(stored: Stored, this: SessionId) -> OwnSession:
    return OwnSession(
        session_id=stored.session_id,
        method=stored.method,
        created_at=wire_time(stored.created_at),
        used_at=wire_time(stored.used_at),
        is_this=stored.session_id == this,
    )
