"""Signaling: everything that the domain offers."""

from server.config import names_in
from server.domains.contract import Domain, Job
from server.domains.interfaces import PeerAdmissions
from server.domains.play.signaling.service import SOCKET_PATH, Signaling
from server.domains.services import Services
from server.gateway.metrics import Numbers, Reading
from server.gateway.transport.listener import Route


def build(services: Services) -> Domain:
    """Put the domain together."""
    config = services.config
    signaling = Signaling(
        keys=frozenset(names_in(config.peer_keys)),
        member_keys=frozenset(names_in(config.peer_member_keys)),
        door=services.interfaces.get(PeerAdmissions),
        tasks=services.tasks,
        now=services.sessions.now,
        messages_per_s=config.peer_messages_per_s,
        discovery=config.peer_discovery,
    )
    origins = frozenset(names_in(config.peer_origins))
    return Domain(
        name="signaling",
        mounts=[signaling.add_routes],
        websockets={SOCKET_PATH: Route(signaling.accept, origins=origins)},
        metrics=[
            Numbers(
                gauges=(
                    Reading("peers", "Connected signaling peers.", signaling.peers),
                    Reading(
                        "peer_queued_bytes",
                        "Bytes queued for absent peers.",
                        signaling.queued_bytes,
                    ),
                ),
                counters=(
                    Reading("peer_messages", "Signaling messages relayed.", signaling.relayed),
                    Reading(
                        "peer_refusals", "Peers refused or disconnected.", lambda: signaling.refused
                    ),
                ),
            )
        ],
        jobs=[
            Job("signaling", signaling.sweep),
            Job("members' peers", signaling.disconnect_former_members),
        ],
    )
