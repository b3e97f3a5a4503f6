"""`/healthz`, `/readyz`, `/metrics`, `/v1/status` and the documents."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache, partial

from prometheus_client import CONTENT_TYPE_LATEST

from protocol.errors import GoingAway, PlayhallError, Unavailable
from protocol.history import Health, Status
from server.gateway.http.endpoints import Endpoint, HttpRequest, RawResponse
from server.web.cached_page import CachedPage, takes_gzip

TAG = "operations"
JSON = "application/json"
PROBE_TIMEOUT_S = 2.0


class OperationRoutes:
    """The addresses of operations.

    `probe` raises `PlayhallError` where the database cannot be reached; `metrics` gives the
    text to scrape; `openapi` and `asyncapi` give the documents as JSON and are asked once,
    after the first request for them, so that they can list these addresses too.
    """

    def __init__(
        self,
        *,
        probe: Callable[[], Awaitable[None]],
        draining: Callable[[], bool],
        status: Callable[[], Awaitable[Status]],
        metrics: Callable[[], bytes],
        openapi: Callable[[], bytes],
        asyncapi: Callable[[], bytes],
    ) -> None:
        self._probe = probe
        self._draining = draining
        self._status = status
        self._metrics = metrics
        # Written once: it takes a while, and they never change.
        self._openapi = cache(lambda: CachedPage("/openapi.json", openapi(), JSON))
        self._asyncapi = cache(lambda: CachedPage("/asyncapi.json", asyncapi(), JSON))

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        get = partial(Endpoint, "GET", auth="none", tag=TAG)
        return [
            get("/healthz", "Check that the process is alive.", self._alive, answer=Health),
            get(
                "/readyz",
                "Check whether this server accepts new clients and, if not, what is missing.",
                self._ready,
                answer=Health,
                errors=(Unavailable, GoingAway),
            ),
            get(
                "/v1/status",
                "Read counts of what this server is doing now.",
                self._count,
                answer=Status,
            ),
            get("/metrics", "Read the metrics, in the Prometheus text format.", self._scrape),
            get("/openapi.json", "Read the OpenAPI document.", self._describe_http),
            get("/asyncapi.json", "Read the AsyncAPI document.", self._describe_websocket),
        ]

    async def _alive(self, _: HttpRequest) -> Health:
        return Health()

    async def _ready(self, _: HttpRequest) -> Health:
        if self._draining():
            raise GoingAway(field="server")
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self._probe()
        except PlayhallError as error:
            raise Unavailable(error.message, field="database") from None
        except TimeoutError:
            late = f"The database did not answer within {PROBE_TIMEOUT_S:.0f} s."
            raise Unavailable(late, field="database") from None
        return Health()

    async def _count(self, _: HttpRequest) -> Status:
        return await self._status()

    async def _scrape(self, _: HttpRequest) -> RawResponse:
        return RawResponse(self._metrics(), CONTENT_TYPE_LATEST)

    async def _describe_http(self, request: HttpRequest) -> RawResponse:
        return _answer(request, self._openapi())

    async def _describe_websocket(self, request: HttpRequest) -> RawResponse:
        return _answer(request, self._asyncapi())


def _answer(request: HttpRequest, document: CachedPage) -> RawResponse:
    headers = {"Vary": "Accept-Encoding"}
    if takes_gzip(request.headers.get("Accept-Encoding", "")):
        headers["Content-Encoding"] = "gzip"
        return RawResponse(document.compressed, document.content_type, headers=headers)
    return RawResponse(document.body, document.content_type, headers=headers)
