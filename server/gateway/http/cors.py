"""Pages of other origins: which of them may ask over HTTP (CORS), and how they find out.

No cookie and no password of the browser is involved: a page shows its own access token.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from aiohttp import hdrs, web

from server.core.addresses import normalize_origin

ANY_ORIGIN: Final = "*"
# What pages may ask from elsewhere; everything else is for browsers themselves.
PATHS: Final = ("/v1/", "/files/", "/sdk/", "/rest/v1/", "/auth/v1/", "/storage/v1/")
METHODS: Final = "GET, HEAD, POST, PATCH, PUT, DELETE"
ASKED_WITH: Final = (
    "Authorization, Content-Type, Content-Encoding, Range, If-Match, If-None-Match, If-Range, "
    "Accept, Accept-Profile, Content-Profile, Prefer, Range-Unit, ApiKey, X-Client-Info, X-Upsert, "
    "X-Metadata, Cache-Control, X-Supabase-Api-Version, X-Retry-Count, Tus-Resumable, "
    "Upload-Length, Upload-Offset, Upload-Metadata, X-HTTP-Method-Override"
)
TOLD_WITH: Final = (
    "ETag, Retry-After, RateLimit, RateLimit-Policy, Content-Range, Accept-Ranges, "
    "Preference-Applied, X-Supabase-Api-Version, Location, Tus-Resumable, Upload-Offset, "
    "Upload-Length, Upload-Expires"
)
PREFLIGHT_KEPT_S: Final = 600

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def normalise_origins(origins: Iterable[str]) -> frozenset[str]:
    """Write origins as they are compared."""
    return frozenset(map(normalize_origin, origins))


def install_cors(app: web.Application, origins: Iterable[str]) -> None:
    """Let pages of these origins read the answers; with none, only those of the same host."""
    if allowed := normalise_origins(origins):
        cors = _Cors(allowed)
        app.middlewares.insert(0, cors.answer_preflights)
        app.on_response_prepare.append(cors.mark)


class _Cors:
    def __init__(self, origins: frozenset[str]) -> None:
        self._origins = origins

    @web.middleware
    async def answer_preflights(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a browser what a page may send; the page's own request comes after it."""
        asked = hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
        if request.method != hdrs.METH_OPTIONS or not asked or self._allowed(request) is None:
            return await handler(request)
        headers = {
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: ASKED_WITH,
            hdrs.ACCESS_CONTROL_MAX_AGE: str(PREFLIGHT_KEPT_S),
        }
        return web.Response(status=204, headers=headers)

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        """Say on an answer who may read it, and to caches that this differs."""
        if not request.path.startswith(PATHS):
            return
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        if (allowed := self._allowed(request)) is not None:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = allowed
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = TOLD_WITH

    def _allowed(self, request: web.Request) -> str | None:
        """Give what to answer a page that is welcome, else None."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or not request.path.startswith(PATHS):
            return None
        if ANY_ORIGIN in self._origins:
            return ANY_ORIGIN
        return origin if normalize_origin(origin) in self._origins else None
