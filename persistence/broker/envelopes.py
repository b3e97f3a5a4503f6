"""What is on a Redis channel: a notice in a fixed form, signed with a key that all nodes share.

Whoever can publish on the server, but has no key of ours, can say nothing: what is not signed is
refused. The signature is a keyed BLAKE2b, which takes about a microsecond for a usual notice. It
covers the channel as well, so a notice that was moved to another topic is refused too.

**Repetition.** Each sender numbers what it publishes, on all channels together, and all of it goes
over one connection. So at a receiver these numbers only rise, and whatever does not rise was
recorded and published again, or was overtaken by a reconnection of its sender, which has announced
it as lost. A receiver that has just started knows no numbers yet: it takes what comes first.

Signed is not secret: who can read on the server can read notices.
"""

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from enum import IntEnum
from hashlib import blake2b
from hmac import compare_digest
from itertools import count
from struct import Struct
from typing import Final, NamedTuple

from persistence.broker.port import PAYLOAD_BYTES_MAX, Notice

# The sender is drawn at random by each broker when it starts, and is not the node's name: two
# processes that were given one name by mistake must still hear each other.
SENDER_BYTES: Final = 8
SIGNATURE_BYTES: Final = 16
# Of how many senders the last number is known; a node is one in each of its lives.
SENDERS_MAX: Final = 1024

# A mark and the version of this form, kind, sender, sequence, number, after; then the signature.
# Where the notice is traced, its `traceparent` follows, before the payload.
_HEAD: Final = Struct(f">2sB{SENDER_BYTES}sQqq")
_BODY_AT: Final = _HEAD.size + SIGNATURE_BYTES
_MARK: Final = b"P\x02"


class EnvelopeKind(IntEnum):
    """What an envelope holds."""

    NOTICE = 0
    GAP = 1  # notices of this topic were dropped by their publisher
    TRACED_NOTICE = 2


TRACE_BYTES: Final = 55  # of a `traceparent`, which is ASCII
_KINDS: Final = {kind.value: kind for kind in EnvelopeKind}


class MalformedEnvelope(Exception):
    """The bytes are no envelope of this version."""


class ForgedEnvelope(Exception):
    """An envelope is not signed with a key of ours, or is not the next of its sender."""


class Envelope(NamedTuple):
    """What was on a channel."""

    kind: EnvelopeKind
    sender: bytes
    notice: Notice


class Envelopes:
    """Writes the envelopes of one sender, with the first key, and reads those of all, with any."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self.sender = secrets.token_bytes(SENDER_BYTES)
        # Kept ready: to take a copy is faster than to begin anew with the key.
        self._signers = [blake2b(key=key, digest_size=SIGNATURE_BYTES) for key in keys]
        self._sequence = count(1)
        self._heard: OrderedDict[bytes, int] = OrderedDict()  # the last sequence of each sender

    def encode_notice(self, channel: bytes, notice: Notice) -> bytes:
        """Write a notice."""
        kind = EnvelopeKind.TRACED_NOTICE if notice.trace else EnvelopeKind.NOTICE
        return self._encode(
            channel, kind, notice.number, notice.after, notice.trace + notice.payload
        )

    def encode_gap(self, channel: bytes) -> bytes:
        """Write that notices were dropped."""
        return self._encode(channel, EnvelopeKind.GAP, 0, 0, b"")

    def decode(self, channel: bytes, topic: str, message: bytes) -> Envelope:
        """Read what was on a topic's channel; raise `MalformedEnvelope` or `ForgedEnvelope`."""
        if len(message) < _BODY_AT:
            raise MalformedEnvelope
        mark, kind, sender, sequence, number, after = _HEAD.unpack_from(message)
        if mark != _MARK or kind not in _KINDS:
            raise MalformedEnvelope
        trace_bytes = TRACE_BYTES if kind == EnvelopeKind.TRACED_NOTICE else 0
        head, body = message[: _HEAD.size], message[_BODY_AT:]
        if not trace_bytes <= len(body) <= trace_bytes + PAYLOAD_BYTES_MAX:
            raise MalformedEnvelope
        signature = message[_HEAD.size : _BODY_AT]
        for signer in self._signers:  # nearly always the first one
            if compare_digest(signature, _sign(signer, channel, head, body)):
                break
        else:
            raise ForgedEnvelope
        if sender != self.sender:
            self._note_heard(sender, sequence)
        notice = Notice(topic, number, after, body[trace_bytes:], body[:trace_bytes])
        return Envelope(_KINDS[kind], sender, notice)

    def _encode(
        self, channel: bytes, kind: EnvelopeKind, number: int, after: int, body: bytes
    ) -> bytes:
        head = _HEAD.pack(_MARK, kind, self.sender, next(self._sequence), number, after)
        return head + _sign(self._signers[0], channel, head, body) + body

    def _note_heard(self, sender: bytes, sequence: int) -> None:
        heard = self._heard.get(sender, 0)
        if sequence <= heard:
            raise ForgedEnvelope
        self._heard[sender] = sequence
        if not heard and len(self._heard) > SENDERS_MAX:
            self._heard.popitem(last=False)


def _sign(signer: blake2b, channel: bytes, head: bytes, body: bytes) -> bytes:
    signed = signer.copy()
    # A channel's name has no zero byte, and a head is of one length, so no two say the same.
    signed.update(channel + b"\0" + head)
    signed.update(body)
    return signed.digest()
