"""Reactions: everything that the domain offers."""

from persistence.reactions.store import ReactionStore
from server.domains.contract import Domain
from server.domains.services import Services
from server.domains.social.reactions.http import ReactionRoutes
from server.domains.social.reactions.settings import ReactionsSettings
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings = services.settings(ReactionsSettings)
    routes = ReactionRoutes(ReactionStore(services.rls), settings, services.clock)
    return Domain(
        name="reactions",
        settings=ReactionsSettings,
        endpoints=routes.endpoints(),
        metrics=[
            MetricsCollector(
                counters=[
                    MetricSource("likes_given", "Likes given here.", lambda: routes.liked_total),
                    MetricSource(
                        "comments_written",
                        "Comments written here.",
                        lambda: routes.commented_total,
                    ),
                ]
            )
        ],
    )
