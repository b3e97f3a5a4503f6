"""Where the processes of one load test wait for each other."""

import asyncio
from multiprocessing import get_context
from threading import BrokenBarrierError
from typing import Final

from loadtest.line.errors import ClientError

WAIT_MAX_S: Final = 600.0


class Meeting:
    """Lets all processes go on at the same time; made where they are started."""

    def __init__(self, processes: int = 1) -> None:
        context = get_context("spawn")  # as the processes are
        self._barrier = context.Barrier(processes) if processes > 1 else None

    async def all_here(self) -> None:
        """Wait for everybody, without keeping this process's connections waiting."""
        if self._barrier is None:
            return
        try:
            await asyncio.to_thread(self._barrier.wait, WAIT_MAX_S)
        except BrokenBarrierError:
            raise ClientError("Another process of the load test did not come this far.") from None
