"""What is on its way out: gathered per connection, written once per turn of the loop.

Frames wait as they are, shared with every other receiver, until the transport has taken
all of the write before; so a client that does not read costs one write's copy and a list.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Final

from persistence.hook_points import HookPoint
from server.core.containment import contain_failures, log_failure
from server.gateway.transport.limits import TransportLimits

# One write joins at most about this much, which bounds the copy that a slow reader costs.
WRITE_BYTES_MAX: Final = 64 * 1024


class BufferFlusher:
    """Writes out every outbox that was sent to, once per turn of one event loop.

    It also looks, while any write is unfinished, for those unfinished for too long.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: TransportLimits) -> None:
        self.now = loop.time
        self.limits = limits
        self.bytes_out = 0
        self._loop = loop
        self._dirty: list[SendBuffer] = []
        self._stalled: dict[SendBuffer, float] = {}
        self._sweeping = False
        observed = FLUSHING.around
        self._flush_later: Callable[[], object] = (
            self._flush if observed is None else partial(observed, self)
        )

    def mark_dirty(self, outbox: "SendBuffer") -> None:
        """Have an outbox flushed at the end of this turn."""
        if not self._dirty:
            self._loop.call_soon(self._flush_later)
        self._dirty.append(outbox)

    def note_stalled(self, outbox: "SendBuffer") -> None:
        """Note that a write is unfinished from now on."""
        self._stalled[outbox] = self.now()
        if not self._sweeping:
            self._sweep_later()

    def note_drained(self, outbox: "SendBuffer") -> None:
        """Note that nothing is unwritten any more, or never will be."""
        self._stalled.pop(outbox, None)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        """Call something after a while, unless it is cancelled."""
        return self._loop.call_later(delay_s, callback)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for outbox in dirty:
            try:
                outbox.flush()
            except Exception:
                log_failure("writing to a transport")
                with contain_failures("dropping a connection"):
                    outbox.abort()

    def _sweep_later(self) -> None:
        self._sweeping = True
        self.call_later(self.limits.outbox_age_max_s / 4, self._sweep)

    def _sweep(self) -> None:
        since = self.now() - self.limits.outbox_age_max_s
        for outbox in [outbox for outbox, at in self._stalled.items() if at <= since]:
            with contain_failures("closing a slow connection"):
                outbox.close_slow_client()
        self._sweeping = False
        if self._stalled:
            self._sweep_later()


# Observed only by those who began before the flusher was made.
FLUSHING: Final = HookPoint(BufferFlusher._flush)


class SendBuffer(ABC):
    """The frames that one transport has not taken yet.

    Its owner forwards the transport's `pause_writing` and `resume_writing`, which come
    when bytes stay unwritten and when none are left.
    """

    __slots__ = (
        "_bytes",
        "_bytes_max",
        "_flusher",
        "_frames",
        "_frames_max",
        "_paused",
        "closing",
        "limits",
        "now",
        "transport",
    )

    def __init__(self, transport: asyncio.Transport, flusher: BufferFlusher) -> None:
        transport.set_write_buffer_limits(high=1, low=0)
        self.closing = False
        self.transport = transport
        self._flusher = flusher
        self.limits = flusher.limits
        self.now = flusher.now
        self._frames: list[bytes] = []
        self._frames_max = flusher.limits.outbox_frames_max
        self._bytes = 0
        self._bytes_max = flusher.limits.outbox_bytes_max
        self._paused = False

    def send(self, frames: bytes) -> None:
        """Queue one or more whole frames; nothing is sent once the outbox is closing.

        Over a cap the connection is closed as too slow. Never raises.
        """
        if self.closing:
            return
        if not self._frames:  # as `put` does; all that is ever sent comes this way
            self._flusher.mark_dirty(self)
        self._frames.append(frames)
        self._bytes += len(frames)
        if self._bytes > self._bytes_max or len(self._frames) > self._frames_max:
            self._relieve()

    def put(self, frames: bytes) -> None:
        """Queue frames without asking about caps: a last word, or the handshake's answer."""
        if not self._frames:
            self._flusher.mark_dirty(self)
        self._frames.append(frames)
        self._bytes += len(frames)

    def flush(self) -> None:
        """Write what waits, until the transport does not take any more."""
        while self._frames and not self._paused:
            data = self._take()
            self._flusher.bytes_out += len(data)
            self.transport.write(data)
        if self.closing and not self._frames:
            self.on_emptied()

    @property
    def queued_bytes(self) -> int:
        """How much is not yet with the kernel."""
        return self._bytes + self.transport.get_write_buffer_size()

    @abstractmethod
    def close_slow_client(self) -> None:
        """Close the connection: a cap was passed."""

    @abstractmethod
    def on_emptied(self) -> None:
        """Take note, while closing, that the transport was given all frames."""

    @abstractmethod
    def abort(self) -> None:
        """Drop the connection now."""

    def pause_writing(self) -> None:
        """Hold frames back, since the transport could not write all that it has."""
        self._paused = True
        self._flusher.note_stalled(self)

    def resume_writing(self) -> None:
        """Write on, since the transport has written everything."""
        self._paused = False
        self._flusher.note_drained(self)
        self.flush()

    def _relieve(self) -> None:
        """Write ahead of the turn's end: a burst that the kernel takes at once is no slowness.

        It raises nothing: who sends to many must not be kept from the others.
        """
        try:
            self.flush()
            if self._bytes > self._bytes_max or len(self._frames) > self._frames_max:
                self.close_slow_client()
        except Exception:
            log_failure("writing to a transport")
            with contain_failures("dropping a connection"):
                self.abort()

    def _take(self) -> bytes:
        if self._bytes > WRITE_BYTES_MAX:
            return self._take_some()
        frames, self._frames, self._bytes = self._frames, [], 0
        return b"".join(frames)

    def _take_some(self) -> bytes:
        count = size = 0
        while size < WRITE_BYTES_MAX:
            size += len(self._frames[count])
            count += 1
        data = b"".join(self._frames[:count])
        del self._frames[:count]
        self._bytes -= size
        return data

    def _discard(self) -> None:
        self._frames.clear()
        self._bytes = 0
