"""Who is there under which id, and what waits for whom. Pure: time is an argument."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

import orjson

from protocol import signaling as wire
from protocol.signaling import PeerAdmission
from server.core.containment import contain_failures

_BRACE: Final = ord("{")


class PeerLink(Protocol):
    """The way to a peer."""

    def send(self, message: bytes) -> None:
        """Give it a message."""

    def drop(self) -> None:
        """End it."""


@dataclass(slots=True, eq=False)
class RegisteredPeer:
    """Somebody who is there, and whose: who may take its place.

    `partners` are those it exchanged messages with.
    """

    peer_id: str
    owner: str
    link: PeerLink
    alive_at: float
    partners: set[str] = field(default_factory=set)
    opening: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.opening = wire.message_prefix(self.peer_id)

    def remember_partner(self, peer_id: str) -> None:
        """Remember whom to notify when it goes."""
        if len(self.partners) < wire.PARTNERS_MAX:
            self.partners.add(peer_id)


@dataclass(slots=True)
class _Queue:
    """What waits for an id that nobody has; `senders` are notified if nobody comes."""

    since: float
    messages: list[bytes] = field(default_factory=list)
    senders: dict[str, None] = field(default_factory=dict)
    size: int = 0


@dataclass(slots=True)
class RegistryUsage:
    """What the registries of one key hold, all together; `relayed` is counted for ever."""

    peers_max: int = wire.PEERS_MAX
    peers: int = 0
    queues: int = 0
    queued_bytes: int = 0
    relayed: int = 0


class PeerRegistry:
    """Peers that can reach each other. Ids are unique among those who are there."""

    def __init__(self, *, load: RegistryUsage | None = None) -> None:
        self.load = load or RegistryUsage()
        self._peers: dict[str, RegisteredPeer] = {}
        self._queues: OrderedDict[str, _Queue] = OrderedDict()  # the oldest first

    def __len__(self) -> int:
        return len(self._peers)

    def __contains__(self, peer_id: str) -> bool:
        return peer_id in self._peers

    @property
    def is_idle(self) -> bool:
        """Whether nobody is there and nothing waits."""
        return not self._peers and not self._queues

    def count_of(self, owner: str) -> int:
        """Count somebody's peers; there are few in a circle."""
        return sum(peer.owner == owner for peer in self._peers.values())

    def ids(self) -> list[str]:
        """List who is there."""
        return list(self._peers)

    # ------------------------------------------------------------------ coming and going

    def enter(self, peer_id: str, owner: str, link: PeerLink, now: float) -> RegisteredPeer | bytes:
        """Let a peer in and give it what waited for it; or say why not, in a message."""
        present = self._peers.get(peer_id)
        if present is not None and present.owner != owner:
            return wire.ID_TAKEN
        if present is None and self.load.peers >= self.load.peers_max:
            return wire.FULL
        peer = RegisteredPeer(peer_id, owner, link, now)
        if present is not None:
            peer.partners = present.partners
            present.link.drop()
        else:
            self.load.peers += 1
        self._peers[peer_id] = peer
        link.send(wire.OPEN)
        for message in self._take_queue(peer_id):
            link.send(message)
        return peer

    def leave(self, peer: RegisteredPeer) -> None:
        """Take a peer out and notify its partners; nothing if another link took its place."""
        if self._peers.get(peer.peer_id) is not peer:
            return
        del self._peers[peer.peer_id]
        self.load.peers -= 1
        for partner_id in peer.partners:
            partner = self._peers.get(partner_id)
            if partner is not None:
                partner.link.send(wire.encode_message(wire.LEAVE, src=peer.peer_id, dst=partner_id))

    def move_out(self, peer: RegisteredPeer) -> None:
        """Take a peer out that goes on in another registry; its partners stay with it."""
        if self._peers.get(peer.peer_id) is peer:
            del self._peers[peer.peer_id]
            self.load.peers -= 1

    # ------------------------------------------------------------------ messages

    def handle_message(self, peer: RegisteredPeer, message: bytes, now: float) -> None:
        """Carry out what a peer says; what is not understood is let go."""
        try:
            said = orjson.loads(message)
            kind, dst = said["type"], said.get("dst")
            is_passed_on = kind in wire.RELAYED and dst
            if is_passed_on and ("src" in said or message[0] != _BRACE):
                message = wire.without_sender(said)
        except (orjson.JSONDecodeError, LookupError, TypeError):  # no object of the right shape
            return
        if not is_passed_on:
            self._listen(peer, kind, now)
        elif type(dst) is str:
            other = self._peers.get(dst)
            if other is None:
                if kind not in wire.NOT_KEPT:
                    self._keep(peer.peer_id, dst, peer.opening + message[1:], now)
                return
            if dst not in peer.partners:
                peer.remember_partner(dst)
                other.remember_partner(peer.peer_id)
            self.load.relayed += 1
            other.link.send(peer.opening + message[1:])

    def _listen(self, peer: RegisteredPeer, kind: str, now: float) -> None:
        """Take note of what is for the server alone."""
        if kind == wire.HEARTBEAT:
            peer.alive_at = now
        elif kind == wire.LEAVE:
            self.leave(peer)
            peer.link.drop()

    def _keep(self, src: str, dst: str, message: bytes, now: float) -> None:
        """Keep a message for who may come; what does not fit is reported as expired."""
        queue = self._queues.get(dst)
        if queue is None and self.load.queues < wire.QUEUES_MAX and len(dst) <= wire.ID_CHARS_MAX:
            queue = self._queues[dst] = _Queue(now)
            self.load.queues += 1
        if queue is None or not self._fits(queue, message):
            self._report_expired(src, dst)
            return
        queue.messages.append(message)
        queue.senders[src] = None
        queue.size += len(message)
        self.load.queued_bytes += len(message)

    def _fits(self, queue: _Queue, message: bytes) -> bool:
        return (
            len(queue.messages) < wire.QUEUED_MESSAGES_MAX
            and queue.size + len(message) <= wire.QUEUED_BYTES_MAX
            and self.load.queued_bytes + len(message) <= wire.QUEUED_BYTES_IN_ALL_MAX
        )

    def _take_queue(self, peer_id: str) -> list[bytes]:
        queue = self._queues.pop(peer_id, None)
        if queue is None:
            return []
        self._forget(queue)
        for sender_id in queue.senders:
            self._introduce(sender_id, peer_id)
        return queue.messages

    def _forget(self, queue: _Queue) -> None:
        self.load.queues -= 1
        self.load.queued_bytes -= queue.size

    def _introduce(self, one_id: str, other_id: str) -> None:
        one, other = self._peers.get(one_id), self._peers.get(other_id)
        if one is not None and other is not None:
            one.remember_partner(other_id)
            other.remember_partner(one_id)

    # ------------------------------------------------------------------ time

    def expire(self, now: float) -> None:
        """Give up what waited too long, and peers that show no life."""
        while self._queues:
            dst, queue = next(iter(self._queues.items()))
            if now - queue.since < wire.EXPIRES_AFTER_S:
                break
            del self._queues[dst]
            self._forget(queue)
            for src in queue.senders:
                self._report_expired(src, dst)
        for peer in list(self._silent(now)):
            self.leave(peer)
            peer.link.drop()

    def _silent(self, now: float) -> Iterator[RegisteredPeer]:
        return (peer for peer in self._peers.values() if now - peer.alive_at >= wire.ALIVE_S)

    def _report_expired(self, src: str, dst: str) -> None:
        sender = self._peers.get(src)
        if sender is not None:
            sender.link.send(wire.encode_message(wire.EXPIRE, src=dst, dst=src))


class PeerPlace:
    """Where a peer entered. `handle_message` carries out what it says, at a time."""

    __slots__ = ("handle_message", "peer", "registry")

    def __init__(self, registry: PeerRegistry, peer: RegisteredPeer) -> None:
        self.registry = registry
        self.peer = peer
        # Not a method: that would be one call more for each message.
        self.handle_message = partial(registry.handle_message, peer)

    @property
    def node(self) -> str | None:
        """No other node: the registry is on this one."""
        return None

    def leave(self, *, is_moving: bool = False) -> None:
        """Take the peer out; its partners are told, unless it only moves."""
        if is_moving:
            self.registry.move_out(self.peer)
        else:
            self.registry.leave(self.peer)


class PeerNamespaces:
    """One key's namespaces: ids are unique within one, and no message leaves one.

    Under a key for members, the peers of one lobby share one.
    """

    def __init__(self) -> None:
        self.load = RegistryUsage()
        self._registries: dict[str, PeerRegistry] = {}

    def enter(
        self, peer_id: str, admission: PeerAdmission, link: PeerLink, now: float
    ) -> PeerPlace | bytes:
        """Let a peer into its circle; or say why not, in a message."""
        registry = self._registries.get(admission.circle)
        if registry is None:
            registry = PeerRegistry(load=self.load)
        elif peer_id not in registry and self._has_enough(registry, admission.peer_owner):
            return wire.TOO_MANY_OF_YOURS
        entered = registry.enter(peer_id, admission.peer_owner, link, now)
        if not isinstance(entered, RegisteredPeer):
            return entered
        self._registries[admission.circle] = registry
        return PeerPlace(registry, entered)

    def expire(self, now: float) -> None:
        """Give up what waited too long, silent peers, and namespaces where nobody is left."""
        for circle, registry in list(self._registries.items()):
            with contain_failures("expiring the peers of a lobby"):
                registry.expire(now)
            if registry.is_idle:
                del self._registries[circle]

    def __iter__(self) -> Iterator[PeerRegistry]:
        return iter(self._registries.values())

    @staticmethod
    def _has_enough(registry: PeerRegistry, owner: str) -> bool:
        return registry.count_of(owner) >= wire.PEERS_PER_PERSON_MAX
