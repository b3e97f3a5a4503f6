"""`/v1/people/{user_id}`: following, blocking and muting."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal
from uuid import UUID

from persistence.follows.store import NEWEST, FollowStore, StoredTies, TiePlace
from protocol import follows as wire
from protocol.errors import InvalidField, RateLimited
from protocol.history import PageQuery
from protocol.ids import UserId
from server.core.clock import Clock, wire_time
from server.core.cursors import CursorCodec
from server.core.rate_limits import Rate, RateLimiter
from server.domains.social.follows.settings import FollowsSettings
from server.gateway.http.endpoints import AccountLimit, Endpoint, HttpRequest

TAG: Final = "follows"
ONE: Final = "/v1/people/{user_id}"

_CURSOR: Final = CursorCodec("people", TiePlace, datetime, UUID)


class FollowRoutes:
    """The addresses of follows, blocks and mutes."""

    def __init__(self, store: FollowStore, settings: FollowsSettings, clock: Clock) -> None:
        self._store = store
        per_minute = settings.changes_per_minute
        self._admit = AccountLimit(
            RateLimiter(
                "follows", Rate(per_minute, per_minute), "You are following too much at once"
            ),
            clock,
        )

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        listing = partial(
            Endpoint, "GET", tag=TAG, query=PageQuery, errors=(wire.PersonNotFound, InvalidField)
        )
        return [
            Endpoint(
                "GET",
                f"{ONE}/ties",
                "Read what there is between you and a person.",
                self._read,
                auth="required",
                answer=wire.Ties,
                errors=(wire.PersonNotFound, InvalidField),
                tag=TAG,
            ),
            self._change("PUT", "follow", "Follow a person.", self._follow, body=wire.Follow),
            self._change("DELETE", "follow", "Stop following a person.", self._unfollow),
            self._change(
                "PUT",
                "block",
                "Block a person: neither of you sees the other anywhere.",
                partial(self._set, kind="block", is_set=True),
            ),
            self._change(
                "DELETE",
                "block",
                "Stop blocking a person.",
                partial(self._set, kind="block", is_set=False),
            ),
            self._change(
                "PUT",
                "mute",
                "Mute a person: they are not in your feed, and do not know.",
                partial(self._set, kind="mute", is_set=True),
            ),
            self._change(
                "DELETE",
                "mute",
                "Stop muting a person.",
                partial(self._set, kind="mute", is_set=False),
            ),
            listing(
                f"{ONE}/followers",
                "List who follows a person, newest first.",
                partial(self._people, which="followers"),
                answer=wire.RelatedPeople,
            ),
            listing(
                f"{ONE}/following",
                "List whom a person follows, newest first.",
                partial(self._people, which="following"),
                answer=wire.RelatedPeople,
            ),
            listing(
                "/v1/me/blocks",
                "List whom you block, newest first.",
                partial(self._own, which="blocks"),
                auth="required",
                answer=wire.BlockedPeople,
            ),
            listing(
                "/v1/me/mutes",
                "List whom you mute, newest first.",
                partial(self._own, which="mutes"),
                auth="required",
                answer=wire.BlockedPeople,
            ),
        ]

    def _change(
        self,
        method: Literal["PUT", "DELETE"],
        verb: str,
        summary: str,
        handler: Callable[[HttpRequest], Awaitable[wire.Ties]],
        body: type[wire.Follow] | None = None,
    ) -> Endpoint:
        return Endpoint(
            method,
            f"{ONE}/{verb}",
            summary,
            handler,
            auth="required",
            body=body,
            answer=wire.Ties,
            admit=self._admit,
            errors=(wire.PersonNotFound, wire.TooManyTies, InvalidField, RateLimited),
            tag=TAG,
        )

    async def _read(self, request: HttpRequest) -> wire.Ties:
        return _ties(await self._store.read_ties(request.who.requester, _person_of(request)))

    async def _follow(self, request: HttpRequest) -> wire.Ties:
        follow: wire.Follow = request.body
        who, person = request.who.requester, _person_of(request)
        return _ties(await self._store.follow(who, person, notify=follow.notify_creations))

    async def _unfollow(self, request: HttpRequest) -> wire.Ties:
        return _ties(await self._store.unfollow(request.who.requester, _person_of(request)))

    async def _set(
        self, request: HttpRequest, *, kind: Literal["block", "mute"], is_set: bool
    ) -> wire.Ties:
        who, person = request.who.requester, _person_of(request)
        return _ties(await self._store.set_tie(who, person, kind, is_set=is_set))

    async def _people(
        self, request: HttpRequest, *, which: Literal["followers", "following"]
    ) -> wire.RelatedPeople:
        query: PageQuery = request.query
        rows = await self._store.list_people(
            request.requester,
            _person_of(request),
            which,
            after=_after(query),
            limit=query.limit,
        )
        people = [wire.RelatedPerson(**_fields(row)) for row in rows]
        return wire.RelatedPeople(people=people, next=_next(rows, query.limit))

    async def _own(
        self, request: HttpRequest, *, which: Literal["blocks", "mutes"]
    ) -> wire.BlockedPeople:
        query: PageQuery = request.query
        who = request.who.requester
        rows = await self._store.list_own(who, which, after=_after(query), limit=query.limit)
        people = [wire.BlockedPerson(**_fields(row)) for row in rows]
        return wire.BlockedPeople(people=people, next=_next(rows, query.limit))


def _person_of(request: HttpRequest) -> UserId:
    return request.parse_path(wire.PersonPath).user_id


def _ties(stored: StoredTies) -> wire.Ties:
    return wire.Ties(**stored._asdict())


def _after(query: PageQuery) -> TiePlace:
    return NEWEST if query.cursor is None else _CURSOR.read(query.cursor)


def _next(rows: list[Any], limit: int) -> str | None:
    return _CURSOR.after_page(rows, limit, lambda row: TiePlace(row["since"], row["user_id"]))


def _fields(row: Any) -> dict[str, Any]:
    return {**row, "since": wire_time(row["since"])}
