"""Quests: everything that the domain offers."""

from persistence.quests.store import QuestStore
from protocol.domain_events import GameCompleted
from server.core.event_delivery import DurableListener
from server.domains.contract import Domain
from server.domains.interfaces import Economy, ProgressStream, SaveSlots
from server.domains.progression.quests.catalogue import QuestCatalogue
from server.domains.progression.quests.http import QuestRoutes
from server.domains.progression.quests.service import QuestService
from server.domains.progression.quests.settings import QuestsSettings
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings, interfaces = services.settings(QuestsSettings), services.interfaces
    store = QuestStore(services.database)
    service = QuestService(
        database=services.database,
        rls=services.rls,
        store=store,
        catalogue=QuestCatalogue(store, services.clock.monotonic),
        slots=interfaces.get(SaveSlots),
        stream=interfaces.get(ProgressStream),
        economy=interfaces.get(Economy),
        clock=services.clock,
    )
    return Domain(
        name="quests",
        settings=QuestsSettings,
        endpoints=QuestRoutes(service, settings, services.clock).endpoints(),
        durable=[DurableListener("quests", {GameCompleted: service.count_game})],
        metrics=[
            MetricsCollector(
                counters=[
                    MetricSource(
                        "quests_completed", "Quests completed here.", lambda: service.completed
                    ),
                    MetricSource("quests_claimed", "Rewards given here.", lambda: service.claimed),
                ],
            )
        ],
    )
