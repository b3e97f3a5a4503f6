"""What is on a channel of Redis."""

import pytest

from persistence.broker.port import PAYLOAD_BYTES_MAX, Notice
from persistence.broker.redis import (
    TRACE_BYTES,
    EnvelopeKind,
    MalformedEnvelope,
    decode_envelope,
    encode_gap,
    encode_notice,
)

SENDER = b"8 bytes!"
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize("trace", [b"", TRACE])
@pytest.mark.parametrize("payload", [b"", b"events", b"x" * PAYLOAD_BYTES_MAX])
def test_a_notice_is_read_as_it_was_written(trace: bytes, payload: bytes) -> None:
    notice = Notice("game:1", 7, 5, payload, trace)
    _, sender, read = decode_envelope("game:1", encode_notice(SENDER, notice))
    assert (sender, read) == (SENDER, notice)


def test_a_gap_says_no_more_than_that() -> None:
    kind, sender, _ = decode_envelope("game:1", encode_gap(SENDER))
    assert (kind, sender) == (EnvelopeKind.GAP, SENDER)


def test_anything_else_is_malformed() -> None:
    traced = encode_notice(SENDER, Notice("game:1", 1, 0, b"", TRACE))
    assert len(TRACE) == TRACE_BYTES
    unknown = traced[:2] + bytes([9]) + traced[3:]
    too_large = encode_notice(SENDER, Notice("game:1", 1, 0, b"x" * (PAYLOAD_BYTES_MAX + 1), TRACE))
    for message in (b"", traced[:10], traced[:-1], b"Q" + traced[1:], unknown, too_large):
        with pytest.raises(MalformedEnvelope):
            decode_envelope("game:1", message)
