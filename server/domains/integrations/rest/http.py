"""The addresses under `/rest/v1`: tables, and functions under `/rest/v1/rpc`."""

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import asyncpg
import orjson
from aiohttp import web

from persistence.rest.store import (
    Asker,
    ChangedByRead,
    Composed,
    Found,
    NoServiceRole,
    RestStore,
    StatementTimeout,
)
from protocol.errors import BadToken, PlayhallError, TokenExpired
from server.core.rate_limits import RateLimiter, client_network
from server.domains.integrations.rest.exposed import ExposedCatalogue
from server.gateway.http.bodies import read_body
from server.gateway.http.endpoints import Authenticate
from server.gateway.rest.catalogue import Catalogue, TableName
from server.gateway.rest.errors import (
    RestError,
    not_single,
    status_of_sqlstate,
    too_many_affected,
)
from server.gateway.rest.parser import parse_query
from server.gateway.rest.planner import Body, Call, Insert, Limits, Plan, Planner, check_body
from server.gateway.rest.preferences import choose_media, parse_preferences
from server.gateway.rest.query import Query
from server.gateway.rest.responses import RestResponse, respond_to_change, respond_to_read
from server.gateway.rest.sql import compose
from server.gateway.supabase_keys import ApiClient, ApiKeys

PREFIX: Final = "/rest/v1"
BODY_BYTES_MAX: Final = 1024 * 1024
# How many reads are remembered as statements, and the longest of them, without and with headers.
READS_MAX: Final = 500
KEPT_CHARS_MAX: Final = 1000
WAIT_S: Final = 5.0  # for a place among the statements that run at once
# What may be there after all, if the catalogue is read again.
_NOT_KNOWN: Final = frozenset({"PGRST200", "PGRST202", "PGRST204", "PGRST205", "42703"})
_RANGE: Final = re.compile(r"(?:items=)?(\d{1,10})-(\d{0,10})")


class RoleLimits(NamedTuple):
    """What a role may have of the database."""

    rows_max: int
    timeout_s: float
    changes: frozenset[str] | None = None


class _PlannedRead(NamedTuple):
    """What a read asks for, by the catalogue that it was found in."""

    catalogue: Catalogue
    plan: Plan
    query: Query
    composed: Composed


class RestServing:
    """Serves the REST interface. `at_once` is how many statements run at the same time."""

    def __init__(
        self,
        *,
        store: RestStore,
        catalogue: ExposedCatalogue,
        keys: ApiKeys,
        authenticate: Authenticate,
        limits: Mapping[str, RoleLimits],
        requests: RateLimiter,
        now: Callable[[], float],
        at_once: int,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._keys = keys
        self._authenticate = authenticate
        self._limits = limits
        self._requests = requests
        self._now = now
        self._places = asyncio.Semaphore(at_once)
        self._reads: OrderedDict[tuple[str | None, ...], _PlannedRead] = OrderedDict()

    def mount(self, app: web.Application) -> None:
        """Serve the addresses from an application."""
        for path in (PREFIX, f"{PREFIX}/"):
            app.router.add_get(path, self._described)
        for method in ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"):
            app.router.add_route(method, f"{PREFIX}/{{table}}", self._serve)
        for method in ("GET", "HEAD", "POST"):
            app.router.add_route(method, f"{PREFIX}/rpc/{{function}}", self._serve)

    async def _described(self, _: web.Request) -> web.Response:
        return error_response(RestError(404, "PGRST126", "Root endpoint metadata is disabled"))

    async def _serve(self, request: web.Request) -> web.Response:
        is_anonymous = True
        try:
            client = await self._keys.identify(request.headers, request.query, self._authenticate)
            is_anonymous = client.role == "anon"
            self._count(client, request)
            body = await _read_body(request)
            try:
                answer = await self._answer(client, request, body)
            except RestError as error:
                if error.code not in _NOT_KNOWN or not await self._catalogue.reload_if_old():
                    raise
                answer = await self._answer(client, request, body)
        except RestError as error:
            return error_response(error)
        except PlayhallError as error:
            return error_response(of_playhall(error))
        except asyncpg.PostgresError as error:
            return error_response(of_postgres(error, is_anonymous=is_anonymous))
        return web.Response(
            body=b"" if request.method == "HEAD" else answer.body,
            status=answer.status,
            headers=answer.headers,
        )

    def _count(self, client: ApiClient, request: web.Request) -> None:
        if client.role == "service_role":
            return
        who = client.identity
        subject = client_network(request.remote or "") if who is None else who.user_id
        self._requests.require_allowed(subject, self._now())

    async def _answer(self, client: ApiClient, request: web.Request, body: bytes) -> RestResponse:
        limits = self._limits[client.role]
        plan, query, composed = self._plan(client.role, request, body)
        async with self._place():
            try:
                found = await self._store.run(
                    Asker(client.role, client.requester),
                    composed,
                    timeout_s=limits.timeout_s,
                    changes_session=isinstance(plan.source, Call),
                )
            except StatementTimeout:
                raise RestError(
                    500, "57014", "canceling statement due to statement timeout"
                ) from None
            except ChangedByRead as error:
                raise RestError(405, "25006", str(error)) from None
            except NoServiceRole:
                raise RestError(
                    403,
                    "42501",
                    "The service key cannot be used: the server's login lacks service_role",
                    hint="Set PLAYHALL_REST_SERVICE_DATABASE_URL to a login that is.",
                ) from None
        return _written(request, plan, query, found)

    def _plan(self, role: str, request: web.Request, body: bytes) -> tuple[Plan, Query, Composed]:
        """Say what a request asks for. Of a read it is kept, for when the same is asked again."""
        catalogue = self._catalogue.current
        key = _key_of_read(role, request)
        if key is not None:
            known = self._reads.get(key)
            if known is not None and known.catalogue is catalogue:
                self._reads.move_to_end(key)
                return known.plan, known.query, known.composed
        planner = Planner(catalogue, _planned(role, self._limits[role]))
        plan, query = make_plan(planner, catalogue, request, body)
        statement = compose(plan)
        composed = Composed(
            statement.text,
            statement.arguments,
            plan.is_read_only,
            plan.exactly,
            plan.at_most,
            plan.is_rehearsal,
        )
        if key is not None:
            self._reads[key] = _PlannedRead(catalogue, plan, query, composed)
            self._reads.move_to_end(key)
            if len(self._reads) > READS_MAX:
                self._reads.popitem(last=False)
        return plan, query, composed

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        try:
            if self._places.locked():
                async with asyncio.timeout(WAIT_S):
                    await self._places.acquire()
            else:
                await self._places.acquire()  # does not wait
        except TimeoutError:
            raise RestError(
                504, "PGRST003", "Timed out acquiring connection from connection pool."
            ) from None
        try:
            yield
        finally:
            self._places.release()


def _planned(role: str, limits: RoleLimits) -> Limits:
    return Limits(role, limits.rows_max, limits.changes)


def _key_of_read(role: str, request: web.Request) -> tuple[str | None, ...] | None:
    """Name a read by everything that its plan depends on; None for what is not kept."""
    target = request.rel_url.raw_path_qs
    if request.method not in ("GET", "HEAD") or len(target) > KEPT_CHARS_MAX:
        return None
    headers = request.headers
    prefer = ", ".join(headers.getall("Prefer", ()))
    named = [headers.get(name) for name in ("Accept", "Accept-Profile", "Range")]
    if sum(len(each) for each in named if each) + len(prefer) > KEPT_CHARS_MAX:
        return None
    return role, request.method, target, prefer, *named


def make_plan(
    planner: Planner, catalogue: Catalogue, request: web.Request, body: bytes
) -> tuple[Plan, Query]:
    """Say what a request asks for; raise `RestError`."""
    headers, method = request.headers, request.method
    is_read = method in ("GET", "HEAD")
    schema = catalogue.find_schema(headers.get("Accept-Profile" if is_read else "Content-Profile"))
    media = choose_media(headers.get("Accept", ""))
    prefer = parse_preferences(", ".join(headers.getall("Prefer", ())))
    raw = request.rel_url.raw_query_string.encode("utf-8", "replace")
    function = request.match_info.get("function")
    query = parse_query(raw, has_arguments=function is not None and is_read)
    if is_read and "Range" in headers:
        _apply_range(query, headers["Range"])
    if function is not None:
        given = None if is_read else _parsed(request, body or b"{}", is_call=True)
        name = TableName(schema, _clean(function))
        return planner.call(name, query, given, media, prefer), query
    name = TableName(schema, _clean(request.match_info["table"]))
    if is_read:
        return planner.read(name, query, media, prefer), query
    if method == "DELETE":
        return planner.delete(name, query, media, prefer), query
    change = {"POST": planner.insert, "PATCH": planner.update, "PUT": planner.put}[method]
    return change(name, query, _parsed(request, body), media, prefer), query


def _clean(name: str) -> str:
    return name.encode("utf-8", "replace").decode()


def _apply_range(query: Query, header: str) -> None:
    """Take a `Range` header as limit and offset, where the query has none."""
    found = _RANGE.fullmatch(header.strip())
    if found is None or () in query.limits or () in query.offsets:
        return
    lower = int(found[1])
    if found[2]:
        upper = int(found[2])
        if lower > upper:
            raise RestError(
                416,
                "PGRST103",
                "Requested range not satisfiable",
                details=(
                    "The lower boundary must be lower than or equal to the upper boundary in the "
                    "Range header."
                ),
            )
        query.limits[()] = min(upper - lower + 1, 2**31 - 1)
    query.offsets[()] = min(lower, 2**31 - 1)


async def _read_body(request: web.Request) -> bytes:
    return await read_body(request, BODY_BYTES_MAX)


def _parsed(request: web.Request, body: bytes, *, is_call: bool = False) -> Body:
    kind = request.content_type
    if request.headers.get("Content-Type") and not (
        kind == "application/json" or kind.endswith("+json")
    ):
        raise RestError(400, "PGRST102", f"Content-Type not acceptable: {_clean(kind)[:100]}")
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise RestError(400, "PGRST102", "Empty or invalid json") from None
    return check_body(body.decode("utf-8"), data, is_call=is_call)


def _written(request: web.Request, plan: Plan, query: Query, found: Found) -> RestResponse:
    headers = request.headers
    prefer = parse_preferences(", ".join(headers.getall("Prefer", ())))
    is_read = request.method in ("GET", "HEAD")
    profile = headers.get("Accept-Profile" if is_read else "Content-Profile")
    source = plan.source
    if source is None or isinstance(source, Call):
        return respond_to_read(plan, query, prefer, found.body, found.page, found.total, profile)
    inserted = found.inserted if isinstance(source, Insert) else None
    return respond_to_change(
        plan,
        prefer,
        body=found.body,
        page=found.page,
        inserted=inserted,
        is_put=request.method == "PUT",
        profile=profile,
    )


def error_response(error: RestError) -> web.Response:
    """Write an error as PostgREST does."""
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Proxy-Status": f"PostgREST; error={error.code}",
        **error.headers,
    }
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(body=error.body(), status=error.status, headers=headers)


def of_playhall(error: PlayhallError) -> RestError:
    """Write one of our errors in PostgREST's form."""
    if isinstance(error, TokenExpired):
        return RestError(401, "PGRST303", "JWT expired")
    if isinstance(error, BadToken):
        return RestError(401, "PGRST301", error.message)
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return RestError(error.status, error.wire_code, error.message, headers=headers)


def of_postgres(error: asyncpg.PostgresError, *, is_anonymous: bool) -> RestError:
    """Write an error of the database as PostgREST does."""
    sqlstate, message = error.sqlstate or "XX000", str(error.args[0] if error.args else error)
    if sqlstate == "PH116":
        return not_single(int(message))
    if sqlstate == "PH124":
        return too_many_affected(int(message))
    return RestError(
        status_of_sqlstate(sqlstate, is_anonymous=is_anonymous),
        sqlstate,
        message,
        details=getattr(error, "detail", None),
        hint=getattr(error, "hint", None),
    )
