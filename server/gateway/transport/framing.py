"""Websocket frames as bytes (RFC 6455, section 5): pure, without a socket.

What the server writes is never masked, never compressed and never fragmented; a frame is
made once and can be sent to any number of clients. What clients fragment is joined here.
"""

from struct import Struct
from typing import Final

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

PROTOCOL_ERROR: Final = 1002
UNSUPPORTED_DATA: Final = 1003
INVALID_TEXT: Final = 1007
TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011

CONTROL_BYTES_MAX: Final = 125
CLOSE_BYTE: Final = 0x80 | CLOSE  # the first byte of a close frame

_FIN: Final = 0x80
_MEDIUM: Final = Struct("!BBH")
_LONG: Final = Struct("!BBQ")

# Codes that may travel in a close frame (section 7.4 and IANA's registry), below the
# ranges that libraries (3000-3999) and applications (4000-4999) may use as they like.
_REGISTERED: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})


class ProtocolViolation(Exception):
    """The client broke the protocol or a limit: the connection fails with this close code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


def text_frame(payload: bytes) -> bytes:
    """Make a whole text message of UTF-8 bytes."""
    size = len(payload)
    if 125 < size < 1 << 16:  # most are, and many are made: no further call for them
        return _MEDIUM.pack(_FIN | TEXT, 126, size) + payload
    return message_frame(TEXT, payload)


def pong_frame(payload: bytes) -> bytes:
    """Make the answer to a ping."""
    return message_frame(PONG, payload)


def close_frame(code: int, reason: str) -> bytes:
    """Make a close frame; a reason that does not fit is cut between two characters."""
    text = reason.encode()[: CONTROL_BYTES_MAX - 2].decode(errors="ignore")
    return message_frame(CLOSE, code.to_bytes(2, "big") + text.encode())


def message_frame(opcode: int, payload: bytes) -> bytes:
    """Make an unmasked frame that is a whole message."""
    size = len(payload)
    if size < 126:
        return bytes((_FIN | opcode, size)) + payload
    if size < 1 << 16:
        return _MEDIUM.pack(_FIN | opcode, 126, size) + payload
    return _LONG.pack(_FIN | opcode, 127, size) + payload


def parse_close(data: bytes) -> tuple[int, str]:
    """Read code and reason of an unmasked close frame."""
    payload = data[4:] if data[1] == 126 else data[2:]
    return int.from_bytes(payload[:2], "big"), payload[2:].decode(errors="replace")


def close_echo(payload: bytes) -> bytes:
    """Make the close frame that answers a client's; raise `ProtocolViolation` for a bad code."""
    code = int.from_bytes(payload[:2], "big")
    if payload and not (code in _REGISTERED or 3000 <= code < 5000):
        raise ProtocolViolation(PROTOCOL_ERROR, f"{code} is not a valid close code.")
    return message_frame(CLOSE, payload[:2])


def is_utf8(message: bytes) -> bool:
    """Say whether bytes are UTF-8 text; whoever asks has seen that they are not ASCII."""
    try:
        message.decode()
    except UnicodeDecodeError:
        return False
    return True


class Fragments:
    """One message that arrives in pieces; an empty piece counts like any other."""

    __slots__ = ("_bytes_left", "_parts", "_parts_max", "is_text")

    def __init__(self, *, is_text: bool, bytes_max: int, parts_max: int) -> None:
        self.is_text = is_text
        self._bytes_left = bytes_max
        self._parts_max = parts_max
        self._parts: list[bytes] = []

    def add(self, part: bytes) -> None:
        """Take the next piece; raise `ProtocolViolation` where a limit is passed."""
        self._parts.append(part)
        self._bytes_left -= len(part)
        if len(self._parts) > self._parts_max:
            raise ProtocolViolation(
                TOO_BIG, f"A message can have at most {self._parts_max} fragments."
            )
        if self._bytes_left < 0:
            raise ProtocolViolation(
                TOO_BIG, "The fragments together exceed the maximum message size."
            )

    def joined(self) -> bytes:
        """Give the whole message."""
        return b"".join(self._parts)
