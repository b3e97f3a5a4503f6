"""The machine: which process runs on which core, and what of the processor each one uses."""

import os
import resource
import threading
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

SAMPLE_EVERY_S: Final = 0.2
SAMPLES_MAX: Final = 100_000
FILES_MAX: Final = 20_000
SATURATED: Final = 0.9
# Processes without a part in a run that take more of a core than this disturb it.
DISTURBED: Final = 0.1
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


class CoreAssignment(NamedTuple):
    """Which core the server has, and which ones everything else; one and the same if need be."""

    server: frozenset[int]
    rest: frozenset[int]


def assign_cores() -> CoreAssignment:
    """Share out the cores that this process may use."""
    first, *others = sorted(os.sched_getaffinity(0))
    return CoreAssignment(frozenset({first}), frozenset(others or {first}))


def pin_process(pid: int, to: frozenset[int]) -> None:
    """Pin a process and all its threads; what they start later inherits it."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), to)


def allow_files() -> None:
    """Allow as many open files as connections need, here and in what is started."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if most == resource.RLIM_INFINITY else min(FILES_MAX, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


FILES_SPARE: Final = 500  # of a process, besides its connections


def find_file_limit_problem(connections: int) -> str | None:
    """Say, if one process may not have so many connections, which limit is too low."""
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + FILES_SPARE
    if allowed >= needed:
        return None
    return (
        f"{connections:,} connections of one process need {needed:,} open files, and {allowed:,} "
        f"are allowed here, at most {most:,}; raise the limit with `ulimit -Hn {needed}` as root."
    )


def process_tree(pid: int) -> list[int]:
    """List a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def process_cpu_s(pid: int, *, with_children: bool = False) -> float:
    """Read how long a process has had the processor; 0 for one that is gone.

    With children: those that were waited for, and those that there are now.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks = sum(map(int, fields[11 : 15 if with_children else 13]))
        others = process_tree(pid)[1:] if with_children else []
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return ticks / _TICKS_PER_S + sum(map(process_cpu_s, others))


def core_busy_s(core: int) -> float:
    """Read how long a core has been busy, whoever it was."""
    line = next(
        line
        for line in Path("/proc/stat").read_text().splitlines()
        if line.startswith(f"cpu{core} ")
    )
    user, nice, system, _idle, _waiting, irq, soft_irq, stolen = map(int, line.split()[1:9])
    return (user + nice + system + irq + soft_irq + stolen) / _TICKS_PER_S


@dataclass(frozen=True, slots=True)
class CpuUsage:
    """What was used in a stretch of time: 1.0 is a whole core.

    `server_core` and `rest_core` count everybody, also who has nothing to do with it.
    """

    seconds: float
    server: float
    database: float
    load: float
    server_core: float
    rest_core: float

    @property
    def disturbed(self) -> bool:
        """Whether others took so much of either core that the run says little of its speed."""
        of_server = self.server_core - self.server
        of_rest = self.rest_core - self.database - self.load
        return max(of_server, of_rest) > DISTURBED

    @property
    def saturated(self) -> str:
        """Name who could not have done more; others are processes that have no part in it."""
        if self.server >= SATURATED:
            return "server"
        if self.database + self.load >= SATURATED:
            return "database and load" if self.database else "load"
        return "others" if max(self.server_core, self.rest_core) >= SATURATED else "nobody"


class _Sample(NamedTuple):
    at_s: float
    used: tuple[float, ...]


class UsageMonitor:
    """Samples the processor's use all the time, so that any window can be asked for later."""

    def __init__(self, read: Callable[[], tuple[float, ...]]) -> None:
        self._read = read
        self._samples: list[_Sample] = []
        self._stop = threading.Event()

    def run(self) -> None:
        """Take samples until stopped."""
        while not self._stop.wait(SAMPLE_EVERY_S) and len(self._samples) < SAMPLES_MAX:
            self.sample()

    def sample(self) -> None:
        """Take one sample."""
        self._samples.append(_Sample(time.monotonic(), self._read()))

    def stop(self) -> None:
        """Stop sampling."""
        self._stop.set()

    def usage_between(self, from_s: float, to_s: float) -> CpuUsage:
        """Give what was used between two moments of the monotonic clock."""
        times = [sample.at_s for sample in self._samples]
        first = self._samples[max(0, bisect_right(times, from_s) - 1)]
        last = self._samples[min(len(times) - 1, bisect_right(times, to_s))]
        seconds = last.at_s - first.at_s
        used = zip(first.used, last.used, strict=True)
        return CpuUsage(seconds, *((after - before) / seconds for before, after in used))


@contextmanager
def monitor_usage(
    *, on: CoreAssignment, server: int, database: int | None = None
) -> Iterator[UsageMonitor]:
    """Watch a server, its database, this process with its other children, and the cores."""
    me = os.getpid()

    def read() -> tuple[float, ...]:
        served_s = process_cpu_s(server)
        return (
            served_s,
            process_cpu_s(database, with_children=True) if database is not None else 0.0,
            process_cpu_s(me, with_children=True) - served_s,
            sum(map(core_busy_s, on.server)),
            sum(map(core_busy_s, on.rest)),
        )

    monitor = UsageMonitor(read)
    thread = threading.Thread(target=monitor.run, daemon=True)
    thread.start()
    try:
        yield monitor
    finally:
        monitor.stop()
        thread.join()
