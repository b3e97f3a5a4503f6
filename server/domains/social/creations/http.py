"""`/v1/creations`: making, changing, publishing and remixing them."""

from functools import partial
from typing import Final

from persistence.rls import Requester
from protocol import creations as wire
from protocol.errors import Forbidden, InvalidField, RateLimited
from protocol.files import FileMissing, FileTaken, QuotaExceeded, Upload
from protocol.ids import CreationId
from server.core.clock import Clock
from server.core.rate_limits import Rate, RateLimiter, client_network
from server.domains.social.creations.service import CreationService
from server.domains.social.creations.settings import CreationsSettings
from server.gateway.http.endpoints import AccountLimit, Endpoint, HttpRequest

TAG: Final = "creations"
ONE: Final = "/v1/creations/{creation_id}"


class CreationRoutes:
    """The addresses of creations."""

    def __init__(self, service: CreationService, settings: CreationsSettings, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self._admit_write = AccountLimit(
            RateLimiter(
                "creations",
                Rate(settings.writes_per_minute, settings.writes_burst),
                "You are changing too many creations at once",
            ),
            clock,
        )
        per_minute = settings.views_per_minute
        self._views = RateLimiter(
            "views", Rate(per_minute, per_minute), "You are viewing too many creations at once"
        )
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        none = (wire.CreationNotFound, InvalidField)
        yours = (*none, Forbidden, RateLimited)
        make = partial(
            Endpoint, auth="required", tag=TAG, answer=wire.Creation, admit=self._admit_write
        )
        return [
            Endpoint(
                "GET",
                ONE,
                "Read a published creation or one of your own.",
                self._read,
                answer=wire.Creation,
                is_tagged=True,
                errors=none,
                tag=TAG,
            ),
            Endpoint(
                "GET",
                "/v1/me/creations",
                "List your own creations, newest first.",
                self._list_own,
                auth="required",
                query=wire.OwnCreationsQuery,
                answer=wire.OwnCreations,
                errors=(InvalidField,),
                tag=TAG,
            ),
            Endpoint(
                "GET",
                f"{ONE}/analytics",
                "Count the views, likes, comments and remixes of your creation by day.",
                self._analytics,
                auth="required",
                query=wire.AnalyticsQuery,
                answer=wire.Analytics,
                errors=(*none, Forbidden),
                tag=TAG,
            ),
            Endpoint(
                "GET",
                "/v1/me/analytics",
                "Count the views, likes, comments and remixes of all your creations by day.",
                self._own_analytics,
                auth="required",
                query=wire.AnalyticsQuery,
                answer=wire.Analytics,
                errors=(InvalidField,),
                tag=TAG,
            ),
            make(
                "POST",
                "/v1/creations",
                "Make a creation; it begins as a draft.",
                self._add,
                body=wire.NewCreation,
                errors=(wire.CreationTaken, wire.TooManyCreations, InvalidField, RateLimited),
            ),
            make(
                "PATCH",
                ONE,
                "Change your creation.",
                self._change,
                body=wire.CreationChanges,
                errors=(*yours, wire.RemixRefused),
            ),
            make(
                "DELETE",
                ONE,
                "Delete your creation and its files; remixes of it remain.",
                self._delete,
                answer=wire.CreationDeleted,
                errors=yours,
            ),
            make(
                "POST",
                f"{ONE}/publish",
                "Publish your creation for everybody.",
                self._publish,
                errors=(*yours, wire.CreationIncomplete),
            ),
            make(
                "POST",
                f"{ONE}/archive",
                "Take your creation off every list; publish it to bring it back.",
                self._archive,
                errors=yours,
            ),
            make(
                "POST",
                f"{ONE}/remix",
                "Make a remix of a creation that allows it.",
                self._remix,
                body=wire.Remix,
                errors=(
                    *yours,
                    wire.RemixRefused,
                    wire.CreationTaken,
                    wire.TooManyCreations,
                ),
            ),
            make(
                "POST",
                f"{ONE}/uploads",
                "Get a signed URL for a creation's file or thumbnail.",
                self._announce_upload,
                body=wire.CreationUpload,
                answer=Upload,
                errors=(*yours, FileTaken, QuotaExceeded),
            ),
            make(
                "POST",
                f"{ONE}/files",
                "Link the files that were uploaded for a creation.",
                self._attach_files,
                errors=(*yours, FileMissing),
            ),
            Endpoint(
                "POST",
                f"{ONE}/views",
                "Count that you viewed a creation, once a day; without a token, for a network.",
                self._count_view,
                answer=wire.ViewCounted,
                admit=self._admit_view,
                errors=(*none, RateLimited),
                tag=TAG,
            ),
        ]

    async def _analytics(self, request: HttpRequest) -> wire.Analytics:
        today = self._clock.now().date()
        return await self._service.analytics(*_named(request), request.query, today=today)

    async def _own_analytics(self, request: HttpRequest) -> wire.Analytics:
        today = self._clock.now().date()
        who = request.who.requester
        return await self._service.analytics(who, None, request.query, today=today)

    async def _read(self, request: HttpRequest) -> wire.Creation:
        who = request.requester
        return await self._service.read(who, _id_of(request))

    async def _list_own(self, request: HttpRequest) -> wire.OwnCreations:
        return await self._service.list_own(request.who.requester, request.query)

    async def _add(self, request: HttpRequest) -> wire.Creation:
        return await self._service.add(request.who.requester, request.body)

    async def _change(self, request: HttpRequest) -> wire.Creation:
        return await self._service.change(*_named(request), request.body)

    async def _delete(self, request: HttpRequest) -> wire.CreationDeleted:
        return await self._service.delete(*_named(request))

    async def _publish(self, request: HttpRequest) -> wire.Creation:
        return await self._service.publish(*_named(request))

    async def _archive(self, request: HttpRequest) -> wire.Creation:
        return await self._service.archive(*_named(request))

    async def _remix(self, request: HttpRequest) -> wire.Creation:
        return await self._service.remix(*_named(request), request.body)

    async def _announce_upload(self, request: HttpRequest) -> Upload:
        return await self._service.announce_upload(*_named(request), request.body)

    async def _attach_files(self, request: HttpRequest) -> wire.Creation:
        return await self._service.attach_files(*_named(request))

    async def _count_view(self, request: HttpRequest) -> wire.ViewCounted:
        network = client_network(request.remote)
        return await self._service.count_view(request.requester, network, _id_of(request))

    def _admit_view(self, request: HttpRequest) -> None:
        """Count a request of an account, or of a network; raise `RateLimited`."""
        who = request.identity
        key = client_network(request.remote) if who is None else who.user_id
        self._views.require_allowed(key, self._clock.monotonic())


def _id_of(request: HttpRequest) -> CreationId:
    return request.parse_path(wire.CreationPath).creation_id


def _named(request: HttpRequest) -> tuple[Requester, CreationId]:
    return request.who.requester, _id_of(request)
