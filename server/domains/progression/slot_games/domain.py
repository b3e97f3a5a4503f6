"""Games of slots: everything that the domain offers."""

from persistence.slot_games.store import SlotGameStore
from protocol.domain_events import GameCompleted
from server.core.event_delivery import DurableListener
from server.domains.contract import Domain
from server.domains.interfaces import Economy, ProgressStream, SaveSlots
from server.domains.progression.slot_games.http import SlotGameRoutes
from server.domains.progression.slot_games.service import SlotGameService
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    interfaces = services.interfaces
    service = SlotGameService(
        database=services.database,
        rls=services.rls,
        store=SlotGameStore(services.database),
        slots=interfaces.get(SaveSlots),
        stream=interfaces.get(ProgressStream),
        economy=interfaces.get(Economy),
    )
    return Domain(
        name="slot_games",
        endpoints=SlotGameRoutes(service, services.clock).endpoints(),
        durable=[
            DurableListener(
                "slot_games",
                {GameCompleted: service.apply_result},
                {GameCompleted: service.pass_over_games},
            )
        ],
        metrics=[
            MetricsCollector(
                counters=[
                    MetricSource(
                        "slot_games_applied",
                        "Results of games that were applied to slots here.",
                        lambda: service.applied,
                    )
                ]
            )
        ],
    )
