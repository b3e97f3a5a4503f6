"""Telemetry: everything that the domain offers."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from persistence.errors import StartRefused
from persistence.telemetry.consents import ConsentStore
from persistence.telemetry.forwards import ForwardStore
from persistence.telemetry.reports import ReportStore
from persistence.telemetry.schemas import TelemetrySchemaStore
from persistence.telemetry.store import TelemetryStore
from protocol.errors import InvalidField
from server.core.rate_limits import Rate
from server.core.retention import RetentionSweep
from server.core.subscriptions import AnnouncedSweep
from server.domains.contract import Domain, Job
from server.domains.interfaces import SignedRequests
from server.domains.progression.telemetry.forwarding import (
    ForwardTarget,
    StreamTarget,
    TelemetryForwarder,
    WebhookTarget,
    read_secret,
)
from server.domains.progression.telemetry.http import (
    ConsentRoutes,
    ReportRoutes,
    TelemetryAdminRoutes,
    TelemetryRoutes,
)
from server.domains.progression.telemetry.jobs import MAINTAIN_EVERY_S, TelemetryMaintenance
from server.domains.progression.telemetry.reports import ReportBuilder
from server.domains.progression.telemetry.schemas import TelemetrySchemaRegistry
from server.domains.progression.telemetry.service import TelemetryService
from server.domains.progression.telemetry.settings import TelemetrySettings
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource

DAY_S: Final = 86_400.0


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings, clock = services.settings(TelemetrySettings), services.clock
    store, schemas = TelemetryStore(services.database), TelemetrySchemaStore(services.database)
    consents = ConsentStore(services.database, services.rls)
    registry, opt_in = TelemetrySchemaRegistry(schemas), settings.needs_opt_in()
    targets = tuple(_targets(services, settings))
    forwards = ForwardStore(services.database)
    forwarder = TelemetryForwarder(forwards, targets)
    service = TelemetryService(
        store=store,
        consents=consents,
        schemas=registry,
        clock=clock,
        opt_in=opt_in,
        letters_max=settings.dead_letters_max,
        is_forwarding=bool(targets),
    )
    maintenance = TelemetryMaintenance(
        store=store,
        forwards=forwards,
        schemas=schemas,
        registry=registry,
        service=service,
        clock=clock,
        forwarder=forwarder,
    )
    per_minute = settings.batches_per_minute
    events = TelemetryRoutes(service, clock=clock, rate=Rate(per_minute, burst=max(1, per_minute)))
    decisions = ConsentRoutes(consents, clock=clock, opt_in=opt_in)
    admin = TelemetryAdminRoutes(
        service=service,
        store=store,
        schemas=schemas,
        registry=registry,
        changed=AnnouncedSweep(services.subscriptions, "telemetry-schemas", registry.reload),
    )
    reports = ReportRoutes(ReportBuilder(ReportStore(services.database), clock))
    totals = service.totals
    numbers = MetricsCollector(
        gauges=(
            MetricSource(
                "telemetry_forwards_waiting",
                "Batches that wait, of all nodes.",
                lambda: forwarder.waiting,
            ),
            MetricSource(
                "telemetry_dead_letters", "Events kept, of all nodes.", lambda: service.letters
            ),
        ),
        counters=(
            MetricSource("telemetry_accepted", "Events stored.", lambda: totals.accepted),
            MetricSource(
                "telemetry_duplicates", "Events stored before.", lambda: totals.duplicates
            ),
            MetricSource(
                "telemetry_forwarded", "Events sent on.", lambda: forwarder.forwarded_total
            ),
            MetricSource(
                "telemetry_forward_failures",
                "Times that a target failed.",
                lambda: forwarder.failures_total,
            ),
            MetricSource("telemetry_refused", "Events not stored.", lambda: totals.refused),
            MetricSource(
                "telemetry_deleted", "Events deleted by age.", lambda: maintenance.deleted_total
            ),
        ),
    )
    return Domain(
        name="telemetry",
        settings=TelemetrySettings,
        endpoints=[
            *events.endpoints(),
            *decisions.endpoints(),
            *admin.endpoints(),
            *reports.endpoints(),
        ],
        metrics=[numbers],
        start=[maintenance.prepare_types_and_partitions, forwarder.prepare],
        jobs=[Job("telemetry maintenance", maintenance.run), *forwarder.jobs()],
        retention=[
            RetentionSweep("telemetry_events", maintenance.clear_events, every_s=MAINTAIN_EVERY_S),
            RetentionSweep(
                "telemetry_dead_letters",
                partial(store.delete_old_dead_letters, settings.dead_letters_kept_days * DAY_S),
            ),
            RetentionSweep(
                "telemetry_forwards",
                partial(forwards.delete_expired, settings.forwards_kept_days * DAY_S),
            ),
        ],
    )


def _targets(services: Services, settings: TelemetrySettings) -> Iterator[ForwardTarget]:
    """Make what is set; raise `StartRefused` for what cannot be used."""
    if settings.webhook_url:
        yield _webhook(services, settings)
    if settings.redis_stream:
        yield _stream(services, settings)


def _webhook(services: Services, settings: TelemetrySettings) -> ForwardTarget:
    requests = services.interfaces.get(SignedRequests)
    secret = settings.webhook_secret
    try:
        requests.require_url(settings.webhook_url)
    except InvalidField as error:
        raise StartRefused(f"PLAYHALL_TELEMETRY_WEBHOOK_URL: {error.message}") from None
    try:
        key = read_secret("" if secret is None else secret.get_secret_value())
    except ValueError as error:
        raise StartRefused(f"PLAYHALL_TELEMETRY_WEBHOOK_SECRET: {error}.") from None
    return WebhookTarget(requests, url=settings.webhook_url, key=key, clock=services.clock)


def _stream(services: Services, settings: TelemetrySettings) -> ForwardTarget:
    # Only here: importing it takes a third of a second, which others need not wait.
    from persistence.telemetry.stream import RedisStreamWriter

    url = services.config.redis_url
    if url is None or not url.get_secret_value():
        raise StartRefused("PLAYHALL_TELEMETRY_REDIS_STREAM needs PLAYHALL_REDIS_URL as well.")
    stream = RedisStreamWriter(
        url.get_secret_value(), settings.redis_stream, entries_max=settings.redis_stream_max
    )
    return StreamTarget(stream)
