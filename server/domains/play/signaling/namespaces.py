"""Peers that only meet within a circle: those of one lobby, under a key for members."""

from collections.abc import Iterator
from typing import NamedTuple

from protocol import signaling as wire
from protocol.signaling import Admission
from server.core.containment import contained
from server.domains.play.signaling.registry import Link, Load, Peer, Registry


class Place(NamedTuple):
    """Where a peer entered."""

    registry: Registry
    peer: Peer


class Namespaces:
    """One key's namespaces: ids are unique within one, and no message leaves one."""

    def __init__(self) -> None:
        self.load = Load()
        self._registries: dict[str, Registry] = {}

    def enter(self, peer_id: str, admission: Admission, link: Link, now: float) -> Place | bytes:
        """Let a peer into its circle; or say why not, in a message."""
        registry = self._registries.get(admission.circle)
        if registry is None:
            registry = Registry(load=self.load)
        elif peer_id not in registry and self._has_enough(registry, admission.owner):
            return wire.TOO_MANY_OF_YOURS
        entered = registry.enter(peer_id, admission.owner, link, now)
        if not isinstance(entered, Peer):
            return entered
        self._registries[admission.circle] = registry
        return Place(registry, entered)

    def expire(self, now: float) -> None:
        """Give up what waited too long, silent peers, and namespaces where nobody is left."""
        for circle, registry in list(self._registries.items()):
            with contained("expiring the peers of a lobby"):
                registry.expire(now)
            if registry.is_idle:
                del self._registries[circle]

    def __iter__(self) -> Iterator[Registry]:
        return iter(self._registries.values())

    @staticmethod
    def _has_enough(registry: Registry, owner: str) -> bool:
        return registry.count_of(owner) >= wire.PEERS_PER_PERSON_MAX
