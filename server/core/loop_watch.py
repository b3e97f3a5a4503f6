"""What keeps the event loop busy: everybody on a node waits for it.

A timer notes by how much it is called too late. A frame that arrives at a random moment waits as
long before it is read, whatever the reason: the work of others in the same turn, the garbage
collector, a call that blocks, or other processes on the core. Timers count whole milliseconds, so
less than two of them mean nothing.

The collector's pauses are measured by themselves, as they stop the loop wherever it is.
"""

import asyncio
import gc
import logging
import time
from collections import deque
from typing import Final, Literal

from server.core.durations import Durations

log = logging.getLogger(__name__)

EVERY_S: Final = 0.05
# The worst lag is remembered for longer than Prometheus usually waits between two looks.
REMEMBERED: Final = round(60 / EVERY_S)
STALL_S: Final = 0.5


class CollectorWatch:
    """How long the garbage collector stopped everything, by generation; `total_s` is all of it."""

    def __init__(self) -> None:
        self.pauses = (Durations(), Durations(), Durations())
        self.total_s = 0.0
        self._began_s = 0.0

    def start(self) -> None:
        """Measure from now on."""
        gc.callbacks.append(self._on_phase)

    def stop(self) -> None:
        """Measure no more."""
        gc.callbacks.remove(self._on_phase)

    def _on_phase(self, phase: Literal["start", "stop"], info: dict[str, int]) -> None:
        if phase == "start":
            self._began_s = time.perf_counter()
            return
        seconds = time.perf_counter() - self._began_s
        self.pauses[info["generation"]].record(seconds)
        self.total_s += seconds


class LoopWatch:
    """How late the loop comes to its work; a stall is logged with what is known of its cause."""

    def __init__(self) -> None:
        self.lag = Durations()
        self.collector = CollectorWatch()
        self._latest: deque[float] = deque(maxlen=REMEMBERED)

    @property
    def worst_s(self) -> float:
        """The worst lag of the last minute."""
        return max(self._latest, default=0.0)

    async def run(self) -> None:
        """Watch, until cancelled."""
        self.collector.start()
        try:
            while True:
                began_s, ran_s = time.monotonic(), time.thread_time()
                collected_s = self.collector.total_s
                await asyncio.sleep(EVERY_S)
                late_s = max(0.0, time.monotonic() - began_s - EVERY_S)
                self.lag.record(late_s)
                self._latest.append(late_s)
                if late_s > STALL_S:
                    log.warning(
                        "the event loop came to its work %.2f s late; it ran for %.2f s meanwhile, "
                        "of which the garbage collector took %.2f s",
                        late_s,
                        time.thread_time() - ran_s,
                        self.collector.total_s - collected_s,
                    )
        finally:
            self.collector.stop()
