"""HTTP as data: an endpoint says what it takes and gives; this file does the rest.

Bodies and queries are validated by their models, errors have the same shape and codes as
on the websocket, and `/openapi.json` is written from the same table.
"""

import logging
from collections.abc import AsyncIterable, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Final, Literal, TypeVar

import orjson
from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware
from pydantic import BaseModel

from persistence.rls import Requester
from protocol.codec import error_body, read_json, validate
from protocol.errors import (
    BadFrame,
    BadToken,
    MethodNotAllowed,
    NotFound,
    Overloaded,
    PlayhallError,
    UnsupportedEncoding,
)
from server.core.clock import Clock
from server.core.rate_limits import LimitNotes, RateLimiter, noting_limits, whole_seconds
from server.gateway.error_counts import Count, code_of_status, ignore_error
from server.gateway.http.bodies import (
    BODY_BYTES_MAX,
    COMPRESSIONS,
    has_coded_body,
    read_body,
    require_coding,
)
from server.gateway.http.query import query_reader
from server.gateway.session.identity import Identity, Scope, find_scope_error

log = logging.getLogger(__name__)

# After a deadlock one of two transactions goes on, so the other one hardly meets a second.
DEADLOCK_RETRIES: Final = 3

Authenticate = Callable[[str], Awaitable[Identity]]


PathModel = TypeVar("PathModel", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A validated request: `query` and `body` are instances of the endpoint's models.

    `body` is bytes where the endpoint takes them; `headers` are looked up in any case.
    """

    identity: Identity | None
    path: Mapping[str, str]
    query: Any
    body: Any
    remote: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def who(self) -> Identity:
        """The identity of an endpoint that requires one."""
        if self.identity is None:
            raise BadToken("Send an access token: Authorization: Bearer …")
        return self.identity

    @property
    def requester(self) -> Requester | None:
        """The account that row level security applies to; None without a token."""
        return None if self.identity is None else self.identity.requester

    def parse_path(self, model: type[PathModel]) -> PathModel:
        """Read the address's parameters; raise `InvalidField`."""
        return validate(model, dict(self.path))


class AccountLimit:
    """Counts the requests of each account against one limit: an endpoint's `admit`."""

    def __init__(self, limiter: RateLimiter, clock: Clock) -> None:
        self._limiter = limiter
        self._clock = clock

    def __call__(self, request: HttpRequest) -> None:
        """Count a request; raise `RateLimited`."""
        self._limiter.require_allowed(request.who.user_id, self._clock.monotonic())


@dataclass(frozen=True, slots=True)
class RawResponse:
    """An answer that is not JSON of ours; what comes in pieces is sent as it comes."""

    body: bytes | AsyncIterable[bytes]
    content_type: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = BaseModel | RawResponse

# On every answer that does not say otherwise: tokens and what is personal stay out of caches, and
# browsers take content for what it is said to be.
SAFE_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
TAG_BYTES: Final = 16
# Where an error's answer carries its code for the metrics.
_CODE: Final = web.ResponseKey("code", str)


def _finishing(
    count: Count,
) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    async def finish(_: web.Request, response: web.StreamResponse) -> None:
        for name, value in SAFE_HEADERS.items():
            response.headers.setdefault(name, value)
        if response.status >= 400:
            count(response.get(_CODE) or code_of_status(response.status))

    return finish


def _limit_headers(limits: LimitNotes) -> dict[str, str]:
    """Write the fields of draft-ietf-httpapi-ratelimit-headers, one item for each policy.

    `q` are granted at once and flow back within `w` seconds; `r` are left, and in `t` seconds there
    is one more.
    """
    states = limits.values()
    return {
        "RateLimit-Policy": ", ".join(
            f'"{state.policy}";q={state.quota};w={state.window_s}' for state in states
        ),
        "RateLimit": ", ".join(
            f'"{state.policy}";r={state.remaining}'
            + (f";t={state.reset_s}" if state.reset_s else "")
            for state in states
        ),
    }


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address. `auth` is none, optional (a bad token is still refused) or required.

    `scope` says whose token may be used; see `server.gateway.session.identity`. `admit` is asked
    before the body is read and raises to refuse it, so that limits count before it costs anything.
    With `is_compressible` the body may be compressed; `body_bytes_max` is its size when inflated.
    """

    method: Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
    path: str
    summary: str
    handler: Callable[[HttpRequest], Awaitable[Answer]]
    auth: Literal["none", "optional", "required"] = "optional"
    query: type[BaseModel] | None = None
    # A model, or `bytes` of another type than JSON of ours.
    body: type[BaseModel] | type[bytes] | None = None
    body_type: str = "application/json"
    answer: type[BaseModel] | None = None
    errors: tuple[type[PlayhallError], ...] = ()
    tag: str = ""
    scope: Scope = "player"
    admit: Callable[[HttpRequest], None] | None = None
    body_bytes_max: int = BODY_BYTES_MAX
    is_compressible: bool = False
    # Request headers that the handler reads, and what they mean.
    headers: Mapping[str, str] = field(default_factory=dict)
    # Answers have an ETag of their bytes, and a client that has them is answered 304.
    is_tagged: bool = False


def build_http(
    endpoints: Sequence[Endpoint],
    authenticate: Authenticate,
    count: Count = ignore_error,
) -> web.Application:
    """Make the aiohttp application that serves the endpoints; `count` gets refusals' codes."""
    compressible = {
        (endpoint.method, endpoint.path) for endpoint in endpoints if endpoint.is_compressible
    }
    app = web.Application(
        client_max_size=BODY_BYTES_MAX,
        middlewares=[_noting_limits, _errors_as_json, _refusing_encoded(compressible)],
    )
    app.on_response_prepare.append(_finishing(count))
    for endpoint in endpoints:
        handler = _serve(endpoint, authenticate)
        app.router.add_route(endpoint.method, endpoint.path, handler)
        if endpoint.method == "GET":
            app.router.add_route("HEAD", endpoint.path, handler)
    return app


def _serve(
    endpoint: Endpoint, authenticate: Authenticate
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    read_query = query_reader(endpoint.query) if endpoint.query is not None else None

    async def serve(request: web.Request) -> web.StreamResponse:
        identity = await _identify(endpoint, request, authenticate)
        asked = HttpRequest(
            identity=identity,
            path=request.match_info,
            query=read_query(request.query) if read_query is not None else None,
            body=None,
            remote=request.remote or "",
            headers=request.headers,
        )
        if endpoint.admit is not None:
            endpoint.admit(asked)
        if (body := await _body(endpoint, request)) is not None:
            asked = replace(asked, body=body)
        response = _respond(await _handle(endpoint, asked))
        return _tagged(response, request) if endpoint.is_tagged else response

    return serve


async def _handle(endpoint: Endpoint, asked: HttpRequest) -> Answer:
    """Carry out a request, and again where the database gave it up in a deadlock.

    What the request did was rolled back, so the client, who would be told so, has nothing to add.
    """
    for _ in range(DEADLOCK_RETRIES):
        try:
            return await endpoint.handler(asked)
        except Overloaded as error:
            if not error.is_deadlock:
                raise
    return await endpoint.handler(asked)


def _tagged(response: web.Response, request: web.Request) -> web.Response:
    """Name the bytes of an answer, or say that the client has them.

    A cache may keep them for this client, and asks before each use.
    """
    assert isinstance(response.body, bytes)
    tag = f'"{blake2b(response.body, digest_size=TAG_BYTES).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    if is_known(request.headers.get("If-None-Match", ""), tag):
        return web.Response(status=304, headers=headers)
    response.headers.update(headers)
    return response


def is_known(condition: str, tag: str) -> bool:
    """Compare a tag with `If-None-Match`, weakly (RFC 9110, section 13.1.2)."""
    known = {each.strip().removeprefix("W/") for each in condition.split(",")}
    return tag in known or "*" in known


async def _identify(
    endpoint: Endpoint, request: web.Request, authenticate: Authenticate
) -> Identity | None:
    if endpoint.auth == "none":
        return None
    identity = await identify(request, authenticate)
    if identity is None:
        if endpoint.auth == "required":
            raise BadToken("Send an access token: Authorization: Bearer …")
        return None
    if (refused := find_scope_error(identity, endpoint.scope)) is not None:
        raise refused
    return identity


async def identify(request: web.Request, authenticate: Authenticate) -> Identity | None:
    """Say whose token a request carries; None if it has none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if not token:
        return None
    if scheme.lower() != "bearer":
        raise BadToken("The Authorization header must be: Bearer <access token>.")
    return await authenticate(token)


async def _body(endpoint: Endpoint, request: web.Request) -> BaseModel | bytes | None:
    raw = await read_body(request, endpoint.body_bytes_max)
    if endpoint.body is None:
        return None
    if issubclass(endpoint.body, bytes):
        return raw
    try:
        data = read_json(raw or b"{}")
    except BadFrame as error:
        if "json" in request.content_type or error.field is not None:
            raise
        # Most tools that name another type send JSON all the same; where it is none, that is why.
        raise BadFrame(f"{error.message} Send JSON, with Content-Type: application/json.") from None
    return validate(endpoint.body, data)


def _respond(answer: Answer) -> web.Response:
    if isinstance(answer, RawResponse):
        headers = {"Content-Type": answer.content_type, **answer.headers}
        return web.Response(body=answer.body, status=answer.status, headers=headers)
    return _json(answer.model_dump(), 200)


def _json(data: object, status: int) -> web.Response:
    return web.Response(body=orjson.dumps(data), status=status, content_type="application/json")


def error_response(error: PlayhallError) -> web.Response:
    """Write an error as HTTP has it: the code's status, the same fields as on the socket."""
    response = _json({"type": "error", **error_body(error)}, error.status)
    response[_CODE] = error.wire_code
    if error.retry:
        wait_s = error.retry_pause_s if error.retry_after_s is None else error.retry_after_s
        response.headers["Retry-After"] = str(whole_seconds(wait_s))
    return response


@web.middleware
async def _noting_limits(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say on an answer what limiters found while its request was handled."""
    with noting_limits() as notes:
        response = await handler(request)
    if notes and not response.prepared:
        response.headers.update(_limit_headers(notes))
    return response


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except PlayhallError as error:
        return error_response(error)
    except web.HTTPNotFound:
        return error_response(NotFound(f"There is nothing at {request.path}; see /docs."))
    except web.HTTPMethodNotAllowed as refused:
        response = error_response(MethodNotAllowed())
        response.headers["Allow"] = ", ".join(sorted(refused.allowed_methods))
        return response
    except web.HTTPException:
        raise
    except (web.RequestPayloadError, HttpProcessingError) as broken:
        return _broken_off(
            error_response(BadFrame(f"The body is malformed: {one_line_reason(broken)}."))
        )
    except Exception:
        if _is_gone(request):
            return _broken_off(web.Response(status=400))  # the client left: nobody reads it
        log.exception("%s %s failed", request.method, request.path)
        return error_response(PlayhallError())


def one_line_reason(broken: Exception) -> str:
    """Say what aiohttp found wrong with a request; it draws arrows in lines of their own."""
    message = broken.message if isinstance(broken, HttpProcessingError) else str(broken)
    return message.partition("\n\n")[0].replace("\n", " ").rstrip(" .:")


def _broken_off(response: web.Response) -> web.Response:
    """Close the connection after an answer: where the next request begins is not known."""
    response.force_close()
    return response


def _is_gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _refusing_encoded(compressible: Collection[tuple[str, str]]) -> Middleware:
    """Answer a compressed body with 415 wherever it is not taken, and say what is taken instead."""

    @web.middleware
    async def refuse_encoded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not has_coded_body(request):
            return await handler(request)
        resource = request.match_info.route.resource
        place = (request.method, resource.canonical if resource is not None else "")
        is_compressible = place in compressible
        try:
            require_coding(request, is_compressible=is_compressible)
        except UnsupportedEncoding as error:
            response = error_response(error)
            accepted = (*COMPRESSIONS, "identity") if is_compressible else ("identity",)
            response.headers["Accept-Encoding"] = ", ".join(accepted)
            return response
        return await handler(request)

    return refuse_encoded
