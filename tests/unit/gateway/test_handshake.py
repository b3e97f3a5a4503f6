"""Heads of requests, as data."""

from hypothesis import example, given
from hypothesis import strategies as st

from server.gateway.transport.handshake import (
    HttpRefusal,
    NegotiatedHandshake,
    UpgradeRequest,
    negotiate,
    parse_method_and_target,
    parse_request,
)

HEAD = (
    b"GET /ws?a=1&a=2 HTTP/1.1\r\nHost: Play.example:8080\r\nUPGRADE: h2c, WebSocket\r\n"
    b"connection:keep-alive\r\nConnection: upgrade \r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key:\tdGhlIHNhbXBsZSBub25jZQ==\t\r\nOrigin: http://play.example:8080"
)


def negotiated(head: bytes) -> NegotiatedHandshake | HttpRefusal:
    request = parse_request(head, "10.0.0.1")
    assert isinstance(request, UpgradeRequest)
    return negotiate(request, subprotocol="playhall.v1", origins=frozenset())


def test_names_and_tokens_are_read_in_any_case_and_number() -> None:
    assert negotiated(HEAD) == NegotiatedHandshake("dGhlIHNhbXBsZSBub25jZQ==", None)


def test_subprotocol_is_agreed_on_in_its_own_case_only() -> None:
    offer = HEAD + b"\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: playhall.v1"
    assert negotiated(offer) == NegotiatedHandshake("dGhlIHNhbXBsZSBub25jZQ==", "playhall.v1")
    assert isinstance(negotiated(offer.replace(b"playhall", b"PLAYHALL")), HttpRefusal)


def test_query_keeps_the_last_of_two() -> None:
    request = parse_request(HEAD, "10.0.0.1")
    assert isinstance(request, UpgradeRequest)
    assert request.query == {"a": "2"}


def test_refusal_is_written_as_http() -> None:
    refusal = HttpRefusal(503, "Später.", {"Retry-After": "5"})
    assert refusal.to_bytes() == (
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
        b"Content-Length: 9\r\nConnection: close\r\nRetry-After: 5\r\n\r\nSp\xc3\xa4ter.\n"
    )


@given(st.binary())
@example(b"")
@example(b"GET")
@example(b"GET  HTTP/1.1")
def test_any_bytes_are_a_request_or_refused(head: bytes) -> None:
    parse_method_and_target(head)
    request = parse_request(head, "")
    if isinstance(request, UpgradeRequest):
        negotiate(request, subprotocol=None, origins=frozenset())


@given(st.binary(max_size=40), st.integers(0, len(HEAD)))
@example(b"http://[", HEAD.index(b"http://"))
def test_any_damage_is_a_verdict(damage: bytes, at: int) -> None:
    request = parse_request(HEAD[:at] + damage + HEAD[at + len(damage) :], "")
    if isinstance(request, UpgradeRequest):
        negotiate(request, subprotocol="playhall.v1", origins=frozenset())
