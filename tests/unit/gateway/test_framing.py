"""Frames as bytes, judged by an independent implementation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from server.gateway.transport.framing import (
    Fragments,
    ProtocolViolation,
    close_echo,
    close_frame,
    is_utf8,
    parse_close,
    pong_frame,
    text_frame,
)


def read(data: bytes) -> Frame:
    """Read one frame as a client of the `websockets` library does."""
    client = ClientProtocol(parse_uri("ws://h/"), state=OPEN, max_size=1 << 20)
    client.receive_data(data)
    (frame,) = client.events_received()
    assert isinstance(frame, Frame)
    return frame


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_text_frame_of_any_size_is_read_as_it_was(size: int) -> None:
    assert read(text_frame(b"x" * size)) == Frame(Opcode.TEXT, b"x" * size)


def test_pong_carries_the_pings_payload() -> None:
    assert pong_frame(b"p") == b"\x8a\x01p"


@given(st.sampled_from([1000, 1009, 4000, 4104]), st.text())
def test_close_frame_fits_and_its_reason_is_text(code: int, reason: str) -> None:
    frame = close_frame(code, reason)
    assert len(frame) <= 127
    close = Close.parse(read(frame).data)
    assert close.code == code
    assert reason.startswith(close.reason)
    assert len(close.reason.encode()) > min(len(reason.encode()), 123) - 4
    assert parse_close(frame) == (code, close.reason)


def test_close_of_a_length_that_no_close_may_have_is_read_all_the_same() -> None:
    payload = (1002).to_bytes(2, "big") + b"r" * 200
    assert parse_close(b"\x88\x7e\x00\xca" + payload) == (1002, "r" * 200)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535])
def test_code_that_must_not_travel_is_refused(code: int) -> None:
    with pytest.raises(ProtocolViolation) as refused:
        close_echo(code.to_bytes(2, "big"))
    assert refused.value.code == 1002


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4999])
def test_close_is_echoed_without_its_reason(code: int) -> None:
    assert close_echo(code.to_bytes(2, "big") + b"bye") == b"\x88\x02" + code.to_bytes(2, "big")


def test_close_without_a_code_is_echoed_without_one() -> None:
    assert close_echo(b"") == b"\x88\x00"


@given(st.binary())
def test_utf8_is_what_python_decodes(message: bytes) -> None:
    assert is_utf8(message) == (message.decode(errors="replace").encode() == message)


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=32))
def test_fragments_join_in_order(parts: list[bytes]) -> None:
    fragments = Fragments(is_text=True, bytes_max=32 * 9, parts_max=32)
    for part in parts:
        fragments.add(part)
    assert fragments.joined() == b"".join(parts)


@pytest.mark.parametrize(("parts", "size"), [(33, 0), (2, 51)])
def test_fragments_over_a_limit_are_refused(parts: int, size: int) -> None:
    fragments = Fragments(is_text=True, bytes_max=100, parts_max=32)
    for _ in range(parts - 1):
        fragments.add(b"x" * size)
    with pytest.raises(ProtocolViolation) as refused:
        fragments.add(b"x" * size)
    assert refused.value.code == 1009
