"""Lines that somebody types, without the event loop having to wait for them."""

import asyncio
import os
import sys
import termios
import time
from concurrent.futures import CancelledError
from threading import Thread
from typing import Final, NamedTuple

LINES_MAX: Final = 16
_CHUNK_BYTES: Final = 4096


class _TypedLine(NamedTuple):
    """A line, None for the end, and when it was read (by the monotonic clock)."""

    text: str | None
    at: float


class Keyboard:
    """Reads standard input in a thread that keeps nobody from leaving."""

    def __init__(self) -> None:
        # The file descriptor itself, since a lock on sys.stdin would hold up the exit.
        self._descriptor = sys.stdin.fileno()
        self._is_terminal = os.isatty(self._descriptor)
        self._typed_since = 0.0
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[_TypedLine] = asyncio.Queue(LINES_MAX)
        Thread(target=self._read, name="keyboard", daemon=True).start()

    def discard_typed(self) -> None:
        """Drop what a person has typed so far, half a line as well: it was for another screen.

        What is piped in stays: it was written for nobody's eyes.
        """
        if self._is_terminal:
            termios.tcflush(self._descriptor, termios.TCIFLUSH)
            self._typed_since = time.monotonic()

    async def read_line(self) -> str | None:
        """Wait for the next line; None when there are no more."""
        while True:
            line = await self._lines.get()
            if line.text is None:
                self._lines.put_nowait(line)
                return None
            if line.at >= self._typed_since:
                return line.text

    def _read(self) -> None:
        rest = b""
        try:
            while chunk := os.read(self._descriptor, _CHUNK_BYTES):
                at = time.monotonic()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._put(_TypedLine(line.decode(errors="replace"), at))
            self._put(_TypedLine(None, time.monotonic()))
        except (CancelledError, RuntimeError):
            return  # the loop is gone, and with it whoever would have listened

    def _put(self, line: _TypedLine) -> None:
        """Wait for room, so that what is piped in is read as fast as it is wanted."""
        asyncio.run_coroutine_threadsafe(self._lines.put(line), self._loop).result()
