"""Circles: peers that only meet within one, and whose they are."""

from typing import Any

import orjson

from protocol import signaling as wire
from protocol.signaling import PeerAdmission
from server.domains.play.signaling.registry import PeerNamespaces, PeerPlace


class Wire:
    """The way to a peer that keeps what is sent."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.dropped = False

    def send(self, message: bytes) -> None:
        self.got.append(orjson.loads(message))

    def drop(self) -> None:
        self.dropped = True


def enter(
    namespaces: PeerNamespaces,
    peer_id: str,
    *,
    circle: str = "x",
    person: str = "",
    session: str = "s",
) -> tuple[Any, Wire]:
    link = Wire()
    admission = PeerAdmission(circle, person or f"person of {peer_id}", session)
    return namespaces.enter(peer_id, admission, link, 0), link


def offer(place: PeerPlace, dst: str) -> None:
    place.registry.handle_message(place.peer, orjson.dumps({"type": "OFFER", "dst": dst}), 0)


def test_message_stays_within_its_circle() -> None:
    namespaces = PeerNamespaces()
    ann, _ = enter(namespaces, "ann")
    _, near = enter(namespaces, "bob")
    _, far = enter(namespaces, "bob", circle="y")
    offer(ann, "bob")
    assert [message["type"] for message in near.got] == ["OPEN", "OFFER"]
    assert [message["type"] for message in far.got] == ["OPEN"]


def test_what_waits_is_not_given_to_another_circle() -> None:
    namespaces = PeerNamespaces()
    ann, _ = enter(namespaces, "ann")
    offer(ann, "bob")
    _, far = enter(namespaces, "bob", circle="y")
    assert [message["type"] for message in far.got] == ["OPEN"]


def test_person_takes_their_id_up_again_by_another_session() -> None:
    namespaces = PeerNamespaces()
    _, first = enter(namespaces, "ann", person="ann")
    again, _ = enter(namespaces, "ann", person="ann", session="another")
    assert isinstance(again, PeerPlace)
    assert first.dropped
    assert enter(namespaces, "ann", person="bob")[0] == wire.ID_TAKEN


def test_person_has_few_peers_in_a_circle() -> None:
    namespaces = PeerNamespaces()
    for number in range(wire.PEERS_PER_PERSON_MAX):
        enter(namespaces, f"ann-{number}", person="ann")
    assert enter(namespaces, "ann-more", person="ann")[0] == wire.TOO_MANY_OF_YOURS
    assert isinstance(enter(namespaces, "ann-0", person="ann")[0], PeerPlace)
    assert isinstance(enter(namespaces, "bob", person="bob")[0], PeerPlace)


def test_bound_on_peers_holds_for_all_circles_together() -> None:
    namespaces = PeerNamespaces()
    namespaces.load.peers_max = 2
    enter(namespaces, "ann")
    enter(namespaces, "bob", circle="y")
    assert enter(namespaces, "cem", circle="z")[0] == wire.FULL
    assert len(list(namespaces)) == 2


def test_circle_that_is_left_and_has_nothing_waiting_is_forgotten() -> None:
    namespaces = PeerNamespaces()
    ann, _ = enter(namespaces, "ann")
    enter(namespaces, "bob", circle="y")
    offer(ann, "nobody")
    ann.registry.leave(ann.peer)
    namespaces.expire(1)
    assert len(list(namespaces)) == 2
    namespaces.expire(6)
    assert len(list(namespaces)) == 1
    assert (namespaces.load.peers, namespaces.load.queues, namespaces.load.queued_bytes) == (
        1,
        0,
        0,
    )
