"""What is on a channel of Redis."""

import pytest

from persistence.broker.envelopes import (
    TRACE_BYTES,
    EnvelopeKind,
    Envelopes,
    ForgedEnvelope,
    MalformedEnvelope,
)
from persistence.broker.port import PAYLOAD_BYTES_MAX, Notice

CHANNEL = b"playhall:game:1"
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER_TRACE = TRACE.replace(b"0af7", b"0af8")


@pytest.fixture
def sent() -> Envelopes:
    return Envelopes([b"a key"])


@pytest.fixture
def received() -> Envelopes:
    return Envelopes([b"a key"])


@pytest.mark.parametrize("trace", [b"", TRACE])
@pytest.mark.parametrize("payload", [b"", b"events", b"x" * PAYLOAD_BYTES_MAX])
def test_a_notice_is_read_as_it_was_written(
    sent: Envelopes, received: Envelopes, trace: bytes, payload: bytes
) -> None:
    notice = Notice("game:1", 7, 5, payload, trace)
    _, sender, read = received.decode(CHANNEL, "game:1", sent.encode_notice(CHANNEL, notice))
    assert (sender, read) == (sent.sender, notice)


def test_a_gap_says_no_more_than_that(sent: Envelopes, received: Envelopes) -> None:
    kind, sender, _ = received.decode(CHANNEL, "game:1", sent.encode_gap(CHANNEL))
    assert (kind, sender) == (EnvelopeKind.GAP, sent.sender)


def test_anything_else_is_malformed(sent: Envelopes, received: Envelopes) -> None:
    traced = sent.encode_notice(CHANNEL, Notice("game:1", 1, 0, b"", TRACE))
    assert len(TRACE) == TRACE_BYTES
    unknown = traced[:2] + bytes([9]) + traced[3:]
    too_large = sent.encode_notice(
        CHANNEL, Notice("game:1", 1, 0, b"x" * (PAYLOAD_BYTES_MAX + 1), TRACE)
    )
    for message in (b"", traced[:10], traced[:-1], b"Q" + traced[1:], unknown, too_large):
        with pytest.raises(MalformedEnvelope):
            received.decode(CHANNEL, "game:1", message)


def test_a_trace_is_signed_as_well(sent: Envelopes, received: Envelopes) -> None:
    traced = sent.encode_notice(CHANNEL, Notice("game:1", 1, 0, b"events", TRACE))
    with pytest.raises(ForgedEnvelope):
        received.decode(CHANNEL, "game:1", traced.replace(TRACE, OTHER_TRACE))
