"""Lines that somebody types, without the event loop having to wait for them."""

import asyncio
import os
import sys
from concurrent.futures import CancelledError
from threading import Thread
from typing import Final

LINES_MAX: Final = 16
_CHUNK_BYTES: Final = 4096


class Keyboard:
    """Reads standard input in a thread that keeps nobody from leaving."""

    def __init__(self) -> None:
        # The file descriptor itself, since a lock on sys.stdin would hold up the exit.
        self._descriptor = sys.stdin.fileno()
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue(LINES_MAX)
        Thread(target=self._read, name="keyboard", daemon=True).start()

    async def line(self) -> str:
        """Wait for the next line; raise `EOFError` when there are no more."""
        line = await self._lines.get()
        if line is None:
            self._lines.put_nowait(None)
            raise EOFError
        return line

    def _read(self) -> None:
        rest = b""
        try:
            while chunk := os.read(self._descriptor, _CHUNK_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._put(line.decode(errors="replace"))
            self._put(None)
        except (CancelledError, RuntimeError):
            return  # the loop is gone, and with it whoever would have listened

    def _put(self, line: str | None) -> None:
        """Wait for room, so that what is piped in is read as fast as it is wanted."""
        asyncio.run_coroutine_threadsafe(self._lines.put(line), self._loop).result()
