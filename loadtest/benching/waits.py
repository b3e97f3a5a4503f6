"""What replies wait for: as the server measures it, as PostgreSQL does, and the slowest one.

The server is started with `PLAYHALL_SLOW_REPLY_S`; see docs/operations/monitoring.md. Quantiles are
the upper bounds of the histogram's buckets, in milliseconds.
"""

import re
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple
from urllib.request import ProxyHandler, build_opener

import psycopg
from rich.console import Console
from rich.table import Table

from loadtest.benching.figures import RunResult
from loadtest.benching.servers import BenchNode
from loadtest.measure import parse_prometheus
from loadtest.report import format_number

OWNER: Final = "postgres"
SLOW_REPLY_S: Final = 0.02
SETTINGS: Final = {"PLAYHALL_SLOW_REPLY_S": str(SLOW_REPLY_S)}
STAGES: Final = ("decide", "queue", "commit", "release", "write", "total")
LANES: Final = ("shared", "solo")
LOOP: Final = "waiting for the loop"
QUANTILES: Final = {"p50": 0.5, "p99": 0.99}
TIMEOUT_S: Final = 10.0
STATISTICS_S: Final = 1.2  # how long a connection of PostgreSQL may keep its statistics to itself

_LOG_WRITES: Final = Path(__file__).with_name("log_writes.sql").read_text("utf-8")
_PREPARE: Final = Path(__file__).with_name("prepare_log.sql").read_text("utf-8")
_BUCKET: Final = re.compile(r"playhall_(reply|loop_lag)_seconds_bucket\{(.*)\}")
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
_SLOW: Final = re.compile(r"a reply took ([\d.]+) ms: .*")
_DIRECT = build_opener(ProxyHandler({}))

# Cumulative counts by upper bound in seconds, by what was measured.
Buckets = Mapping[str, Mapping[float, float]]


class LogWrites(NamedTuple):
    """What PostgreSQL's log cost: flushes, and segments that had to be made."""

    flushes: int
    flushes_ms: float
    segments: int
    segments_ms: float

    def since(self, earlier: "LogWrites") -> "LogWrites":
        """Give what came after an earlier look."""
        return LogWrites(
            self.flushes - earlier.flushes,
            self.flushes_ms - earlier.flushes_ms,
            self.segments - earlier.segments,
            self.segments_ms - earlier.segments_ms,
        )


@dataclass(frozen=True, slots=True)
class _Moment:
    buckets: Buckets
    log_writes: LogWrites
    lines: int  # of the node's log


def prepare(node: BenchNode) -> None:
    """Have PostgreSQL time its log, and make the segments that a new one does not have yet."""
    node.set_database("track_wal_io_timing", "on")
    with _open(node) as database:
        database.execute(_PREPARE.encode())
        database.execute("CHECKPOINT")


def measure(node: BenchNode, run: Callable[[], RunResult], console: Console) -> RunResult:
    """Run something, print what its replies waited for, and add that to its numbers."""
    before = _look(node)
    done = run()
    time.sleep(STATISTICS_S)
    after = _look(node)
    waits = stage_quantiles(before.buckets, after.buckets)
    writes = after.log_writes.since(before.log_writes)
    slowest = slowest_reply(_log_lines(node)[before.lines :])
    _print(waits, writes, slowest, console)
    numbers = {
        f"{what} {name} ms": value for what, each in waits.items() for name, value in each.items()
    }
    numbers |= {f"log {name}": float(value) for name, value in writes._asdict().items()}
    return replace(done, numbers={**done.numbers, **numbers})


def stage_quantiles(before: Buckets, after: Buckets) -> dict[str, dict[str, float]]:
    """Give the quantiles of each stage that was measured in between, in milliseconds."""
    found: dict[str, dict[str, float]] = {}
    for what, counts in after.items():
        earlier = before.get(what, {})
        since = {bound: count - earlier.get(bound, 0.0) for bound, count in counts.items()}
        total = max(since.values())
        if total:
            found[what] = {name: _bound(since, q * total) for name, q in QUANTILES.items()}
    return found


def slowest_reply(lines: list[str]) -> str | None:
    """Find what the server's log says of its slowest reply."""
    found = [match for match in map(_SLOW.search, lines) if match is not None]
    return max(found, key=lambda match: float(match[1]))[0] if found else None


def read_buckets(text: str) -> Buckets:
    """Read the histograms of replies and of the loop from the metrics of a server."""
    found: dict[str, dict[float, float]] = {}
    for name, value in parse_prometheus(text).items():
        if (match := _BUCKET.match(name)) is None:
            continue
        labels = dict(_LABEL.findall(match[2]))
        what = f"{labels['lane']} {labels['stage']}" if match[1] == "reply" else LOOP
        found.setdefault(what, {})[float(labels["le"])] = value
    return found


def _bound(counts: Mapping[float, float], rank: float) -> float:
    """Give the bound that so many do not exceed, ms; of the last, the bound before it."""
    bounds = sorted(counts)
    for bound, following in pairwise(bounds):
        if counts[bound] >= rank or following == bounds[-1]:
            return bound * 1000
    return bounds[0] * 1000


def _look(node: BenchNode) -> _Moment:
    with _DIRECT.open(f"{node.url}/metrics", timeout=TIMEOUT_S) as answer:
        buckets = read_buckets(answer.read().decode())
    with _open(node) as database:
        row = database.execute(_LOG_WRITES.encode()).fetchone()
    assert row is not None
    return _Moment(buckets, LogWrites(*row), len(_log_lines(node)))


def _open(node: BenchNode) -> closing[psycopg.Connection[tuple[int, float, int, float]]]:
    return closing(psycopg.connect(node.dsn(OWNER), autocommit=True))


def _log_lines(node: BenchNode) -> list[str]:
    return node.log.read_text(errors="replace").splitlines()


def _print(
    waits: Mapping[str, Mapping[str, float]],
    writes: LogWrites,
    slowest: str | None,
    console: Console,
) -> None:
    table = Table("at most, ms", *(f"{lane} {name}" for lane in LANES for name in QUANTILES))
    rows = [
        (LOOP, [LOOP, LOOP]),
        *((each, [f"{lane} {each}" for lane in LANES]) for each in STAGES),
    ]
    for title, keys in rows:
        cells = [
            format_number(waits[key][name]) if key in waits else ""
            for key in keys
            for name in QUANTILES
        ]
        table.add_row(title, *cells)
    console.print(table)
    each_ms = writes.flushes_ms / writes.flushes if writes.flushes else 0.0
    console.print(
        f"PostgreSQL flushed its log {writes.flushes:,} times, {each_ms:.2f} ms each, and made "
        f"{writes.segments} segments in {writes.segments_ms:.0f} ms"
    )
    console.print(
        f"the slowest at the server: {slowest}"
        if slowest
        else f"no reply took the server {SLOW_REPLY_S * 1000:.0f} ms",
        soft_wrap=True,
    )
