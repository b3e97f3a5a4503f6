"""`PATCH /v1/me`, `/v1/profiles`, `GET /v1/me/export` and `DELETE /v1/me`."""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from persistence.profiles.store import ProfileStore
from protocol.accounts import Me
from protocol.errors import (
    NotConfirmed,
    Overloaded,
    ProfileNotFound,
    RateLimited,
    SignInAgain,
    TooLarge,
    UsernameTaken,
    UsernameTooSoon,
)
from protocol.ids import UUID_PATTERN, UserId
from protocol.profiles import (
    USERNAME_PATTERN,
    Erased,
    ErasureRequest,
    MeChange,
    Profile,
    ProfilePath,
    UsernameQuery,
    UsernameState,
)
from protocol.reserved_names import is_reserved
from server.core.clock import wire_fields
from server.core.events import LocalEventBus, ProfileChanged
from server.core.rate_limits import Rate, RateLimiter, client_network
from server.domains.people.profiles.erasure import ErasureService
from server.domains.people.profiles.export import ExportService
from server.gateway.http.endpoints import Endpoint, HttpRequest, RawResponse

TAG: Final = "profiles"
# Of one network: enough to type a name, too few to collect them.
LOOKUPS: Final = Rate(per_minute=60, burst=30)
PROFILE_NAME: Final = re.compile(f"{UUID_PATTERN}|{USERNAME_PATTERN}")

ReadMe = Callable[[UserId], Awaitable[Me]]


class ProfileRoutes:
    """The addresses of profiles; `read_me` reads an account, `now` gives monotonic seconds."""

    def __init__(
        self,
        *,
        store: ProfileStore,
        read_me: ReadMe,
        now: Callable[[], float],
        events: LocalEventBus,
    ) -> None:
        self._events = events
        self._store = store
        self._read_me = read_me
        self._now = now
        self._lookups = RateLimiter(
            "profile-lookups", LOOKUPS, "Too many lookups from your network"
        )

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        own = partial(Endpoint, auth="required", tag=TAG)
        public = partial(Endpoint, auth="optional", tag=TAG)
        return [
            own(
                "PATCH",
                "/v1/me",
                "Change your names and preferences.",
                self._change,
                body=MeChange,
                answer=Me,
                errors=(UsernameTaken, UsernameTooSoon),
            ),
            public(
                "GET",
                "/v1/profiles",
                "Check whether a username is available.",
                self._is_free,
                query=UsernameQuery,
                answer=UsernameState,
                errors=(RateLimited,),
            ),
            public(
                "GET",
                "/v1/profiles/{name}",
                "Read a profile by its username or its account's id.",
                self._profile,
                answer=Profile,
                errors=(ProfileNotFound,),
            ),
        ]

    async def _change(self, request: HttpRequest) -> Me:
        change: MeChange = request.body
        await self._store.update_profile(request.who.requester, **change.model_dump())
        self._events.publish(ProfileChanged(request.who.user_id))
        return await self._read_me(request.who.user_id)

    async def _is_free(self, request: HttpRequest) -> UsernameState:
        self._lookups.require_allowed(client_network(request.remote), self._now())
        username: str = request.query.username
        is_taken = is_reserved(username) or await self._store.is_taken(username)
        return UsernameState(username=username, is_free=not is_taken)

    async def _profile(self, request: HttpRequest) -> Profile:
        name = request.parse_path(ProfilePath).name.lower()
        asker = request.requester
        profile = await self._store.find(name, asker) if PROFILE_NAME.fullmatch(name) else None
        if profile is None:
            raise ProfileNotFound
        return Profile(**wire_fields(profile))


EXPORTS: Final = Rate(per_minute=1 / 60, burst=3)  # of one account
ERASURES: Final = Rate(per_minute=1, burst=5)  # that are tried, of one account

ZIP_HEADERS: Final = {
    "Content-Disposition": 'attachment; filename="playhall-my-data.zip"',
    "Cache-Control": "no-store",
}


class MyDataRoutes:
    """The addresses of one's own data; `now` gives monotonic seconds."""

    def __init__(
        self, *, exports: ExportService, erasure: ErasureService, now: Callable[[], float]
    ) -> None:
        self._exports = exports
        self._erasure = erasure
        self._now = now
        self._exporting = RateLimiter("exports", EXPORTS, "Too many exports")
        self._erasing = RateLimiter("erasures", ERASURES, "Too many attempts")

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        own = partial(Endpoint, auth="required", tag=TAG)
        return [
            own(
                "GET",
                "/v1/me/export",
                "Download everything that is stored about you as a ZIP file.",
                self._export,
                errors=(RateLimited, Overloaded, TooLarge),
            ),
            own(
                "DELETE",
                "/v1/me",
                "Erase your account, and your name everywhere.",
                self._erase,
                body=ErasureRequest,
                answer=Erased,
                errors=(NotConfirmed, SignInAgain, RateLimited),
            ),
        ]

    async def _export(self, request: HttpRequest) -> RawResponse:
        self._exporting.require_allowed(request.who.user_id, self._now())
        pieces = await self._exports.export(request.who.user_id)
        return RawResponse(pieces, "application/zip", headers=ZIP_HEADERS)

    async def _erase(self, request: HttpRequest) -> Erased:
        self._erasing.require_allowed(request.who.user_id, self._now())
        return Erased(
            player_id=await self._erasure.erase_account(request.who, request.body.confirm)
        )
