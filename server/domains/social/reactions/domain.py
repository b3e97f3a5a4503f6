"""Reactions: everything that the domain offers."""

from persistence.reactions.store import ReactionStore
from server.domains.contract import Domain
from server.domains.services import Services
from server.domains.social.reactions.http import ReactionRoutes
from server.domains.social.reactions.likes import LikeBatches
from server.domains.social.reactions.settings import ReactionsSettings
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings = services.settings(ReactionsSettings)
    store = ReactionStore(services.database, services.rls)
    likes = LikeBatches(store, services.tasks)
    routes = ReactionRoutes(store, likes, settings, services.clock)
    return Domain(
        name="reactions",
        settings=ReactionsSettings,
        endpoints=routes.endpoints(),
        metrics=[
            MetricsCollector(
                gauges=[
                    MetricSource(
                        "likes_waiting", "Likes that wait for others.", lambda: len(likes)
                    ),
                ],
                counters=[
                    MetricSource("likes_given", "Likes given here.", lambda: routes.liked_total),
                    MetricSource(
                        "likes_together",
                        "Likes that shared a transaction.",
                        lambda: likes.together_total,
                    ),
                    MetricSource(
                        "comments_written",
                        "Comments written here.",
                        lambda: routes.commented_total,
                    ),
                ],
            )
        ],
    )
