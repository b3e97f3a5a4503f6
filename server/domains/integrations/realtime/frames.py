"""Phoenix's messages as frames, in the two versions that clients speak. Pure.

    1.0.0   {"topic": …, "event": …, "payload": …, "ref": …, "join_ref": …}
    2.0.0   [join_ref, ref, topic, event, payload]

In 2.0.0 a client's broadcast comes in a binary frame of kind 3, and one of bytes goes out in a
frame of kind 4; JSON goes out as text:

    kind 3   lengths of join_ref, ref, topic, event, metadata; encoding (0 bytes, 1 JSON);
             these five, and the payload
    kind 4   lengths of topic, event, metadata; encoding; these three, and the payload
"""

from typing import Any, Final, Literal, NamedTuple

import orjson

from protocol.codec import require_depth
from protocol.errors import BadFrame
from protocol.limits import BODY_DEPTH_MAX
from server.gateway.transport.framing import BINARY, message_frame, text_frame

Version = Literal["1.0.0", "2.0.0"]
VERSIONS: Final[frozenset[str]] = frozenset({"1.0.0", "2.0.0"})

_PUSH_KIND: Final = 3
_BROADCAST_KIND: Final = 4
_PUSH_HEAD: Final = 7
_JSON: Final = 1
_LENGTH_MAX: Final = 255


class MalformedMessage(ValueError):
    """What a client sent is no message, and the reason why."""


class Message(NamedTuple):
    """A message of a client. `data` is a broadcast's payload where that is bytes."""

    join_ref: str | None
    ref: str | None
    topic: str
    event: str
    payload: dict[str, Any]
    data: bytes | None = None


def parse_json(raw: bytes) -> Any:
    """Read JSON that can be written again within other JSON; raise `MalformedMessage`."""
    try:
        found = orjson.loads(raw)
        require_depth(raw, found, BODY_DEPTH_MAX)
    except orjson.JSONDecodeError as error:
        raise MalformedMessage("Send valid JSON.") from error
    except BadFrame as error:
        raise MalformedMessage(error.message) from error
    return found


def decode_text(version: Version, raw: bytes) -> Message:
    """Read a message of a text frame; raise `MalformedMessage`."""
    found = parse_json(raw)
    if version == "2.0.0":
        if not isinstance(found, list) or len(found) != 5:
            raise MalformedMessage("A message must be [join_ref, ref, topic, event, payload].")
        join_ref, ref, topic, event, payload = found
    else:
        if not isinstance(found, dict):
            raise MalformedMessage("A message must be an object.")
        join_ref, ref = found.get("join_ref"), found.get("ref")
        topic, event, payload = found.get("topic"), found.get("event"), found.get("payload")
    if not isinstance(topic, str) or not isinstance(event, str):
        raise MalformedMessage("A message needs a topic and an event.")
    if payload is None:
        payload = {}
    if not isinstance(payload, dict):
        raise MalformedMessage("A message's payload must be an object.")
    return Message(_ref(join_ref), _ref(ref), topic, event, payload)


def _ref(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int):  # as the client of PyPI once sent them
        return str(value)
    raise MalformedMessage("A ref must be a string.")


def decode_binary(raw: bytes) -> Message:
    """Read a broadcast of a binary frame; raise `MalformedMessage`."""
    if len(raw) < _PUSH_HEAD or raw[0] != _PUSH_KIND:
        raise MalformedMessage("A binary message must be a broadcast.")
    lengths, encoding = raw[1:6], raw[6]
    parts: list[str] = []
    at = _PUSH_HEAD
    try:
        for length in lengths:
            parts.append(raw[at : at + length].decode())
            at += length
    except UnicodeDecodeError as error:
        raise MalformedMessage("A broadcast's head must be UTF-8.") from error
    if at > len(raw):
        raise MalformedMessage("A broadcast is shorter than its head says.")
    join_ref, ref, topic, event, _ = parts
    payload: dict[str, Any] = {"type": "broadcast", "event": event}
    data: bytes | None = None
    if encoding == _JSON:
        payload["payload"] = parse_json(raw[at:])
    else:
        data = raw[at:]
    return Message(join_ref or None, ref or None, topic, "broadcast", payload, data)


def encode(
    version: Version,
    topic: str,
    event: str,
    payload: bytes,
    *,
    ref: str | None = None,
    join_ref: str | None = None,
) -> bytes:
    """Write a message with a payload of JSON as a text frame."""
    shown = orjson.dumps(topic), orjson.dumps(event), orjson.dumps(ref)
    if version == "2.0.0":
        head = orjson.dumps(join_ref)
        return text_frame(b"[%b,%b,%b,%b,%b]" % (head, shown[2], shown[0], shown[1], payload))
    return text_frame(
        b'{"topic":%b,"event":%b,"payload":%b,"ref":%b}' % (shown[0], shown[1], payload, shown[2])
    )


def encode_bytes(version: Version, topic: str, event: str, data: bytes) -> bytes | None:
    """Write a broadcast of bytes as a binary frame; None where the client cannot read it."""
    names = topic.encode(), event.encode()
    if version != "2.0.0" or max(map(len, names)) > _LENGTH_MAX:
        return None
    head = bytes((_BROADCAST_KIND, len(names[0]), len(names[1]), 0, 0))
    return message_frame(BINARY, head + names[0] + names[1] + data)
