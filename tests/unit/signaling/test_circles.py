"""Circles: peers that only meet within one, and whose they are."""

from typing import Any

import orjson

from protocol import signaling as wire
from protocol.signaling import Admission
from server.domains.play.signaling.namespaces import Namespaces, Place


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
    circles: Namespaces, peer_id: str, *, circle: str = "x", person: str = "", session: str = "s"
) -> tuple[Any, Wire]:
    link = Wire()
    admission = Admission(circle, person or f"person of {peer_id}", session)
    return circles.enter(peer_id, admission, link, 0), link


def offer(place: Place, dst: str) -> None:
    place.registry.take(place.peer, orjson.dumps({"type": "OFFER", "dst": dst}), 0)


def test_message_stays_within_its_circle() -> None:
    circles = Namespaces()
    ann, _ = enter(circles, "ann")
    _, near = enter(circles, "bob")
    _, far = enter(circles, "bob", circle="y")
    offer(ann, "bob")
    assert [message["type"] for message in near.got] == ["OPEN", "OFFER"]
    assert [message["type"] for message in far.got] == ["OPEN"]


def test_what_waits_is_not_given_to_another_circle() -> None:
    circles = Namespaces()
    ann, _ = enter(circles, "ann")
    offer(ann, "bob")
    _, far = enter(circles, "bob", circle="y")
    assert [message["type"] for message in far.got] == ["OPEN"]


def test_person_takes_their_id_up_again_by_another_session() -> None:
    circles = Namespaces()
    _, first = enter(circles, "ann", person="ann")
    again, _ = enter(circles, "ann", person="ann", session="another")
    assert isinstance(again, Place)
    assert first.dropped
    assert enter(circles, "ann", person="bob")[0] == wire.ID_TAKEN


def test_person_has_few_peers_in_a_circle() -> None:
    circles = Namespaces()
    for number in range(wire.PEERS_PER_PERSON_MAX):
        enter(circles, f"ann-{number}", person="ann")
    assert enter(circles, "ann-more", person="ann")[0] == wire.TOO_MANY_OF_YOURS
    assert isinstance(enter(circles, "ann-0", person="ann")[0], Place)
    assert isinstance(enter(circles, "bob", person="bob")[0], Place)


def test_bound_on_peers_holds_for_all_circles_together() -> None:
    circles = Namespaces()
    circles.load.peers_max = 2
    enter(circles, "ann")
    enter(circles, "bob", circle="y")
    assert enter(circles, "cem", circle="z")[0] == wire.FULL
    assert len(list(circles)) == 2


def test_circle_that_is_left_and_has_nothing_waiting_is_forgotten() -> None:
    circles = Namespaces()
    ann, _ = enter(circles, "ann")
    enter(circles, "bob", circle="y")
    offer(ann, "nobody")
    ann.registry.leave(ann.peer)
    circles.expire(1)
    assert len(list(circles)) == 2
    circles.expire(6)
    assert len(list(circles)) == 1
    assert (circles.load.peers, circles.load.queues, circles.load.queued_bytes) == (1, 0, 0)
