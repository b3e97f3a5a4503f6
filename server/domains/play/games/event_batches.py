"""Committed events as one node sends them to another: the bytes that were stored, and no views.

What is hidden from whom is decided where the viewer is connected, by the same `ViewEncoder` that
the owner has. So a batch is for nodes alone and must never reach a client.
"""

from collections.abc import Sequence
from struct import Struct, error
from typing import Final, NamedTuple

import orjson

from server.domains.play.games.recorder import RecordedEvent
from server.gamekit.contract import Event

# The version of this form, and the hash of the last event.
_HEAD: Final = Struct(">B16s")
# Index, milliseconds since 1970, and the lengths of type, time and payload.
_EVENT: Final = Struct(">IqBBI")
VERSION: Final = 1


class MalformedBatch(ValueError):
    """The bytes are no batch of this version."""


class EventBatch(NamedTuple):
    """Events that follow each other, and the hash of the last one."""

    recorded: list[RecordedEvent]
    hash: bytes


def encode_batch(recorded: Sequence[RecordedEvent], last_hash: bytes) -> bytes:
    """Write events for another node."""
    parts = [_HEAD.pack(VERSION, last_hash)]
    for item in recorded:
        kind = item.event.type.encode()
        parts += (
            _EVENT.pack(
                item.event_index, item.event.at_ms, len(kind), len(item.at), len(item.payload)
            ),
            kind,
            item.at,
            item.payload,
        )
    return b"".join(parts)


def decode_batch(batch: bytes) -> EventBatch:
    """Read what `encode_batch` wrote; raise `MalformedBatch`."""
    try:
        version, last_hash = _HEAD.unpack_from(batch)
        if version != VERSION:
            raise MalformedBatch
        recorded: list[RecordedEvent] = []
        at = _HEAD.size
        while at < len(batch):
            index, ms, kind_size, time_size, size = _EVENT.unpack_from(batch, at)
            begin = at + _EVENT.size
            time_begin = begin + kind_size
            payload_begin = time_begin + time_size
            at = payload_begin + size
            payload = batch[payload_begin:at]
            event = Event(batch[begin:time_begin].decode(), orjson.loads(payload), ms)
            recorded.append(RecordedEvent(index, event, payload, batch[time_begin:payload_begin]))
    except (error, orjson.JSONDecodeError, UnicodeDecodeError) as bad:
        raise MalformedBatch from bad
    return EventBatch(recorded, last_hash)
