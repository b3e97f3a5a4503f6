"""Ratings: everything that the domain offers."""

from persistence.ratings.store import RatingStore
from protocol.domain_events import GameCompleted
from server.core.event_delivery import DurableListener
from server.domains.compete.ratings.http import RatingRoutes
from server.domains.compete.ratings.service import RatingService
from server.domains.contract import Domain, provide
from server.domains.interfaces import PlayerRatings
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    store = RatingStore(services.database)
    service = RatingService(store, services.rulesets)
    return Domain(
        name="ratings",
        endpoints=RatingRoutes(store, services.rulesets).endpoints(),
        durable=[
            DurableListener(
                "ratings",
                {GameCompleted: service.rate_completed},
                {GameCompleted: service.rate_all},
            )
        ],
        provides=[provide(PlayerRatings, service)],
        metrics=[
            MetricsCollector(
                counters=[
                    MetricSource(
                        "rated_games", "Games that changed ratings here.", lambda: service.rated
                    )
                ]
            )
        ],
    )
