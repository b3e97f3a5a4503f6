"""How many games ended and how many events were kept, ever and on all nodes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from persistence.games.store import LogTotals
from protocol.errors import PlayhallError, Unavailable
from server.core.tasks import Tasks

log = logging.getLogger(__name__)

KEPT_S: Final = 2.0
WAITED_S: Final = 2.0


class CachedTotals:
    """The totals, read from the database at most once in `KEPT_S`, however many ask.

    Where the database does not answer in time, what was read last is returned.
    """

    def __init__(
        self, read: Callable[[], Awaitable[LogTotals]], *, tasks: Tasks, now: Callable[[], float]
    ) -> None:
        self._read = read
        self._tasks = tasks
        self._now = now
        self._known: LogTotals | None = None
        self._read_at = 0.0
        self._reading: asyncio.Task[None] | None = None

    async def read(self) -> LogTotals:
        """Give the totals, after `WAITED_S` at most; raise `Unavailable` if none were ever read."""
        if self._known is None or self._now() - self._read_at >= KEPT_S:
            if self._reading is None:
                self._reading = self._tasks.start_work(self._renew(), name="totals")
            await asyncio.wait([self._reading], timeout=WAITED_S)
        if self._known is None:
            raise Unavailable
        return self._known

    async def _renew(self) -> None:
        try:
            self._known = await self._read()
        except PlayhallError as error:
            log.debug("the totals could not be read: %s", error)
        finally:
            self._read_at = self._now()  # also where it failed: that is not tried more often
            self._reading = None
