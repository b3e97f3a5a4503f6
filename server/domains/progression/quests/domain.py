"""Quests: everything that the domain offers."""

from persistence.quests.store import QuestStore
from protocol.domain_events import GameCompleted
from server.core.event_delivery import DurableListener
from server.core.events import ProgressChanged, ProgressFollowed
from server.domains.contract import Domain, Job
from server.domains.interfaces import ProgressStream, SaveSlots
from server.domains.progression.quests.availability import QuestAvailability
from server.domains.progression.quests.catalogue import QuestCatalogue
from server.domains.progression.quests.http import QuestRoutes
from server.domains.progression.quests.service import make_service
from server.domains.progression.quests.settings import QuestsSettings
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings, interfaces = services.settings(QuestsSettings), services.interfaces
    catalogue = QuestCatalogue(QuestStore(services.database), services.clock.monotonic)
    service = make_service(services, catalogue)
    availability = QuestAvailability(
        database=services.database,
        catalogue=catalogue,
        slots=interfaces.get(SaveSlots),
        stream=interfaces.get(ProgressStream),
        clock=services.clock,
        announce=service.announce_available,
    )
    return Domain(
        name="quests",
        settings=QuestsSettings,
        endpoints=QuestRoutes(service, settings, services.clock).endpoints(),
        durable=[
            DurableListener(
                "quests",
                {GameCompleted: service.count_game},
                {GameCompleted: service.pass_over_games},
            )
        ],
        listens={
            ProgressChanged: availability.note_change,
            ProgressFollowed: availability.note_follower,
        },
        metrics=[
            MetricsCollector(
                gauges=[
                    MetricSource(
                        "quests_accounts_waiting",
                        "Accounts that wait to be told of available quests.",
                        lambda: len(availability),
                    )
                ],
                counters=[
                    MetricSource(
                        "quests_available",
                        "Quests that devices were told of as available.",
                        lambda: service.announced_total,
                    ),
                    MetricSource(
                        "quests_completed", "Quests completed here.", lambda: service.completed
                    ),
                    MetricSource("quests_claimed", "Rewards given here.", lambda: service.claimed),
                ],
            )
        ],
        jobs=[
            Job("available quests", availability.run),
            Job("openings of events", availability.follow_openings),
        ],
    )
