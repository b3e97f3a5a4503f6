"""Sweeps: what is done again and again, though nobody asks for it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from protocol.contenterrors import StorageFull
from protocol.errors import Overloaded, Unavailable

log = logging.getLogger(__name__)


async def every(pause_s: float, sweep: Callable[[], Awaitable[object]], what: str) -> None:
    """Repeat a sweep, for ever; one that fails is logged and repeated all the same."""
    waits = False
    while True:
        await asyncio.sleep(pause_s)
        try:
            await sweep()
        except (Unavailable, Overloaded, StorageFull) as error:
            if not waits:  # said once, however long it lasts
                log.warning("%s waits: %s", what, error.message)
            waits = True
        except Exception:
            log.exception("%s failed; it runs again in %s s", what, pause_s)
        else:
            waits = False
