"""What a peer may offer besides: apart from sockets, which can be compiled.

A protocol that `isinstance` is asked about cannot.
"""

from typing import Protocol, runtime_checkable


@runtime_checkable
class BinaryWebSocketHandler(Protocol):
    """A peer that also takes binary messages; with any other they end the connection."""

    def on_binary(self, message: bytes, /) -> None:
        """Take a whole binary message of at most `frame_bytes_max` bytes."""
