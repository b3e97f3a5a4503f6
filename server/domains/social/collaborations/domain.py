"""Collaborations: everything that the domain offers."""

from persistence.collaborations.store import CollaborationStore
from server.domains.contract import Domain, Job
from server.domains.services import Services
from server.domains.social.collaborations.http import CollaborationRoutes
from server.domains.social.collaborations.presence import LivePresence
from server.domains.social.collaborations.settings import CollaborationSettings
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings = services.settings(CollaborationSettings)
    store = CollaborationStore(services.database, services.rls)
    presence = LivePresence(
        services.subscriptions, store, node=services.node, now=services.clock.monotonic
    )
    return Domain(
        name="collaborations",
        settings=CollaborationSettings,
        commands=presence.routes(),
        endpoints=CollaborationRoutes(store, presence, settings, services.clock).endpoints(),
        jobs=[Job("presence in creations", presence.run)],
        metrics=[
            MetricsCollector(
                gauges=[
                    MetricSource(
                        "creations_joined",
                        "Connections that are in a creation.",
                        lambda: len(presence),
                    )
                ]
            )
        ],
    )
