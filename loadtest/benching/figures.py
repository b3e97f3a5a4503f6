"""What is promised against what was measured: in the terminal, as JSON, and in the docs."""

import os
import platform
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from loadtest.benching.machine import CpuUsage
from loadtest.measure import Checks
from loadtest.report import format_number


class Verdict(StrEnum):
    """Whether a budget was reached."""

    REACHED = "yes"
    MISSED = "**no**"
    FAILED = "**failed its checks**"
    NOT_MEASURED = "not measured"
    NO_BUDGET = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """A bound on a figure: at least so much, or less than so much."""

    limit: float
    at_least: bool = False

    def holds(self, value: float) -> bool:
        """Say whether a value is within it."""
        return value >= self.limit if self.at_least else value < self.limit


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run: its numbers, what was checked, and what it used."""

    what: str
    numbers: dict[str, float]
    checks: Checks
    usage: CpuUsage | None = None

    @property
    def ok(self) -> bool:
        """Whether something was checked, and all of it held."""
        return bool(self.checks.by_name) and self.checks.failed == 0

    @property
    def disturbed(self) -> bool:
        """Whether others were seen to take part of a core; not every run is watched."""
        return self.usage is not None and self.usage.disturbed


@dataclass(slots=True)
class BenchFigure:
    """One row of the table; `values` are those of repeated runs."""

    key: str
    what: str
    unit: str
    budget: Budget | None = None
    values: list[float] = field(default_factory=list)
    ok: bool = True
    disturbed: bool = False

    def add(self, run: RunResult, value: float) -> None:
        """Add one run's value."""
        self.values.append(value)
        self.ok = self.ok and run.ok
        self.disturbed = self.disturbed or run.disturbed

    @property
    def verdict(self) -> Verdict:
        """Compare the median with the budget."""
        if not self.values:
            return Verdict.NOT_MEASURED
        if not self.ok:
            return Verdict.FAILED
        if self.budget is None:
            return Verdict.NO_BUDGET
        return Verdict.REACHED if self.budget.holds(median(self.values)) else Verdict.MISSED


def _at_least(limit: float) -> Budget:
    return Budget(limit, at_least=True)


# What, its unit, its budget; in the order of the table.
_ROWS: Final = (
    ("moves/s", "El Dorado, 100 games of 4 at once: moves", "/s", _at_least(8000)),
    ("games/s", "… games", "/s", _at_least(30)),
    ("µs/move", "… server CPU for a move", "µs", Budget(70)),
    ("µs/move database", "… database CPU for a move", "µs", None),
    ("µs/move load", "… CPU of the load for a move", "µs", None),
    ("original moves", "… the original server: moves", "/s", None),
    ("original games", "… its games", "/s", None),
    ("µs/original", "… its server CPU for a move", "µs", None),
    ("µs/original database", "… its database CPU for a move", "µs", None),
    ("µs/original load", "… CPU of its load for a move", "µs", None),
    ("original", "… we to the original server", "times", _at_least(10)),
    (
        "statements",
        "… statements for a game but its appends, from lobby to replay",
        "",
        Budget(8.5),
    ),
    ("transactions", "… and transactions", "", None),
    ("relay 50", "relay, 50 rooms of 4: deliveries", "/s", None),
    ("µs/relay 50", "… server CPU for a delivery", "µs", None),
    ("µs/relay 50 database", "… database CPU for a delivery", "µs", None),
    ("µs/relay 50 load", "… CPU of the load for a delivery", "µs", None),
    ("colyseus 50", "… Colyseus 0.17, bare relay: deliveries", "/s", None),
    ("µs/colyseus 50", "… its server CPU for a delivery", "µs", None),
    ("µs/colyseus 50 load", "… CPU of its load for a delivery", "µs", None),
    ("ratio 50", "… we to Colyseus", "times", _at_least(1.5)),
    ("µs/ratio 50", "… server CPU for a delivery, ours ÷ Colyseus's", "times", Budget(1)),
    ("µs/whole ratio 50", "… with the database's, ÷ Colyseus's", "times", Budget(1.5)),
    ("relay 500", "relay, 500 rooms of 4: deliveries", "/s", None),
    ("µs/relay 500", "… server CPU for a delivery", "µs", None),
    ("µs/relay 500 database", "… database CPU for a delivery", "µs", None),
    ("µs/relay 500 load", "… CPU of the load for a delivery", "µs", None),
    ("colyseus 500", "… Colyseus 0.17, bare relay: deliveries", "/s", None),
    ("µs/colyseus 500", "… its server CPU for a delivery", "µs", None),
    ("µs/colyseus 500 load", "… CPU of its load for a delivery", "µs", None),
    ("ratio 500", "… we to Colyseus", "times", _at_least(1.5)),
    ("µs/ratio 500", "… server CPU for a delivery, ours ÷ Colyseus's", "times", Budget(1)),
    ("µs/whole ratio 500", "… with the database's, ÷ Colyseus's", "times", Budget(1.5)),
    ("arena", "arena in real time, {arenas} rooms of 8: server CPU for a room", "ms/s", None),
    ("arena p50", "… from an input to the view that has it: p50", "ms", None),
    ("arena p99", "… p99", "ms", None),
    ("colyseus arena", "… Colyseus 0.17, state in a schema: server CPU for a room", "ms/s", None),
    ("colyseus arena p50", "… from an input to the state that has it: p50", "ms", None),
    ("colyseus arena p99", "… p99", "ms", None),
    ("p50", "reply after commit at half load: p50", "ms", Budget(3)),
    ("p99", "… p99", "ms", Budget(15)),
    ("worst", "… the worst", "ms", None),
    ("idle", "an idle connection's memory", "KB", Budget(8)),
    ("memory connection", "memory by the slope: an idle connection", "KB", Budget(8)),
    ("memory lobby", "… a lobby of one player", "KB", None),
    ("memory relay game", "… a game of the relay, followed by one", "KB", None),
    ("memory El Dorado game", "… a game of El Dorado, followed by four", "KB", None),
    ("memory watcher", "… a watcher of a game", "KB", None),
    ("memory peer", "… a signaling peer", "KB", None),
    ("flat", "… of the server, each minute of matches", "MiB/min", None),
    ("flat database", "… of its database", "MiB/min", None),
    ("resume", "resume of 400 events", "ms", Budget(20)),
    ("recovery", "cold recovery of {games} games of 200 events", "s", Budget(10)),
    ("ready", "second start, until ready", "s", None),
    ("first game", "… until the first game", "s", Budget(1.5)),
    ("signaling 100", "signaling, 100 pairs of peers: relays", "/s", None),
    ("µs/signaling 100", "… server CPU for a relay", "µs", None),
    ("µs/signaling 100 load", "… CPU of the load for a relay", "µs", None),
    ("peerjs 100", "… PeerJS server 1.0: relays", "/s", None),
    ("µs/peerjs 100", "… its server CPU for a relay", "µs", None),
    ("µs/peerjs 100 load", "… CPU of its load for a relay", "µs", None),
    ("signaling", "… we to the PeerJS server", "times", _at_least(2)),
    ("µs/signaling", "… server CPU for a relay, ours ÷ the PeerJS server's", "times", Budget(0.5)),
    ("epoch", "epoch change to {watchers} watchers: p99", "ms", Budget(250)),
    ("epoch p50", "… p50", "ms", None),
    ("epoch last", "… to the last watcher: p99", "ms", None),
    ("epoch sent", "… from sending the claim or vote: p99", "ms", None),
    ("epoch/s", "… deliveries", "/s", None),
    ("µs/epoch", "… server CPU for a delivery", "µs", None),
    ("save writes", "save writes of 4 KB over HTTP, each committed", "/s", _at_least(2500)),
    ("µs/save writes", "… server CPU for a write", "µs", None),
    ("direct save writes", "… the same by SQL alone, with role and claims", "/s", None),
    ("merge", "merge of two changed states of 1 MiB, CPU", "ms", Budget(20)),
    ("merged write", "… a write over HTTP that is merged", "ms", None),
    ("plain write", "… and one that need not be", "ms", None),
    ("telemetry", "telemetry in batches of 500, each committed: events", "/s", _at_least(60_000)),
    ("µs/telemetry", "… server CPU for an event", "µs", None),
    ("direct telemetry", "… the same by COPY alone", "/s", None),
    ("manifests", "manifests of content", "/s", _at_least(3000)),
    ("µs/manifests", "… server CPU for a manifest", "µs", None),
    (
        "feed",
        "{creations} creations, 200 people followed: pages of the feed",
        "/s",
        _at_least(1500),
    ),
    ("feed p99", "… p99", "ms", Budget(25)),
    ("µs/feed", "… server CPU for a page", "µs", None),
    ("database µs/feed", "… database CPU for a page", "µs", None),
    ("deep feed", "… from the 1,000th creation on", "/s", None),
    ("specified feed", "… the specification's query, by SQL alone", "/s", None),
    ("deep specified feed", "… the same with OFFSET 1000", "/s", None),
    ("public feed", "… pages of the public feed without a token", "/s", None),
    ("µs/public feed", "… server CPU for such a page", "µs", None),
    ("rare search", "… search for a rare word: p99", "ms", Budget(10)),
    ("common search", "… for the commonest words: p99", "ms", None),
    ("deep search", "… for these from the 1,000th creation on: p99", "ms", None),
    ("specified search", "… for a rare word as the specification has it: p50", "ms", None),
    ("likes", "… likes of one creation", "/s", _at_least(2000)),
    ("µs/likes", "… server CPU for a like", "µs", None),
    ("direct likes", "… the same by SQL alone, each committed by itself", "/s", None),
    ("inbox", "… an inbox of {inbox} notifications: p99 of a page", "ms", Budget(25)),
    ("µs/inbox", "… server CPU for a page", "µs", None),
    ("single reads", "Supabase client, one row by its key: reads", "/s", _at_least(3000)),
    ("µs/single reads", "… server CPU for a read", "µs", None),
    ("direct single reads", "… the same by SQL alone, with role and claims", "/s", None),
    ("embedded reads", "… a row with the rows that refer to it: reads", "/s", None),
    ("µs/embedded reads", "… server CPU for such a read", "µs", None),
    ("rest inserts", "… inserts, each committed", "/s", None),
    ("µs/rest inserts", "… server CPU for an insert", "µs", None),
    ("direct rest inserts", "… the same by SQL alone, with role and claims", "/s", None),
)


class BenchFigures:
    """All rows, by key, and the runs behind them."""

    def __init__(
        self,
        *,
        games: int,
        watchers: int = 10_000,
        creations: int = 1_000_000,
        inbox: int = 100_000,
        arenas: int = 40,
    ) -> None:
        counts = {
            "games": f"{games:,}",
            "watchers": f"{watchers:,}",
            "creations": f"{creations:,}",
            "inbox": f"{inbox:,}",
            "arenas": f"{arenas:,}",
        }
        self.by_key = {
            key: BenchFigure(key, what.format(**counts), unit, budget)
            for key, what, unit, budget in _ROWS
        }
        self.runs: list[RunResult] = []

    def record(self, run: RunResult, values: dict[str, float]) -> None:
        """Keep a run, and its values of some rows."""
        self.runs.append(run)
        for key, value in values.items():
            self.by_key[key].add(run, value)

    def compare(
        self,
        key: str,
        pairs: Sequence[tuple[RunResult, RunResult]],
        value: Callable[[RunResult], float] = lambda run: run.numbers["deliveries/s"],
    ) -> None:
        """Take the ratio of the medians of a value of runs that took turns: the rate, if none."""
        ours = [run for run, _ in pairs]
        theirs = [run for _, run in pairs]
        ratio = self.by_key[key]
        ratio.values = [median(map(value, ours)) / median(map(value, theirs))]
        ratio.ok = all(run.ok for pair in pairs for run in pair)
        ratio.disturbed = any(run.disturbed for pair in pairs for run in pair)


# ---------------------------------------------------------------------- showing them


BEGIN: Final = "<!-- figures: written by `python -m loadtest.bench --update-docs` -->"
END: Final = "<!-- end of figures -->"
_HEAD: Final = ("what", "budget", "measured: median (lowest to highest)", "reached")


def print_table(figures: BenchFigures, console: Console) -> None:
    """Print the table."""
    table = Table(*_HEAD[:1], title="benchmarks", title_justify="left")
    for name in _HEAD[1:]:
        table.add_column(name, justify="right")
    for cells in map(_cells, figures.by_key.values()):
        table.add_row(*(escape(cell.replace("*", "")) for cell in cells))
    console.print(table)


def print_run(run: RunResult, console: Console) -> None:
    """Print one run: what it gave, who was busy, and whether its checks held."""
    parts = [
        f"{name} {format_number(value)}" for name, value in run.numbers.items() if name in _SHOWN
    ]
    if (usage := run.usage) is not None:
        parts.append(
            f"server {usage.server:.0%}, database {usage.database:.0%}, load {usage.load:.0%}, "
            f"cores {usage.server_core:.0%} and {usage.rest_core:.0%}; "
            f"saturated: {usage.saturated}"
        )
    console.print(f"{run.what}: {'; '.join(parts)}; {_checked(run)}", soft_wrap=True)


def format_json(figures: BenchFigures, *, began_at: str) -> dict[str, object]:
    """Write all figures, and the runs behind them, as JSON has it."""
    return {
        "began_at": began_at,
        "machine": describe_machine(),
        "figures": [
            {
                **asdict(figure),
                "median": median(figure.values) if figure.values else None,
                "verdict": figure.verdict.replace("*", ""),
            }
            for figure in figures.by_key.values()
        ],
        "runs": [asdict(run) | {"ok": run.ok} for run in figures.runs],
    }


def describe_machine() -> str:
    """Name the machine."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    model = found[1] if found else platform.machine()
    cores, system = os.cpu_count(), f"{platform.system()} {platform.release()}"
    return f"{model}, {cores} cores, {system}, Python {platform.python_version()}"


def format_markdown(figures: BenchFigures, *, began_at: str) -> str:
    """Write the table as the documentation has it."""
    rows = [_HEAD, ("---", "---:", "---:", "---"), *map(_cells, figures.by_key.values())]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{began_at}, {describe_machine()}.\n\n{lines}"


def replace_between_markers(page: str, text: str, begin: str = BEGIN, end: str = END) -> str:
    """Replace what stands between two markers of a page."""
    before, found_begin, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        raise ValueError("the page has no place for the figures: its markers are missing")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


_SHOWN: Final = frozenset(
    {
        *("games/s", "moves/s", "deliveries/s", "reply p50 ms", "reply p99 ms"),
        "reply max ms",
        *("bytes each", "± bytes", "server MiB/min", "± server", "database MiB/min", "± database"),
        *("bytes per connection", "resume ms", "recovery s", "ready s", "first game s"),
        *("feed pages/s", "public feed pages/s", "searches/s", "likes/s", "inbox pages/s"),
        *("save writes/s", "telemetry events/s", "manifests/s"),
        *("merge ms", "merged write ms", "plain write ms"),
        *("commit to watcher p50 ms", "commit to watcher p99 ms", "commit to last watcher p99 ms"),
    }
)


def _cells(figure: BenchFigure) -> tuple[str, str, str, str]:
    said = [*filter(None, [figure.verdict]), *(["disturbed"] if figure.disturbed else [])]
    measured = _measured(figure.values, figure.unit)
    return figure.what, _bound(figure), measured, ", ".join(said)


def _bound(figure: BenchFigure) -> str:
    if figure.budget is None:
        return ""
    return f"{_sign(figure.budget)} {format_number(figure.budget.limit)} {figure.unit}"


def _sign(budget: Budget) -> str:
    return "≥" if budget.at_least else "<"


def _measured(values: Iterable[float], unit: str) -> str:
    ordered = sorted(values)
    if not ordered:
        return ""
    low, middle, high = map(format_number, (ordered[0], median(ordered), ordered[-1]))
    return f"{middle} {unit}" if low == high else f"{middle} {unit} ({low} to {high})"


def _checked(run: RunResult) -> str:
    if run.ok:
        return f"{sum(each.passed for each in run.checks.by_name.values()):,} checks held"
    examples = [f"{n}: {e}" for n, each in run.checks.by_name.items() for e in each.examples[:2]]
    return f"CHECKS FAILED, this does not count: {'; '.join(examples) or 'nothing was checked'}"
