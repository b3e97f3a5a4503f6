"""What is no message, or could not be written again, is refused where it is read."""

from collections.abc import Callable
from typing import Final

import pytest

from protocol.limits import BODY_DEPTH_MAX
from server.domains.integrations.realtime.frames import (
    MalformedMessage,
    Message,
    decode_binary,
    decode_text,
)

HEAD: Final = bytes((3, 0, 0, 1, 1, 0, 1)) + b"te"


def nested(depth: int) -> bytes:
    return b"[" * depth + b"1" + b"]" * depth


@pytest.mark.parametrize(
    ("decode", "around"),
    [
        (lambda raw: decode_text("2.0.0", b'["1","1","t","e",{"payload":%b}]' % raw), 2),
        (
            lambda raw: decode_text(
                "1.0.0", b'{"topic":"t","event":"e","payload":{"payload":%b}}' % raw
            ),
            2,
        ),
        (lambda raw: decode_binary(HEAD + raw), 0),
    ],
)
def test_messages_are_nested_only_so_deep(decode: Callable[[bytes], Message], around: int) -> None:
    most = BODY_DEPTH_MAX - around
    assert decode(nested(most)).payload["payload"]
    for depth in (most + 1, 300, 5000):
        with pytest.raises(MalformedMessage):
            decode(nested(depth))
