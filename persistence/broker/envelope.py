"""A notice as bytes on a channel. Pure.

Fixed fields, then the payload. The topic is in the channel's name. The sender is drawn at random
by each broker when it starts, and is not the node's name: two processes that were given one name
by mistake must still hear each other.
"""

from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

from persistence.broker.port import PAYLOAD_BYTES_MAX, Notice

SENDER_BYTES: Final = 8

# A mark and the version of this form, kind, sender, number, after.
_HEAD: Final = Struct(f">2sB{SENDER_BYTES}sqq")
_MARK: Final = b"P\x01"


class Kind(IntEnum):
    """What an envelope holds."""

    NOTICE = 0
    GAP = 1  # notices of this topic were dropped by their publisher


class Malformed(Exception):
    """The bytes are no envelope of this version."""


class Envelope(NamedTuple):
    """What was on a channel."""

    kind: Kind
    sender: bytes
    notice: Notice


def seal_notice(sender: bytes, notice: Notice) -> bytes:
    """Write a notice."""
    head = _HEAD.pack(_MARK, Kind.NOTICE, sender, notice.number, notice.after)
    return head + notice.payload


def seal_gap(sender: bytes) -> bytes:
    """Write that notices were dropped."""
    return _HEAD.pack(_MARK, Kind.GAP, sender, 0, 0)


def open_envelope(topic: str, message: bytes) -> Envelope:
    """Read what was on a topic's channel; raise `Malformed`."""
    if not _HEAD.size <= len(message) <= _HEAD.size + PAYLOAD_BYTES_MAX:
        raise Malformed
    mark, kind, sender, number, after = _HEAD.unpack_from(message)
    if mark != _MARK or kind not in (Kind.NOTICE, Kind.GAP):
        raise Malformed
    return Envelope(Kind(kind), sender, Notice(topic, number, after, message[_HEAD.size :]))
