"""Telemetry: everything that the domain offers."""

from persistence.telemetry.consents import ConsentStore
from persistence.telemetry.schemas import TelemetrySchemaStore
from persistence.telemetry.store import TelemetryStore
from server.core.rate_limits import Rate
from server.core.subscriptions import AnnouncedSweep
from server.domains.contract import Domain, Job
from server.domains.progression.telemetry.http import (
    ConsentRoutes,
    TelemetryAdminRoutes,
    TelemetryRoutes,
)
from server.domains.progression.telemetry.jobs import TelemetryMaintenance
from server.domains.progression.telemetry.schemas import SchemaRegistry
from server.domains.progression.telemetry.service import TelemetryService
from server.domains.progression.telemetry.settings import TelemetrySettings
from server.domains.services import Services
from server.gateway.metrics import Numbers, Reading


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings, clock = services.settings(TelemetrySettings), services.clock
    store, schemas = TelemetryStore(services.database), TelemetrySchemaStore(services.database)
    consents = ConsentStore(services.database, services.rls)
    registry, opt_in = SchemaRegistry(schemas), settings.needs_opt_in()
    service = TelemetryService(
        store=store,
        consents=consents,
        schemas=registry,
        clock=clock,
        opt_in=opt_in,
        letters_max=settings.dead_letters_max,
    )
    maintenance = TelemetryMaintenance(
        store=store,
        schemas=schemas,
        registry=registry,
        service=service,
        clock=clock,
        letters_kept_days=settings.dead_letters_kept_days,
    )
    per_minute = settings.batches_per_minute
    events = TelemetryRoutes(service, clock=clock, rate=Rate(per_minute, burst=max(1, per_minute)))
    decisions = ConsentRoutes(consents, clock=clock, opt_in=opt_in)
    admin = TelemetryAdminRoutes(
        service=service,
        store=store,
        schemas=schemas,
        registry=registry,
        changed=AnnouncedSweep(services.subscriptions, "telemetry-schemas", registry.look),
    )
    totals = service.totals
    numbers = Numbers(
        gauges=(
            Reading(
                "telemetry_dead_letters", "Events kept, of all nodes.", lambda: service.letters
            ),
        ),
        counters=(
            Reading("telemetry_accepted", "Events stored.", lambda: totals.accepted),
            Reading("telemetry_duplicates", "Events stored before.", lambda: totals.duplicates),
            Reading("telemetry_refused", "Events not stored.", lambda: totals.refused),
            Reading(
                "telemetry_deleted", "Events deleted by age.", lambda: maintenance.deleted_total
            ),
        ),
    )
    return Domain(
        name="telemetry",
        endpoints=[*events.endpoints(), *decisions.endpoints(), *admin.endpoints()],
        metrics=[numbers],
        start=[maintenance.prepare],
        jobs=[Job("telemetry maintenance", maintenance.run)],
    )
