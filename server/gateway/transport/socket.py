"""A connection as both sides of it see it: the peer that sits on it, and its socket.

How it ends: whoever closes first sends a close frame and the other answers it; the server
then ends its side and drops what still comes. After `close_timeout_s` it aborts.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol

from protocol.errors import CloseReason
from server.core.containment import contain_failures, log_failure
from server.gateway.transport.framing import INTERNAL_ERROR, close_frame
from server.gateway.transport.handshake import HttpRefusal, UpgradeRequest
from server.gateway.transport.send_buffer import BufferFlusher, SendBuffer

# Where all connections that have ended read into: nobody looks at it.
_WASTE: Final = bytearray(64 * 1024)


class WebSocketHandler(Protocol):
    """What sits on a socket; one per connection, called from the event loop."""

    def on_open(self, socket: "Socket", /) -> None:
        """Take the socket; it can be written to."""

    def on_message(self, message: bytes, /) -> None:
        """Take a whole text message: valid UTF-8, at most `frame_bytes_max` bytes."""

    def on_close(self) -> None:
        """Take note that the connection is gone; called once, if `on_open` was."""


Accept = Callable[[UpgradeRequest], WebSocketHandler | HttpRefusal]


class Socket(SendBuffer):
    """What a peer writes to: an outbox with a closing handshake.

    `remote` is the client's address, `last_seen` the loop's time at its last frame.
    """

    __slots__ = ("_deadline", "_on_gone", "_peer", "ending", "last_seen", "remote")

    def __init__(
        self,
        transport: asyncio.Transport,
        flusher: BufferFlusher,
        *,
        remote: str,
        on_gone: Callable[["Socket"], None],
    ) -> None:
        super().__init__(transport, flusher)
        self.remote = remote
        self.last_seen = self.now()
        self._on_gone = on_gone
        self._peer: WebSocketHandler | None = None
        self.ending = False
        self._deadline: asyncio.TimerHandle | None = None

    def close(self, reason: CloseReason | tuple[int, str]) -> None:
        """Send what is queued and a close frame; drop the connection when it is answered.

        It is dropped after `close_timeout_s` in any case. Nothing can be sent from now on.
        """
        code, text = reason.value if isinstance(reason, CloseReason) else reason
        self.send_last(close_frame(code, text))

    def abort(self) -> None:
        """Drop the connection and all that is queued, now."""
        self.closing = True
        self._discard()
        self.transport.abort()

    def close_slow_client(self) -> None:
        """Close a connection that does not read; what is queued is dropped."""
        if not self.closing:
            self._discard()
            self.close(CloseReason.SLOW_CONSUMER)

    def on_emptied(self) -> None:
        """Close this side, if nothing is awaited from the other; TLS has no half."""
        if not self.ending or self.transport.is_closing():
            return
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        try:
            self.transport.write_eof()
        except OSError:  # the client was gone before
            self.abort()

    # ------------------------------------------------- whoever reads the transport calls these

    def open(self, peer: WebSocketHandler) -> None:
        """Give the socket its peer."""
        self._peer = peer
        try:
            peer.on_open(self)
        except Exception:
            self.close_after_crash()

    def send_last(self, last: bytes) -> None:
        """Queue the last frame and set the time by which the connection is gone."""
        if not self.closing:
            self.put(last)
            self._close_soon()

    def end(self) -> None:
        """Close this side as soon as all is written, and drop what still comes."""
        if not self.ending:
            self.ending = True
            self._close_soon()
            self.transport.set_protocol(_Drain(self))
            self.flush()

    def fail(self, code: int, reason: str) -> None:
        """Close for a fault of the client's or ours; its answer is not awaited."""
        self.close((code, reason))
        self.end()

    def fail_soon(self, code: int, reason: str) -> None:
        """Fail when this turn is over, so that what came before the fault is still answered."""
        self._flusher.call_later(0, partial(self.fail, code, reason))

    def close_after_crash(self) -> None:
        """Close since the peer raised what is being handled."""
        log_failure("a peer")
        self.fail(INTERNAL_ERROR, "The server failed to handle this; the failure was logged.")

    def on_lost(self) -> None:
        """Let go of everything: the transport is gone."""
        self.closing = self.ending = True
        self._discard()
        self._flusher.note_drained(self)
        if self._deadline is not None:
            self._deadline.cancel()
        with contain_failures("counting a connection out"):
            self._on_gone(self)
        if self._peer is not None:
            with contain_failures("a peer whose connection is gone"):
                self._peer.on_close()

    def _close_soon(self) -> None:
        self.closing = True
        if self._deadline is None:
            self._deadline = self._flusher.call_later(self.limits.close_timeout_s, self.abort)


class _Drain(asyncio.BufferedProtocol):
    """Takes the parser's place at the end of a connection: what still comes is dropped.

    A parser stops at a violation, and would gather all that follows. A connection that is
    closed before everything was read is reset, which can cost the client the close frame.
    """

    __slots__ = ("_socket",)

    def __init__(self, socket: Socket) -> None:
        self._socket = socket

    def get_buffer(self, sizehint: int) -> bytearray:
        return _WASTE

    def buffer_updated(self, nbytes: int) -> None:
        pass

    def pause_writing(self) -> None:
        self._socket.pause_writing()

    def resume_writing(self) -> None:
        self._socket.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._socket.on_lost()
