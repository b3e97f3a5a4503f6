"""Presence: everything that the domain offers."""

from persistence.presence.store import PresenceStore
from server.domains.contract import Domain, Job, provide
from server.domains.interfaces import PresenceElsewhere
from server.domains.people.presence.connections import PlayerConnections
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    connections = PlayerConnections(
        PresenceStore(services.database, services.node),
        node=services.node,
        sessions=services.sessions,
        subscriptions=services.subscriptions,
        events=services.events,
    )
    return Domain(
        name="presence",
        listens=connections.listens(),
        start=[connections.start],
        jobs=[Job("connections of players", connections.run)],
        provides=[provide(PresenceElsewhere, connections)],
        metrics=[
            MetricsCollector(
                counters=[
                    MetricSource(
                        "connections_superseded_elsewhere",
                        "Connections closed for a newer one on another node.",
                        lambda: connections.superseded,
                    )
                ]
            )
        ],
    )
