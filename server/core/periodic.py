"""Sweeps: what is done again and again, though nobody asks for it.

Every periodic job of the server goes through `every`, so none of them ends because of something
that it met. A sweep that goes through several items contains each (`containment.contained`), so
that one of them does not keep the sweep from the others either.

`SWEEPS` knows all of them, for operators: when each ran last, how that went, and when it runs next.
Any of them may run earlier than that: what one does, it does for whatever is due when it runs.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from protocol.errors import Overloaded, StorageFull, Unavailable
from server.core.clock import Clock
from server.core.containment import FAILURES

log = logging.getLogger(__name__)

# What a sweep waits out: there is no use in trying its other items meanwhile.
AWAY: Final = (Unavailable, Overloaded, StorageFull)
ERROR_CHARS_MAX: Final = 500
_CLOCK: Final = Clock()


async def repeat_every(
    pause_s: float, sweep: Callable[[], Awaitable[object]], what: str, *, at_once: bool = False
) -> None:
    """Repeat a sweep until cancelled; one that fails is logged, counted and repeated all the same.

    The first one comes after a pause, or `at_once`.
    """
    state = PeriodicSweep(what, pause_s)
    SWEEPS.append(state)
    try:
        if not at_once:
            await state.rest()
        while True:
            await _run_once(sweep, state)
            await state.rest()
    finally:
        SWEEPS.remove(state)


async def _run_once(sweep: Callable[[], Awaitable[object]], state: "PeriodicSweep") -> None:
    state.began()
    try:
        await sweep()
    except AWAY as error:
        state.waits(error)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        state.failed(error)  # something that was awaited was cancelled, and not this task
    except Exception as error:
        state.failed(error)
    else:
        state.went_well()


class PeriodicSweep:
    """One sweep: how it went last, so that the log has the same error once at length, and when."""

    def __init__(self, name: str, pause_s: float) -> None:
        self.name = name
        self.pause_s = pause_s
        self.runs = 0
        self.failures = 0
        self.last_run_at: datetime | None = None
        self.last_took_s: float | None = None  # None while the first run lasts
        self.last_error: str | None = None  # of the last run; also what it waits for
        self.next_run_at: datetime | None = None  # None while it runs
        self._began_s = 0.0
        self._is_wanted = asyncio.Event()
        self._waits = False
        self._logged_error: str | None = None

    def run_soon(self) -> None:
        """Have it run now, or once more when the run that lasts is done."""
        self._is_wanted.set()

    async def rest(self) -> None:
        """Wait until its pause is over, or somebody wants it to run."""
        self.next_run_at = _CLOCK.now() + timedelta(seconds=self.pause_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.pause_s):
                await self._is_wanted.wait()
        self._is_wanted.clear()

    def began(self) -> None:
        """Note that a run begins."""
        self.runs += 1
        self.next_run_at = None
        self.last_run_at = _CLOCK.now()
        self._began_s = _CLOCK.monotonic()

    def went_well(self) -> None:
        """Note that a run did all that was due."""
        self._waits, self._logged_error = False, None
        self._ended(None)

    def waits(self, error: Unavailable | Overloaded | StorageFull) -> None:
        """Note that a run waits for the database."""
        if not self._waits:  # said once, however long it lasts
            log.warning("%s waits: %s", self.name, error.message)
        self._waits = True
        self._ended(error.message)

    def failed(self, error: BaseException) -> None:
        """Note that a run failed, and count it."""
        FAILURES.total += 1
        self.failures += 1
        error_text = repr(error)
        if error_text != self._logged_error:
            log.exception("%s failed; it runs again in %s s", self.name, self.pause_s)
        else:
            log.error("%s failed again: %s", self.name, error_text)
        self._logged_error = error_text
        self._ended(error_text)

    def _ended(self, error: str | None) -> None:
        self.last_took_s = _CLOCK.monotonic() - self._began_s
        self.last_error = error and error[:ERROR_CHARS_MAX]


# The sweeps of this process, each for as long as it is repeated.
SWEEPS: Final[list[PeriodicSweep]] = []
