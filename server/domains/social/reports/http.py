"""`/v1/reports`, and the queue of moderators."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from persistence.reports.store import NEWEST, OLDEST, ReportPlace, ReportStore, ReportTarget
from protocol import reports as wire
from protocol.creations import CreationNotFound, CreationPath
from protocol.errors import Forbidden, InvalidField, RateLimited
from protocol.history import PageQuery
from protocol.ids import CreationId, UserId
from server.core.clock import Clock, wire_time
from server.core.cursors import CursorCodec
from server.core.events import CreationListed, UserDeactivated
from server.core.rate_limits import Rate, RateLimiter
from server.domains.social.reports.settings import ReportsSettings
from server.gateway.http.endpoints import AccountLimit, Endpoint, HttpRequest

TAG: Final = "reports"

_FILED: Final = CursorCodec("filed reports", ReportPlace, datetime, UUID)
_QUEUE: Final = CursorCodec("reports", ReportPlace, datetime, UUID)


class ReportRoutes:
    """The addresses of reports."""

    def __init__(
        self,
        store: ReportStore,
        settings: ReportsSettings,
        clock: Clock,
        publish_event: Callable[[CreationListed | UserDeactivated], None],
    ) -> None:
        self.filed_total = 0
        self.decided_total = 0
        self._store = store
        self._publish_event = publish_event
        per_minute = settings.filed_per_minute
        self._admit = AccountLimit(
            RateLimiter(
                "reports", Rate(per_minute, per_minute), "You are reporting too much at once"
            ),
            clock,
        )

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        moderated = partial(Endpoint, auth="required", scope="moderator", tag=TAG)
        return [
            Endpoint(
                "POST",
                "/v1/reports",
                "Report a creation, a comment, a person, or a companion's message.",
                self._file,
                auth="required",
                body=wire.NewReport,
                answer=wire.FiledReport,
                admit=self._admit,
                errors=(
                    wire.ReportTargetNotFound,
                    wire.TooManyReports,
                    InvalidField,
                    RateLimited,
                ),
                tag=TAG,
            ),
            Endpoint(
                "GET",
                "/v1/me/reports",
                "List your reports, newest first.",
                self._list_filed,
                auth="required",
                query=PageQuery,
                answer=wire.FiledReports,
                errors=(InvalidField,),
                tag=TAG,
            ),
            moderated(
                "GET",
                "/v1/admin/reports",
                "Read the moderation queue, oldest first.",
                self._list_queue,
                query=wire.ReportQueueQuery,
                answer=wire.ReportQueue,
                errors=(Forbidden, InvalidField),
            ),
            moderated(
                "POST",
                "/v1/admin/reports/{report_id}/decision",
                "Decide a report, and all others of the same thing.",
                self._decide,
                body=wire.ReportDecisionRequest,
                answer=wire.QueuedReport,
                errors=(Forbidden, wire.ReportNotFound, wire.ReportDecided, InvalidField),
            ),
            moderated(
                "PUT",
                "/v1/admin/creations/{creation_id}/featured",
                "Feature a published creation, or end that.",
                self._set_featured,
                body=wire.FeaturedRequest,
                answer=wire.FeaturedCreation,
                errors=(Forbidden, CreationNotFound, InvalidField),
            ),
        ]

    async def _file(self, request: HttpRequest) -> wire.FiledReport:
        new: wire.NewReport = request.body
        target = ReportTarget(new.creation_id, new.comment_id, new.user_id, new.message_id)
        who = request.who.requester
        filed = await self._store.file(who, target, new.reason, new.details)
        self.filed_total += 1
        return wire.FiledReport(**_fields(filed))

    async def _list_filed(self, request: HttpRequest) -> wire.FiledReports:
        query: PageQuery = request.query
        after = NEWEST if query.cursor is None else _FILED.read(query.cursor)
        who = request.who.requester
        rows = await self._store.list_filed(who, after=after, limit=query.limit)
        reports = [wire.FiledReport(**_fields(row)) for row in rows]
        return wire.FiledReports(reports=reports, next=_FILED.after_page(rows, query.limit, _place))

    async def _list_queue(self, request: HttpRequest) -> wire.ReportQueue:
        query: wire.ReportQueueQuery = request.query
        after = OLDEST if query.cursor is None else _QUEUE.read(query.cursor)
        rows = await self._store.list_queue(
            query.status, after=after, limit=query.limit, without=_not_theirs(request)
        )
        reports = [wire.QueuedReport(**_fields(row)) for row in rows]
        return wire.ReportQueue(reports=reports, next=_QUEUE.after_page(rows, query.limit, _place))

    async def _decide(self, request: HttpRequest) -> wire.QueuedReport:
        asked: wire.ReportDecisionRequest = request.body
        report_id = request.parse_path(wire.ReportPath).report_id
        actor = request.who.user_id
        decided = await self._store.decide(
            report_id, asked.decision, asked.note, actor=actor, without=_not_theirs(request)
        )
        self.decided_total += 1
        if asked.decision not in ("none", "warned"):
            self._announce(decided["creation_id"], decided["owner_id"])
        if asked.decision == "deactivated" and decided["owner_id"] is not None:
            self._publish_event(UserDeactivated(decided["owner_id"]))
        return wire.QueuedReport(**_fields(decided))

    async def _set_featured(self, request: HttpRequest) -> wire.FeaturedCreation:
        asked: wire.FeaturedRequest = request.body
        creation_id = request.parse_path(CreationPath).creation_id
        owner = await self._store.set_featured(
            creation_id, is_featured=asked.is_featured, actor=request.who.user_id
        )
        self._announce(creation_id, owner)
        return wire.FeaturedCreation(creation_id=creation_id, is_featured=asked.is_featured)

    def _announce(self, creation_id: CreationId | None, owner: UserId | None) -> None:
        self._publish_event(CreationListed(creation_id, owner, is_new=False))


def _not_theirs(request: HttpRequest) -> UserId | None:
    """Say whose reports this member of staff must not see: their own, except for admins.

    A moderator would learn who reported them, and could dismiss it.
    """
    return None if "admin" in request.who.roles else request.who.user_id


def _place(row: Any) -> ReportPlace:
    return ReportPlace(row["created_at"], row["report_id"])


def _fields(record: Any) -> dict[str, Any]:
    return {
        name: wire_time(value) if isinstance(value, datetime) else value
        for name, value in record.items()
    }
