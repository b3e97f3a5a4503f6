"""`PATCH /v1/me`, `/v1/profiles`, `GET /v1/me/export` and `DELETE /v1/me`."""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from persistence.profiles.store import ListedPlace, ProfileStore, StoredPerson
from protocol.accounts import Me
from protocol.errors import (
    InvalidField,
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
    ListedPeople,
    ListedPerson,
    MeChange,
    PeopleQuery,
    Profile,
    ProfilePath,
    UsernameQuery,
    UsernameState,
)
from protocol.reserved_names import is_reserved
from server.core.clock import wire_fields
from server.core.cursors import CursorCodec
from server.core.events import LocalEventBus, ProfileChanged
from server.core.rate_limits import Rate, RateLimiter, client_network
from server.domains.people.profiles.erasure import ErasureService
from server.domains.people.profiles.export import ExportService
from server.gateway.http.endpoints import Endpoint, HttpRequest, RawResponse

TAG: Final = "profiles"
# Of one network: enough to type a name, too few to collect them.
LOOKUPS: Final = Rate(per_minute=60, burst=30)
# Of one account, or one network without a token.
SEARCHES: Final = Rate(per_minute=120, burst=120)
AVATARS: Final = "/files/avatars/"
PROFILE_NAME: Final = re.compile(f"{UUID_PATTERN}|{USERNAME_PATTERN}")

_CURSORS: Final = {
    "followers": CursorCodec("people-by-followers", ListedPlace, int, UUID),
    "newest": CursorCodec("people-by-age", ListedPlace, datetime, UUID),
}
_PLACES: Final[Mapping[str, Callable[[StoredPerson], ListedPlace]]] = {
    "followers": lambda person: ListedPlace(person.follower_count, person.user_id),
    "newest": lambda person: ListedPlace(person.created_at, person.user_id),
}

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
        self._searches = RateLimiter("people", SEARCHES, "You are searching too much at once")

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
                errors=(UsernameTaken, UsernameTooSoon, InvalidField),
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
                "Read a profile by its username, its account's id or its player's.",
                self._profile,
                answer=Profile,
                errors=(ProfileNotFound,),
            ),
            public(
                "GET",
                "/v1/people",
                "List or find people, those with most followers or the newest first.",
                self._people,
                query=PeopleQuery,
                answer=ListedPeople,
                admit=self._admit_search,
                is_tagged=True,
                errors=(InvalidField, RateLimited),
            ),
        ]

    async def _change(self, request: HttpRequest) -> Me:
        change: MeChange = request.body
        _require_own_picture(change.avatar_url, request.who.user_id)
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

    def _admit_search(self, request: HttpRequest) -> None:
        identity = request.identity
        key = client_network(request.remote) if identity is None else identity.user_id
        self._searches.require_allowed(key, self._now())

    async def _people(self, request: HttpRequest) -> ListedPeople:
        query: PeopleQuery = request.query
        codec = _CURSORS[query.sort]
        found = await self._store.list_people(
            request.requester,
            query=query.q,
            sort=query.sort,
            after=None if query.cursor is None else codec.read(query.cursor),
            limit=query.limit,
        )
        is_similar = bool(found) and found[0].is_similar
        people = [
            ListedPerson(**{k: v for k, v in wire_fields(person).items() if k != "is_similar"})
            for person in found
        ]
        # Those with a similar name are one page.
        after = None if is_similar else codec.after_page(found, query.limit, _PLACES[query.sort])
        return ListedPeople(people=people, is_similar=is_similar, next=after)


def _require_own_picture(url: str | None, user_id: UserId) -> None:
    """Raise `InvalidField` for an uploaded picture of somebody else."""
    own = f"{AVATARS}{user_id}/"
    if url and url.startswith(AVATARS) and (not url.startswith(own) or ".." in url):
        raise InvalidField(
            f"avatar_url: upload the picture into your own folder, {own}", field="avatar_url"
        )


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
