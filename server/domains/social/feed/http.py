"""`/v1/feed`, `/v1/creations` and `/v1/search/creations`."""

from typing import Final

from protocol.creations import CreationNotFound, CreationPath
from protocol.errors import InvalidField, RateLimited
from protocol.feed import (
    Creations,
    PublicFeedQuery,
    Recommendations,
    RecommendedQuery,
    SearchQuery,
    SimilarQuery,
)
from protocol.history import PageQuery
from server.core.clock import Clock
from server.core.rate_limits import Rate, RateLimiter, client_network
from server.domains.social.feed.service import FeedService
from server.domains.social.feed.settings import FeedSettings
from server.gateway.http.endpoints import Endpoint, HttpRequest, RawResponse

TAG: Final = "feed"


class FeedRoutes:
    """The addresses of feeds."""

    def __init__(self, service: FeedService, settings: FeedSettings, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        per_minute = settings.searches_per_minute
        self._limit = RateLimiter(
            "searches", Rate(per_minute, per_minute), "You are searching too much at once"
        )

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        return [
            Endpoint(
                "GET",
                "/v1/feed",
                "Read what those whom you follow published, newest first.",
                self._following,
                auth="required",
                query=PageQuery,
                answer=Creations,
                is_tagged=True,
                errors=(InvalidField,),
                tag=TAG,
            ),
            Endpoint(
                "GET",
                "/v1/creations",
                "List published creations, newest first: all, of a type, with a tag, of a person, "
                "or featured.",
                self._public,
                query=PublicFeedQuery,
                answer=Creations,
                is_tagged=True,
                errors=(InvalidField,),
                tag=TAG,
            ),
            Endpoint(
                "GET",
                "/v1/search/creations",
                "Search published creations by words.",
                self._search,
                query=SearchQuery,
                answer=Creations,
                admit=self._admit_search,
                is_tagged=True,
                errors=(InvalidField, RateLimited),
                tag=TAG,
            ),
            Endpoint(
                "GET",
                "/v1/creations/{creation_id}/similar",
                "Read published creations that are similar to one, best first, and why.",
                self._similar,
                query=SimilarQuery,
                answer=Recommendations,
                admit=self._admit_search,
                is_tagged=True,
                errors=(CreationNotFound, InvalidField, RateLimited),
                tag=TAG,
            ),
            Endpoint(
                "GET",
                "/v1/feed/recommended",
                "Read published creations that are similar to what you liked last, and why.",
                self._recommended,
                auth="required",
                query=RecommendedQuery,
                answer=Recommendations,
                admit=self._admit_search,
                is_tagged=True,
                errors=(InvalidField, RateLimited),
                tag=TAG,
            ),
        ]

    async def _similar(self, request: HttpRequest) -> Recommendations:
        creation_id = request.parse_path(CreationPath).creation_id
        return await self._service.similar(request.requester, creation_id, request.query)

    async def _recommended(self, request: HttpRequest) -> Recommendations:
        return await self._service.recommended(request.who.requester, request.query)

    def _admit_search(self, request: HttpRequest) -> None:
        identity = request.identity
        key = client_network(request.remote) if identity is None else identity.user_id
        self._limit.require_allowed(key, self._clock.monotonic())

    async def _following(self, request: HttpRequest) -> RawResponse:
        return _json(await self._service.following(request.who.requester, request.query))

    async def _public(self, request: HttpRequest) -> RawResponse:
        return _json(await self._service.public(request.requester, request.query))

    async def _search(self, request: HttpRequest) -> RawResponse:
        return _json(await self._service.search(request.requester, request.query))


def _json(page: bytes) -> RawResponse:
    return RawResponse(page, "application/json")
