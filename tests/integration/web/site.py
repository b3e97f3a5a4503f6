"""The whole public face of a server: pages, documents, status and games."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import orjson
from prometheus_client.registry import Collector

from persistence.eventlog.writer import LogMetrics
from protocol.asyncapi import asyncapi_document
from protocol.errors import PlayhallError
from protocol.history import Status
from server.domains.play.games.metrics import log_metrics
from server.gateway.error_counts import Transport
from server.gateway.http.endpoints import Endpoint, build_http
from server.gateway.http.openapi import openapi_document
from server.gateway.metrics import ErrorCollector, MetricsCollector, MetricSource, metrics_writer
from server.ops.http import OperationRoutes
from server.web.pages import add_pages
from tests.fixtures.http import nobody, served_app

VERSION = "1.2.3"


@dataclass
class Site:
    """What the site under test says of itself; a test may change it."""

    draining: bool = False
    database: PlayhallError | None = None
    hangs: bool = False
    refusals: Mapping[tuple[Transport, str], int] = field(default_factory=dict)
    log: LogMetrics = field(default_factory=LogMetrics)

    async def probe(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        if self.database is not None:
            raise self.database

    async def status(self) -> Status:
        return Status(
            version=VERSION,
            node="n1",
            connections=1234,
            games=56,
            lobbies=7,
            events_total=8_901_234,
            games_completed_total=4321,
            uptime_s=93_784.5,
        )

    def collectors(self) -> list[Collector]:
        return [
            MetricsCollector(
                gauges=[MetricSource("connections", "Open TCP connections.", lambda: 3)],
                counters=[MetricSource("bytes_out", "Bytes written.", lambda: 8)],
            ),
            ErrorCollector(lambda: self.refusals),
            *log_metrics(self.log),
        ]

    def operations(self, others: list[Endpoint]) -> list[Endpoint]:
        endpoints: list[Endpoint] = [*others]
        routes = OperationRoutes(
            probe=self.probe,
            draining=lambda: self.draining,
            status=self.status,
            metrics=metrics_writer(*self.collectors()),
            openapi=lambda: orjson.dumps(openapi_document(endpoints, version=VERSION)),
            asyncapi=lambda: orjson.dumps(asyncapi_document(version=VERSION)),
        )
        endpoints += routes.endpoints()
        return endpoints


@asynccontextmanager
async def open_site(site: Site, others: list[Endpoint]) -> AsyncIterator[aiohttp.ClientSession]:
    """Serve the site with further endpoints."""
    app = build_http(site.operations(others), nobody)
    add_pages(app)
    async with served_app(app) as client:
        yield client
