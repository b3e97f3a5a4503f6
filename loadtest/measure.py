"""What a load test counts: latencies, counters, checks, and what the server says of itself.

A `Histogram` has latencies, `Counters` what one process counts, `Checks` the promises that were
checked, `MetricsScrape` the server's own numbers, and a `Meter` puts them together: it samples each
second and knows the window of full load. Memory is bounded however long a run is, and the
numbers of several processes add up.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple
from urllib.request import ProxyHandler, build_opener

from playhall.http import HttpClient

SPLIT_BITS: Final = 5
_SPLIT: Final = 1 << SPLIT_BITS
_OCTAVES: Final = 26
BUCKETS: Final = _SPLIT * (_OCTAVES + 1)


def bucket_index(us: int) -> int:
    """Find the bucket of a duration in microseconds."""
    if us < _SPLIT:
        return max(us, 0)
    octave = us.bit_length() - SPLIT_BITS - 1
    return min(_SPLIT * octave + (us >> octave), BUCKETS - 1)


def bucket_upper_us(bucket: int) -> int:
    """Give the largest duration, in microseconds, that falls into a bucket."""
    if bucket < 2 * _SPLIT:
        return bucket
    octave = bucket // _SPLIT - 1
    return ((bucket % _SPLIT + _SPLIT + 1) << octave) - 1


@dataclass(slots=True)
class Histogram:
    """Counts of durations."""

    counts: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    count: int = 0
    max_s: float = 0.0

    def record(self, seconds: float, *, times: int = 1) -> None:
        """Count a duration, once or several times."""
        self.counts[bucket_index(int(seconds * 1e6))] += times
        self.count += times
        if seconds > self.max_s:
            self.max_s = seconds

    def add(self, other: "Histogram") -> None:
        """Count everything that another one has counted."""
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.count += other.count
        self.max_s = max(self.max_s, other.max_s)

    def copy(self) -> "Histogram":
        """Make one that counts on by itself."""
        return Histogram(list(self.counts), self.count, self.max_s)

    def since(self, earlier: "Histogram") -> "Histogram":
        """Give what was counted since an earlier copy; its maximum is a bucket's bound."""
        counts = [a - b for a, b in zip(self.counts, earlier.counts, strict=True)]
        last = max((bucket for bucket, count in enumerate(counts) if count), default=0)
        return Histogram(
            counts, self.count - earlier.count, min(self.max_s, bucket_upper_us(last) / 1e6)
        )

    def quantile_s(self, q: float) -> float:
        """Give the duration, in seconds, that a share `q` of all does not exceed; 0 if none."""
        rank, seen = q * self.count, 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if count and seen >= rank:
                return min(bucket_upper_us(bucket) / 1e6, self.max_s)
        return 0.0

    def octaves(self) -> Iterator[tuple[float, int]]:
        """Give, from the first to the last that has any, upper bound in seconds and count.

        Four steps for each power of two: as fine as a plot needs.
        """
        step = _SPLIT // 4
        steps = [
            (bucket_upper_us(first + step - 1) / 1e6, sum(self.counts[first : first + step]))
            for first in range(0, BUCKETS, step)
        ]
        filled = [place for place, (_, count) in enumerate(steps) if count]
        if filled:
            yield from steps[filled[0] : filled[-1] + 1]


# ---------------------------------------------------------------------- counters


@dataclass(slots=True)
class Counters:
    """Counts since the start; the names in `counts` are the report's rows.

    games, moves (answered `ok`), deliveries (events received by a client), commands,
    reconnects, connections.
    """

    counts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    latency: Histogram = field(default_factory=Histogram)

    def add(self, other: "Counters") -> None:
        """Count everything that another one has counted."""
        self.counts.update(other.counts)
        self.refusals.update(other.refusals)
        self.latency.add(other.latency)

    def copy(self) -> "Counters":
        """Make one that counts on by itself."""
        return Counters(Counter(self.counts), Counter(self.refusals), self.latency.copy())

    def since(self, earlier: "Counters") -> "Counters":
        """Give what was counted since an earlier copy."""
        return Counters(
            self.counts - earlier.counts,
            self.refusals - earlier.refusals,
            self.latency.since(earlier.latency),
        )


@dataclass(slots=True)
class MeasurementWindow:
    """A stretch of time in which the load was full, and what was counted in it."""

    seconds: float
    counters: Counters

    def per_s(self, name: str) -> float:
        """Give a count as a rate."""
        return self.counters.counts[name] / self.seconds if self.seconds else 0.0


# ---------------------------------------------------------------------- checks


FAULTS_KEPT_MAX: Final = 20


@dataclass(slots=True)
class CheckResult:
    """How often one promise was checked, and what was found where it did not hold."""

    passed: int = 0
    failed: int = 0
    examples: list[str] = field(default_factory=list)

    def note(self, fault: str | None) -> None:
        """Note one check: what is wrong, or None."""
        if fault is None:
            self.passed += 1
            return
        self.failed += 1
        if len(self.examples) < FAULTS_KEPT_MAX:
            self.examples.append(fault)

    def add(self, other: "CheckResult") -> None:
        """Note everything that another one has noted."""
        self.passed += other.passed
        self.failed += other.failed
        self.examples = (self.examples + other.examples)[:FAULTS_KEPT_MAX]


@dataclass(slots=True)
class Checks:
    """Every promise that is checked, by its sentence."""

    by_name: dict[str, CheckResult] = field(default_factory=dict)

    def note_check(self, name: str, fault: str | None) -> None:
        """Note one check of a promise: what is wrong, or None."""
        self.by_name.setdefault(name, CheckResult()).note(fault)

    def add(self, other: "Checks") -> None:
        """Note everything that another one has noted."""
        for name, checked in other.by_name.items():
            self.by_name.setdefault(name, CheckResult()).add(checked)

    @property
    def failed(self) -> int:
        """How many checks failed."""
        return sum(checked.failed for checked in self.by_name.values())


# ---------------------------------------------------------------------- the server's own numbers


_EVENTS: Final = "playhall_events_committed_total"
_MEMORY: Final = "process_resident_memory_bytes"
_CPU: Final = "process_cpu_seconds_total"
TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class MetricsScrape:
    """A server's own numbers at one moment; `at_s` is monotonic."""

    at_s: float
    events: float
    memory_bytes: float
    cpu_s: float


_DIRECT = build_opener(ProxyHandler({}))  # as all that we send: see docs/guides/clients.md


async def scrape_metrics(url: str) -> MetricsScrape | None:
    """Read a server's `/metrics`; None where it does not show them now.

    In a thread: with thousands of sockets ready at every turn, a loop comes to its other work
    only every few seconds, and a new connection needs several turns.
    """
    return await asyncio.to_thread(_scrape, url)


def _scrape(url: str) -> MetricsScrape | None:
    try:
        with _DIRECT.open(f"{url}/metrics", timeout=TIMEOUT_S) as answer:
            numbers = parse_prometheus(answer.read().decode())
    except (OSError, ValueError):
        return None
    return MetricsScrape(
        time.monotonic(), numbers.get(_EVENTS, 0), numbers.get(_MEMORY, 0), numbers.get(_CPU, 0)
    )


def parse_prometheus(text: str) -> dict[str, float]:
    """Read the Prometheus text format: name (with labels) and value."""
    lines = (line.rpartition(" ") for line in text.splitlines() if line and line[0] != "#")
    return {name: float(value) for name, _, value in lines}


def process_rss_bytes(pid: int) -> int:
    """Read how much memory a process of this machine has."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has no memory of its own")


def process_anonymous_bytes(pid: int) -> int:
    """Read how much memory a process of this machine has that is of no file (Linux).

    What it shares with others since a fork counts in proportion. Pages of libraries are left out:
    whether they are counted depends on who else on the machine uses the same files.
    """
    return _rolled_up_bytes(pid, "Pss_Anon:")


def process_pss_bytes(pid: int) -> int:
    """Read how much memory a process has, with its share of what it has with others (Linux)."""
    return _rolled_up_bytes(pid, "Pss:")


def _rolled_up_bytes(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has no memory of its own")


# ---------------------------------------------------------------------- the meter


SAMPLE_EVERY_S: Final = 1.0
SAMPLES_MAX: Final = 24 * 3600


class TotalsSample(NamedTuple):
    """Totals `at_s` seconds after the start."""

    at_s: float
    games: int
    moves: int
    deliveries: int


class Progress(NamedTuple):
    """How far a process is; `stage` says what it is doing."""

    stage: str
    done: int
    moves: int
    deliveries: int


class _Moment(NamedTuple):
    at_s: float
    cpu_s: float
    counters: Counters


def _now(counters: Counters) -> _Moment:
    return _Moment(time.monotonic(), time.process_time(), counters.copy())


OnProgress = Callable[[Progress], None]


@dataclass(slots=True)
class Measurements:
    """What one process of a load test brings home.

    `busy` is the share of the window in which it had the processor: near 1, it is the load
    test that was measured, and not the server.
    """

    window: MeasurementWindow
    busy: float
    total: Counters
    samples: list[TotalsSample]
    checks: Checks
    server: tuple[MetricsScrape, MetricsScrape] | None = None
    numbers: dict[str, float] = field(default_factory=dict)


class Meter:
    """Counts for one process. `asks` makes it ask the server for its own numbers as well."""

    def __init__(self, http: HttpClient, *, on_progress: OnProgress, asks: bool) -> None:
        self.counters = Counters()
        self.checks = Checks()
        self.numbers: dict[str, float] = {}
        self.done = 0  # what the progress bar counts
        self.stage = ""
        self._http = http
        self._on_progress = on_progress
        self._asks = asks
        self._began = time.monotonic()
        self._samples: list[TotalsSample] = []
        self._opened = _Moment(self._began, 0.0, Counters())
        self._closed: _Moment | None = None
        self._scrapes: list[MetricsScrape] = []

    async def sample(self) -> None:
        """Take a sample each second, for as long as it runs."""
        while True:
            await asyncio.sleep(SAMPLE_EVERY_S)
            counts = self.counters.counts
            now_s = time.monotonic() - self._began
            sample = TotalsSample(now_s, counts["games"], counts["moves"], counts["deliveries"])
            if len(self._samples) < SAMPLES_MAX:
                self._samples.append(sample)
            self.report_progress()

    def report_progress(self) -> None:
        """Print how far it is."""
        counts = self.counters.counts
        self._on_progress(Progress(self.stage, self.done, counts["moves"], counts["deliveries"]))

    async def begin(self) -> None:
        """Start the time: everybody is there."""
        self._began = time.monotonic()
        await self.open_window()

    async def open_window(self) -> None:
        """Begin (again) to measure: the load is full."""
        if self._closed is None:
            self._scrapes = await self._ask()
            self._opened = _now(self.counters)

    async def close_window(self) -> None:
        """Measure no more: from now on the load falls. Later calls change nothing."""
        if self._closed is None:
            self._closed = _now(self.counters)
            self._scrapes += await self._ask()

    async def run_window(self, *, ramp_up_s: float, duration_s: float) -> None:
        """Measure for so long once the load is full; notes from when to when (monotonic)."""
        await asyncio.sleep(ramp_up_s)
        await self.open_window()
        self.numbers["from s"] = time.monotonic()
        await asyncio.sleep(duration_s)
        self.numbers["to s"] = time.monotonic()
        await self.close_window()

    def result(self) -> Measurements:
        """Give what was measured, once the window is closed."""
        assert self._closed is not None
        opened, closed = self._opened, self._closed
        seconds = closed.at_s - opened.at_s
        return Measurements(
            window=MeasurementWindow(seconds, closed.counters.since(opened.counters)),
            busy=(closed.cpu_s - opened.cpu_s) / seconds if seconds else 0.0,
            total=self.counters,
            samples=self._samples,
            checks=self.checks,
            server=(self._scrapes[0], self._scrapes[1]) if len(self._scrapes) == 2 else None,
            numbers=self.numbers,
        )

    async def _ask(self) -> list[MetricsScrape]:
        if not self._asks:
            return []
        answer = await scrape_metrics(self._http.url)
        return [] if answer is None else [answer]
