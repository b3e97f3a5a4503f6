"""The registry of peers: who is there, what waits, and what is sent when."""

from typing import Any

import orjson
import pytest

from protocol import signaling as wire
from server.domains.play.signaling.registry import PeerRegistry, RegisteredPeer, RegistryUsage


class Wire:
    """The way to a peer that keeps what is sent."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.dropped = False

    def send(self, message: bytes) -> None:
        self.got.append(orjson.loads(message))
        self.raw.append(message)

    def drop(self) -> None:
        self.dropped = True

    @property
    def kinds(self) -> list[str]:
        return [message["type"] for message in self.got]


def enter(
    registry: PeerRegistry, peer_id: str, *, token: str = "t", now: float = 0
) -> tuple[Any, Wire]:
    link = Wire()
    return registry.enter(peer_id, token, link, now), link


def say(
    registry: PeerRegistry, peer: RegisteredPeer, kind: object, dst: object = None, now: float = 0
) -> None:
    said = {"type": kind, "dst": dst, "payload": {"n": 1}}
    registry.handle_message(peer, orjson.dumps(said), now)


def test_message_is_passed_on_with_the_real_sender() -> None:
    registry = PeerRegistry()
    ann, _ = enter(registry, "ann")
    _, bob = enter(registry, "bob")
    say(registry, ann, "OFFER", "bob")
    assert bob.got[1:] == [{"type": "OFFER", "src": "ann", "dst": "bob", "payload": {"n": 1}}]
    assert registry.load.relayed == 1


@pytest.mark.parametrize("lie", ["src", "\\u0073rc"])
def test_sender_cannot_be_forged(lie: str) -> None:
    registry = PeerRegistry()
    ann, _ = enter(registry, "ann")
    _, bob = enter(registry, "bob")
    for message in (
        f'{{"type":"OFFER","dst":"bob","{lie}":"eve"}}',
        f' {{"{lie}":"eve","type":"OFFER","dst":"bob","{lie}":"eve"}} ',
    ):
        registry.handle_message(ann, message.encode(), 0)
    assert bob.got[1:] == [{"type": "OFFER", "src": "ann", "dst": "bob"}] * 2


def test_id_that_needs_quoting_is_quoted() -> None:
    registry = PeerRegistry()
    ann, _ = enter(registry, 'a"n')
    _, bob = enter(registry, "bob")
    say(registry, ann, "OFFER", "bob")
    assert bob.got[1]["src"] == 'a"n'


def test_what_a_peer_wrote_is_passed_on_as_it_is() -> None:
    registry = PeerRegistry()
    ann, _ = enter(registry, "ann")
    _, bob = enter(registry, "bob")
    registry.handle_message(ann, b'\n{"type":"OFFER","dst":"bob","more":[]}', 0)
    registry.handle_message(
        ann, b'{"type":"OFFER","dst":"bob","payload":98765432109876543210, "n":1.50}', 0
    )
    assert bob.got[1] == {"type": "OFFER", "src": "ann", "dst": "bob", "more": []}
    assert bob.raw[2].endswith(b'"payload":98765432109876543210, "n":1.50}')


@pytest.mark.parametrize("src", ['"src":"eve",', ""])
def test_deep_message_harms_nobody(src: str) -> None:
    registry = PeerRegistry()
    ann, link = enter(registry, "ann")
    deep = "[" * 500 + "]" * 500
    registry.handle_message(
        ann, f'{{{src}"type":"OFFER","dst":"ann","payload":{deep}}}'.encode(), 0
    )
    say(registry, ann, "OFFER", "ann")
    assert link.kinds[-1] == "OFFER"
    assert link.got[-1]["payload"] == {"n": 1}


def test_id_is_one_peers_and_the_same_token_takes_it_up_again() -> None:
    registry = PeerRegistry()
    _, first = enter(registry, "ann")
    taken, _ = enter(registry, "ann", token="other")
    assert taken == wire.ID_TAKEN
    again, second = enter(registry, "ann")
    assert isinstance(again, RegisteredPeer)
    assert (first.dropped, second.kinds, len(registry)) == (True, ["OPEN"], 1)


def test_link_that_was_replaced_takes_nobody_away() -> None:
    registry = PeerRegistry()
    old, _ = enter(registry, "ann")
    enter(registry, "ann")
    registry.leave(old)
    assert "ann" in registry


def test_full_registry_lets_in_only_who_is_there() -> None:
    registry = PeerRegistry(load=RegistryUsage(peers_max=1))
    enter(registry, "ann")
    assert enter(registry, "bob")[0] == wire.FULL
    assert isinstance(enter(registry, "ann")[0], RegisteredPeer)


def test_message_waits_for_a_peer_that_comes_in_time() -> None:
    registry = PeerRegistry()
    ann, ann_link = enter(registry, "ann")
    say(registry, ann, "OFFER", "bob", now=1)
    say(registry, ann, "CANDIDATE", "bob", now=2)
    registry.expire(5.9)
    _, bob = enter(registry, "bob", now=5.9)
    assert bob.kinds == ["OPEN", "OFFER", "CANDIDATE"]
    registry.expire(60)
    assert ann_link.kinds == ["OPEN"]


def test_sender_is_notified_once_that_nobody_came() -> None:
    registry = PeerRegistry()
    ann, link = enter(registry, "ann")
    for _ in range(3):
        say(registry, ann, "CANDIDATE", "bob", now=1)
    registry.expire(5.9)
    assert link.kinds == ["OPEN"]
    registry.expire(6)
    registry.expire(60)
    assert link.got[1:] == [{"type": "EXPIRE", "src": "bob", "dst": "ann"}]
    assert enter(registry, "bob", now=60)[1].kinds == ["OPEN"]


@pytest.mark.parametrize("kind", ["LEAVE", "EXPIRE"])
def test_goodbye_waits_for_nobody(kind: str) -> None:
    registry = PeerRegistry()
    ann, link = enter(registry, "ann")
    say(registry, ann, kind, "bob")
    registry.expire(60)
    assert link.kinds == ["OPEN"]


@pytest.mark.parametrize("kind", ["HELLO", 7, None, ["OFFER"], {}])
def test_unknown_message_is_let_go(kind: object) -> None:
    registry = PeerRegistry()
    ann, _ = enter(registry, "ann")
    _, bob = enter(registry, "bob")
    say(registry, ann, kind, "bob")
    assert bob.kinds == ["OPEN"]


def test_only_a_heartbeat_shows_life() -> None:
    registry = PeerRegistry()
    ann, ann_link = enter(registry, "ann")
    bob, bob_link = enter(registry, "bob")
    for now in (30, 60, 89):
        say(registry, ann, "HEARTBEAT", now=now)
        say(registry, bob, "OFFER", "ann", now=now)
    registry.expire(90)
    assert (ann_link.dropped, bob_link.dropped) == (False, True)
    assert ann_link.got[-1] == {"type": "LEAVE", "src": "bob", "dst": "ann"}


def test_who_talked_with_a_peer_is_notified_that_it_went() -> None:
    registry = PeerRegistry()
    ann, _ = enter(registry, "ann")
    _, bob = enter(registry, "bob")
    _, cem = enter(registry, "cem")
    say(registry, ann, "OFFER", "bob")
    registry.leave(ann)
    assert bob.got[-1] == {"type": "LEAVE", "src": "ann", "dst": "bob"}
    assert cem.kinds == ["OPEN"]


def test_leaving_without_a_partner_is_leaving() -> None:
    registry = PeerRegistry()
    ann, link = enter(registry, "ann")
    say(registry, ann, "LEAVE")
    assert (link.dropped, "ann" in registry) == (True, False)


def test_what_waits_is_bounded_for_one_and_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = PeerRegistry()
    ann, link = enter(registry, "ann")
    for _ in range(wire.QUEUED_MESSAGES_MAX + 1):
        say(registry, ann, "CANDIDATE", "bob")
    assert link.kinds == ["OPEN", "EXPIRE"]
    monkeypatch.setattr(wire, "QUEUES_MAX", 2)
    say(registry, ann, "OFFER", "cem")
    say(registry, ann, "OFFER", "dan")
    assert link.got[-1] == {"type": "EXPIRE", "src": "dan", "dst": "ann"}
    monkeypatch.setattr(wire, "QUEUED_BYTES_IN_ALL_MAX", 1)
    say(registry, ann, "OFFER", "cem")
    assert link.got[-1] == {"type": "EXPIRE", "src": "cem", "dst": "ann"}
