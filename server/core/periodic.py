"""Sweeps: what is done again and again, though nobody asks for it.

Every periodic job of the server goes through `every`, so none of them ends because of something
that it met. A sweep that goes through several items contains each (`containment.contained`), so
that one of them does not keep the sweep from the others either.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from protocol.errors import Overloaded, StorageFull, Unavailable
from server.core.containment import FAILURES

log = logging.getLogger(__name__)

# What a sweep waits out: there is no use in trying its other items meanwhile.
AWAY: Final = (Unavailable, Overloaded, StorageFull)


async def repeat_every(
    pause_s: float, sweep: Callable[[], Awaitable[object]], what: str, *, at_once: bool = False
) -> None:
    """Repeat a sweep until cancelled; one that fails is logged, counted and repeated all the same.

    The first one comes after a pause, or `at_once`.
    """
    state = _State(what, pause_s)
    if not at_once:
        await asyncio.sleep(pause_s)
    while True:
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
        await asyncio.sleep(pause_s)


class _State:
    """How the last sweep went, so that the log has the same error once at length."""

    def __init__(self, what: str, pause_s: float) -> None:
        self._what = what
        self._pause_s = pause_s
        self._waits = False
        self._last_error: str | None = None

    def went_well(self) -> None:
        self._waits, self._last_error = False, None

    def waits(self, error: Unavailable | Overloaded | StorageFull) -> None:
        if not self._waits:  # said once, however long it lasts
            log.warning("%s waits: %s", self._what, error.message)
        self._waits = True

    def failed(self, error: BaseException) -> None:
        FAILURES.total += 1
        error_text = repr(error)
        if error_text != self._last_error:
            log.exception("%s failed; it runs again in %s s", self._what, self._pause_s)
        else:
            log.error("%s failed again: %s", self._what, error_text)
        self._last_error = error_text
