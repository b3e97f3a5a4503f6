"""`POST /v1/telemetry`, `/v1/me/consents` and `/v1/admin/telemetry`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final

import orjson

from persistence.telemetry.consents import ConsentDecision, ConsentStore, DecisionPosition
from persistence.telemetry.schemas import (
    NewTelemetrySchema,
    StoredTelemetrySchema,
    TelemetrySchemaStore,
)
from persistence.telemetry.store import StoredDeadLetter, TelemetryStore
from protocol import telemetry as wire
from protocol.codec import validate
from protocol.errors import Forbidden, NotFound, RateLimited
from protocol.telemetry_reports import ReportName, ReportQuery, TelemetryReport
from server.core.clock import Clock, wire_time
from server.core.cursors import CursorCodec
from server.core.rate_limits import Rate, RateLimiter
from server.core.subscriptions import AnnouncedSweep
from server.domains.progression.telemetry.reports import ReportBuilder, as_csv, as_svg
from server.domains.progression.telemetry.rules import is_allowed
from server.domains.progression.telemetry.schemas import TelemetrySchemaRegistry, compile_schema
from server.domains.progression.telemetry.service import TelemetryService
from server.gateway.http.endpoints import AccountLimit, Endpoint, HttpRequest, RawResponse

TAG: Final = "telemetry"
SCHEMAS: Final = "/v1/admin/telemetry/schemas"
REPORTS: Final = "/v1/admin/telemetry/reports"
LETTERS: Final = "/v1/admin/telemetry/dead-letters"

DECISIONS: Final = Rate(per_minute=20, burst=20)  # of one account

REPORT_NAMES: Final[Mapping[str, ReportName]] = {name: name for name in TelemetryReport.COLUMNS}

_ID_MAX: Final = 2**63 - 1
_LETTER: Final = CursorCodec("dead-letters", int, int)
_DECISION: Final = CursorCodec("consents", DecisionPosition, datetime, str)
_NEWEST: Final = DecisionPosition(datetime(9999, 12, 31, tzinfo=UTC), "")


class TelemetryRoutes:
    """The address that games send events to."""

    def __init__(self, service: TelemetryService, *, clock: Clock, rate: Rate) -> None:
        self._service = service
        self._admit = AccountLimit(
            RateLimiter("telemetry", rate, "Too many batches of telemetry"), clock
        )

    def endpoints(self) -> list[Endpoint]:
        """List it."""
        return [
            Endpoint(
                "POST",
                "/v1/telemetry",
                "Send what happened in a game; each event is accepted or refused by itself.",
                self._ingest,
                auth="required",
                body=wire.TelemetryBatch,
                answer=wire.TelemetryAccepted,
                errors=(RateLimited,),
                tag=TAG,
                admit=self._admit,
                body_bytes_max=wire.BATCH_BYTES_MAX,
                is_compressible=True,
            )
        ]

    async def _ingest(self, request: HttpRequest) -> wire.TelemetryAccepted:
        batch: wire.TelemetryBatch = request.body
        return await self._service.ingest(
            request.who.user_id, batch.events, is_private=_is_private(request)
        )


class ConsentRoutes:
    """The addresses where people decide what may be done with what their games report."""

    def __init__(self, store: ConsentStore, *, clock: Clock, opt_in: frozenset[str]) -> None:
        self._store = store
        self._clock = clock
        self._opt_in = opt_in
        self._limiter = RateLimiter("consents", DECISIONS, "Too many changes of your consent")

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        make = partial(Endpoint, auth="required", tag="consent")
        return [
            make(
                "GET",
                "/v1/me/consents",
                "Read what you allow.",
                self._read,
                answer=wire.Consents,
            ),
            make(
                "PUT",
                "/v1/me/consents",
                "Decide what you allow; what you no longer allow is deleted at once.",
                self._decide,
                body=wire.ConsentRequest,
                answer=wire.Consents,
                errors=(wire.SharingRefused, RateLimited),
            ),
            make(
                "GET",
                "/v1/me/consents/history",
                "List your decisions.",
                self._history,
                query=wire.ConsentsQuery,
                answer=wire.ConsentHistory,
            ),
        ]

    async def _read(self, request: HttpRequest) -> wire.Consents:
        current = await self._store.read_current(request.who.requester)
        granted = {purpose: decision.is_granted for purpose, decision in current.items()}
        return wire.Consents(
            consents=[
                _consent(current[purpose])
                if purpose in current
                else wire.Consent(
                    purpose=purpose,
                    granted=is_allowed(purpose, granted, self._opt_in),
                    version=0,
                    source="default",
                    policy_version="",
                    recorded_at=None,
                )
                for purpose in wire.PURPOSES
            ]
        )

    async def _decide(self, request: HttpRequest) -> wire.Consents:
        asked: wire.ConsentRequest = request.body
        self._limiter.require_allowed(request.who.user_id, self._clock.monotonic())
        if asked.consents.get("sharing") and _is_private(request):
            raise wire.SharingRefused
        await self._store.record_decisions(
            request.who.requester, asked.consents, policy_version=asked.policy_version
        )
        return await self._read(request)

    async def _history(self, request: HttpRequest) -> wire.ConsentHistory:
        query: wire.ConsentsQuery = request.query
        before = _NEWEST if query.cursor is None else _DECISION.read(query.cursor)
        found = await self._store.list_decisions(
            request.who.requester, before=before, limit=query.limit
        )
        return wire.ConsentHistory(
            decisions=[_consent(each) for each in found],
            next=_DECISION.after_page(found, query.limit, lambda last: last.position),
        )


class TelemetryAdminRoutes:
    """The addresses of those who say what is taken, and look after what was not."""

    def __init__(
        self,
        *,
        service: TelemetryService,
        store: TelemetryStore,
        schemas: TelemetrySchemaStore,
        registry: TelemetrySchemaRegistry,
        changed: AnnouncedSweep,
    ) -> None:
        self._service = service
        self._store = store
        self._schemas = schemas
        self._registry = registry
        self._changed = changed

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        make = partial(Endpoint, auth="required", tag=TAG, errors=(Forbidden,))
        return [
            make(
                "GET",
                SCHEMAS,
                "List the schemas of events (editors).",
                self._list_schemas,
                scope="editor",
                answer=wire.TelemetrySchemas,
            ),
            make(
                "PUT",
                f"{SCHEMAS}/{{event_type}}/{{version}}",
                "Register or correct a schema (editors).",
                self._put_schema,
                scope="editor",
                body=wire.TelemetrySchemaRequest,
                answer=wire.TelemetrySchemas,
            ),
            make(
                "GET",
                LETTERS,
                "List the events that no schema fits (support).",
                self._list_letters,
                scope="support",
                query=wire.DeadLettersQuery,
                answer=wire.DeadLetters,
            ),
            make(
                "POST",
                f"{LETTERS}/replay",
                "Check some of them again, after a schema was corrected (editors).",
                self._replay,
                scope="editor",
                body=wire.ReplayRequest,
                answer=wire.Replayed,
            ),
        ]

    async def _list_schemas(self, request: HttpRequest) -> wire.TelemetrySchemas:
        return await self._all_schemas()

    async def _all_schemas(self) -> wire.TelemetrySchemas:
        return wire.TelemetrySchemas(
            schemas=[_schema(each) for each in await self._schemas.list_schemas()]
        )

    async def _put_schema(self, request: HttpRequest) -> wire.TelemetrySchemas:
        asked: wire.TelemetrySchemaRequest = request.body
        version = request.path["version"]
        path = validate(
            wire.TelemetrySchemaPath,
            {
                "event_type": request.path["event_type"],
                "version": int(version) if version.isdecimal() and len(version) < 6 else version,
            },
        )
        compile_schema(asked.json_schema)
        new = NewTelemetrySchema(
            path.event_type, path.version, asked.json_schema, asked.purpose, asked.kept_days
        )
        await self._schemas.put(new, actor=request.who.user_id)
        await self._registry.reload()
        self._changed.announce_sweep()
        return await self._all_schemas()

    async def _list_letters(self, request: HttpRequest) -> wire.DeadLetters:
        query: wire.DeadLettersQuery = request.query
        below = _ID_MAX if query.cursor is None else _LETTER.read(query.cursor)
        found = await self._store.list_dead_letters(
            below=below, event_type=query.event_type, limit=query.limit
        )
        await self._store.record_access(
            actor=request.who.user_id,
            action="telemetry_read_letters",
            target=query.event_type or "all",
            after={"count": len(found)},
        )
        older = _LETTER.after_page(found, query.limit, lambda last: last.letter_id)
        return wire.DeadLetters(letters=[_letter(each) for each in found], next=older)

    async def _replay(self, request: HttpRequest) -> wire.Replayed:
        asked: wire.ReplayRequest = request.body
        done = await self._service.replay(asked.event_type, after=asked.after)
        await self._store.record_access(
            actor=request.who.user_id,
            action="telemetry_replay",
            target=asked.event_type,
            after=done.model_dump(),
        )
        return done


class ReportRoutes:
    """The addresses of reports, for those who make the game."""

    def __init__(self, reports: ReportBuilder) -> None:
        self._reports = reports

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        return [
            Endpoint(
                "GET",
                f"{REPORTS}/{{report}}",
                "Read a report, as JSON, CSV or SVG (editors).",
                self._report,
                auth="required",
                scope="editor",
                query=ReportQuery,
                answer=TelemetryReport,
                errors=(Forbidden, NotFound),
                tag=TAG,
            )
        ]

    async def _report(self, request: HttpRequest) -> TelemetryReport | RawResponse:
        name = REPORT_NAMES.get(request.path["report"])
        if name is None:
            raise NotFound(f"There is no such report; there are {', '.join(REPORT_NAMES)}.")
        query: ReportQuery = request.query
        report = await self._reports.build_report(name, query)
        if query.format == "csv":
            return RawResponse(as_csv(report).encode(), "text/csv; charset=utf-8")
        if query.format == "svg":
            return RawResponse(as_svg(report).encode(), "image/svg+xml")
        return report


def _is_private(request: HttpRequest) -> bool:
    """Say whether a browser sends the Global Privacy Control (globalprivacycontrol.org)."""
    return request.headers.get("Sec-GPC", "").strip() == "1"


def _consent(decision: ConsentDecision) -> wire.Consent:
    return wire.Consent(
        purpose=decision.purpose,
        granted=decision.is_granted,
        version=decision.version,
        source=decision.source,
        policy_version=decision.policy_version,
        recorded_at=wire_time(decision.recorded_at),
    )


def _schema(stored: StoredTelemetrySchema) -> wire.TelemetrySchema:
    return wire.TelemetrySchema(
        event_type=stored.event_type,
        version=stored.version,
        json_schema=orjson.loads(stored.schema),
        purpose=stored.purpose,
        kept_days=stored.kept_days,
        registered_at=wire_time(stored.registered_at),
    )


def _letter(stored: StoredDeadLetter) -> wire.DeadLetter:
    return wire.DeadLetter(
        letter_id=stored.letter_id,
        account_id=stored.account_id,
        event_id=stored.event_id,
        event_type=stored.event_type,
        schema_version=stored.schema_version,
        payload=orjson.loads(stored.payload),
        timestamp=wire_time(stored.timestamp),
        code=stored.code,
        problem=stored.problem,
        received_at=wire_time(stored.received_at),
    )
