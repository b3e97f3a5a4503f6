"""Signaling: everything that the domain offers."""

from server.core.settings import split_names
from server.domains.contract import Domain, Job, provide
from server.domains.interfaces import MembersKey, PeerAdmissions
from server.domains.play.signaling.service import SOCKET_PATH, SignalingService
from server.domains.play.signaling.settings import SignalingSettings
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource
from server.gateway.transport.listener import WebSocketRoute


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings = services.settings(SignalingSettings)
    keys, member_keys = split_names(settings.peer_keys), split_names(settings.peer_member_keys)
    signaling = SignalingService(
        keys=frozenset(keys),
        member_keys=frozenset(member_keys),
        admissions=services.interfaces.get(PeerAdmissions),
        tasks=services.tasks,
        now=services.sessions.now,
        calls=services.calls if services.subscriptions.has_peers else None,
        messages_per_s=settings.peer_messages_per_s,
        discovery=settings.peer_discovery,
    )
    origins = frozenset(split_names(settings.peer_origins))
    return Domain(
        name="signaling",
        settings=SignalingSettings,
        mounts=[signaling.add_routes],
        websockets={SOCKET_PATH: WebSocketRoute(signaling.accept, origins=origins)},
        metrics=[
            MetricsCollector(
                gauges=(
                    MetricSource("peers", "Connected signaling peers.", signaling.peers),
                    MetricSource(
                        "peer_queued_bytes",
                        "Bytes queued for absent peers.",
                        signaling.queued_bytes,
                    ),
                ),
                counters=(
                    MetricSource("peer_messages", "Signaling messages relayed.", signaling.relayed),
                    MetricSource(
                        "peer_refusals", "Peers refused or disconnected.", lambda: signaling.refused
                    ),
                ),
            )
        ],
        provides=[provide(MembersKey, lambda: next(iter((*member_keys, *keys)), ""))],
        jobs=[
            Job("signaling", signaling.sweep),
            Job("peers' places", signaling.settle),
            Job("members' peers", signaling.disconnect_former_members),
        ],
    )
