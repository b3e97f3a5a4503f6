"""Quests: everything that the domain offers."""

from protocol.domain_events import GameCompleted
from server.core.event_delivery import DurableListener
from server.domains.contract import Domain
from server.domains.progression.quests.http import QuestRoutes
from server.domains.progression.quests.service import service_of
from server.domains.progression.quests.settings import QuestsSettings
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings, service = services.settings(QuestsSettings), service_of(services)
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
