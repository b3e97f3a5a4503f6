"""Saves: everything that the domain offers."""

from persistence.saves.changes import ProgressStore
from persistence.saves.schemas import SaveSchemaStore
from persistence.saves.store import SaveStore
from server.core.events import PlayerSeen
from server.domains.contract import Domain, provide
from server.domains.interfaces import (
    ProgressStream,
    SaveCompatibility,
    SaveSlots,
    SaveUpgrades,
    SlotDeletions,
)
from server.domains.progression.saves.compatibility import SaveCompatibilityChecker
from server.domains.progression.saves.http import SaveRoutes
from server.domains.progression.saves.schemas import SaveSchemaRegistry
from server.domains.progression.saves.service import (
    Deletions,
    SlotAccess,
    make_service,
    read_limits,
)
from server.domains.progression.saves.settings import SavesSettings
from server.domains.progression.saves.streams import ProgressStreams
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings = services.settings(SavesSettings)
    changes = ProgressStore(services.database)
    streams = ProgressStreams(services.subscriptions, changes, services.events.publish)
    limits = read_limits(settings)
    schemas = SaveSchemaRegistry(SaveSchemaStore(services.database), services.clock, limits)
    deletions = Deletions()
    store = SaveStore(services.database, services.rls, changes)
    service = make_service(services, settings, schemas=schemas, stream=streams, deletions=deletions)
    routes = SaveRoutes(
        service=service,
        schemas=schemas,
        settings=settings,
        clock=services.clock,
        saw=lambda player_id: services.events.publish(PlayerSeen(player_id)),
    )
    return Domain(
        name="saves",
        settings=SavesSettings,
        commands=streams.routes(),
        endpoints=routes.endpoints(),
        metrics=[
            MetricsCollector(
                gauges=[
                    MetricSource(
                        "progress_followed",
                        "Accounts whose devices follow changes.",
                        lambda: len(streams),
                    )
                ],
                counters=[
                    MetricSource("saves_written", "Saves written here.", lambda: service.written),
                    MetricSource("saves_merged", "Of them, merged.", lambda: service.merged),
                    MetricSource(
                        "saves_conflicts", "Of them, in conflict.", lambda: service.conflicts_made
                    ),
                ],
            )
        ],
        provides=[
            provide(SaveSlots, SlotAccess(changes)),
            provide(ProgressStream, streams),
            provide(SaveUpgrades, schemas),
            provide(SlotDeletions, deletions),
            provide(SaveCompatibility, SaveCompatibilityChecker(store, schemas)),
        ],
    )
