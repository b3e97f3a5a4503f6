"""Whether a server's memory, and its database's, stay level while matches are played.

Matches of El Dorado for some minutes without a pause; the memory is read every ten seconds. The
first two minutes do not count, or a fifth of a shorter run: until then, caches and pools fill.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, NamedTuple

from loadtest.benching import loads
from loadtest.benching.figures import RunResult
from loadtest.benching.machine import CoreAssignment, process_tree
from loadtest.benching.servers import BenchNode
from loadtest.benching.slopes import Slope, fit_slope
from loadtest.measure import process_anonymous_bytes, process_pss_bytes

SAMPLE_EVERY_S: Final = 10.0
FILLING_S: Final = 120.0
FILLING_SHARE: Final = 0.2
SAMPLES_MIN: Final = 10
MIB: Final = 1 << 20


class MemorySample(NamedTuple):
    """What the server and its database had, so many minutes after the start."""

    minutes: float
    server_mib: float
    database_mib: float


class FlatRun(NamedTuple):
    """The run, and how memory grew in it, in MiB a minute."""

    run: RunResult
    server: Slope
    database: Slope


def measure_flat(node: BenchNode, on: CoreAssignment, *, minutes: float) -> FlatRun:
    """Play for so long; raise `ValueError` if there are too few samples for a slope."""
    seconds = minutes * 60
    every_s = min(SAMPLE_EVERY_S, seconds / SAMPLES_MIN)
    with _sampling(lambda: _read(node), every_s) as samples:
        run = loads.run_matches(node, on, seconds=seconds, ramp_up_s=min(5.0, seconds / 10))
    filling = min(FILLING_S, FILLING_SHARE * seconds) / 60
    counted = [sample for sample in samples if filling <= sample.minutes <= minutes]
    server = fit_slope([(sample.minutes, sample.server_mib) for sample in counted])
    database = fit_slope([(sample.minutes, sample.database_mib) for sample in counted])
    numbers = {
        "server MiB/min": server.value,
        "± server": server.margin,
        "database MiB/min": database.value,
        "± database": database.margin,
        "server MiB, first": counted[0].server_mib,
        "server MiB, last": counted[-1].server_mib,
    }
    named = replace(run, what=f"El Dorado for {minutes:g} min", numbers=run.numbers | numbers)
    return FlatRun(named, server, database)


def _read(node: BenchNode) -> tuple[float, float]:
    """Read both in MiB; what a process of the database shares counts once among them all."""
    database = 0
    for pid in process_tree(node.database_pid):
        try:
            database += process_pss_bytes(pid)
        except (FileNotFoundError, ProcessLookupError):
            continue  # a connection that ended meanwhile
    return process_anonymous_bytes(node.pid) / MIB, database / MIB


@contextmanager
def _sampling(
    read: Callable[[], tuple[float, float]], every_s: float
) -> Iterator[list[MemorySample]]:
    """Read at once and then every so often, until the block ends."""
    began, stop = time.monotonic(), threading.Event()
    samples: list[MemorySample] = []

    def sample() -> None:
        while not stop.is_set():
            server_mib, database_mib = read()
            samples.append(MemorySample((time.monotonic() - began) / 60, server_mib, database_mib))
            stop.wait(every_s)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()
