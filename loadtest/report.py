"""A run as rows and series, which every way of showing it shows, and as tables in the terminal.

It says first whether the checks held: a figure without them does not count.
"""

from dataclasses import dataclass, field
from typing import Final

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from loadtest.measure import Checks, Histogram, Measurements, TotalsSample

QUANTILES: Final = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
_RATES: Final = (
    "games",
    "moves",
    "deliveries",
    "commands",
    "save writes",
    "telemetry events",
    "manifests",
)
_MIB: Final = 1024 * 1024
# Settings that say how much is simulated, in the order in which a title has them.
_COUNTED: Final = {
    "players": "players per game",
    "concurrency": "games at once",
    "rooms": "games at once",
    "pairs": "pairs at once",
    "connections": "connections",
    "people": "people",
    "watchers": "watchers",
}


@dataclass(frozen=True, slots=True)
class Report:
    """One load test."""

    scenario: str
    began_at: str
    settings: dict[str, object]
    rows: dict[str, float]
    checks: Checks
    refusals: dict[str, int]
    latency: Histogram
    samples: list[TotalsSample] = field(default_factory=list)

    @property
    def title(self) -> str:
        """What was simulated: the scenario, the ruleset, how many players, how many at once."""
        known = {name: self.settings.get(name) for name in ("ruleset", *_COUNTED)}
        ruleset = known.pop("ruleset")
        parts = [str(ruleset)] if ruleset is not None else []
        parts += [
            f"{value:,} {_COUNTED[name]}" for name, value in known.items() if isinstance(value, int)
        ]
        return f"{self.scenario}: {', '.join(parts)}" if parts else self.scenario

    @property
    def ok(self) -> bool:
        """Whether checks were made, and all of them held."""
        return bool(self.checks.by_name) and self.checks.failed == 0


def make_report(
    scenario: str, measured: Measurements, *, began_at: str, settings: dict[str, object]
) -> Report:
    """Draw up the report of a run."""
    return Report(
        scenario=scenario,
        began_at=began_at,
        settings=settings,
        rows=_rate_rows(measured)
        | _latency_rows(measured)
        | _total_rows(measured)
        | _server_rows(measured),
        checks=measured.checks,
        refusals=dict(measured.total.refusals),
        latency=measured.window.counters.latency,
        samples=measured.samples,
    )


def format_json(report: Report) -> dict[str, object]:
    """Write a report as JSON has it."""
    return {
        "scenario": report.scenario,
        "title": report.title,
        "began_at": report.began_at,
        "ok": report.ok,
        "settings": report.settings,
        "results": report.rows,
        "refusals": report.refusals,
        "checks": {
            name: {"passed": each.passed, "failed": each.failed, "examples": each.examples}
            for name, each in report.checks.by_name.items()
        },
        "latency_ms": [[bound_s * 1000, count] for bound_s, count in report.latency.octaves()],
        "samples": [sample._asdict() for sample in report.samples],
    }


def _rate_rows(measured: Measurements) -> dict[str, float]:
    window = measured.window
    rates = {f"{name}/s": window.per_s(name) for name in _RATES if window.counters.counts[name]}
    return {"window s": window.seconds} | rates


def _latency_rows(measured: Measurements) -> dict[str, float]:
    latency = measured.window.counters.latency
    if not latency.count:
        return {}
    rows = {f"reply {name} ms": latency.quantile_s(q) * 1000 for name, q in QUANTILES}
    return rows | {"reply max ms": latency.max_s * 1000}


def _total_rows(measured: Measurements) -> dict[str, float]:
    counts = measured.total.counts
    totals = {f"{name} in all": float(count) for name, count in counts.items() if count}
    return totals | measured.numbers | {"clients: processor %": measured.busy * 100}


def _server_rows(measured: Measurements) -> dict[str, float]:
    if measured.server is None:
        return {}
    before, after = measured.server
    rows = {
        "server: memory before MiB": before.memory_bytes / _MIB,
        "server: memory after MiB": after.memory_bytes / _MIB,
    }
    if after.cpu_s < before.cpu_s:
        return rows  # it was started again meanwhile, and counts from 0
    seconds = after.at_s - before.at_s
    return {
        "server: events committed/s": (after.events - before.events) / seconds,
        "server: processor %": (after.cpu_s - before.cpu_s) / seconds * 100,
        **rows,
    }


# ---------------------------------------------------------------------- in the terminal


def print_report(report: Report, console: Console) -> None:
    """Print a report; what went wrong stands last and in red."""
    heading = Text(f"{report.title}, {report.began_at}", style="table.title")
    console.print(Group(heading, _results_table(report), _checks_table(report)))
    if not report.ok:
        console.print(_failures_panel(report))


def format_number(value: float) -> str:
    """Write a number with as many digits as one reads."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:,.2f}"


def _results_table(report: Report) -> Table:
    table = Table()
    table.add_column("measured")
    table.add_column("", justify="right")
    for name, value in report.rows.items():
        table.add_row(name, format_number(value))
    for code, count in sorted(report.refusals.items()):
        table.add_row(f"refused: {code}", format_number(count))
    return table


def _checks_table(report: Report) -> Table:
    table = Table(title="checked", title_justify="left")
    table.add_column("promise")
    table.add_column("held", justify="right")
    table.add_column("broken", justify="right")
    for name, checked in report.checks.by_name.items():
        broken = Text(
            format_number(checked.failed), style="bold red" if checked.failed else "green"
        )
        table.add_row(name, format_number(checked.passed), broken)
    return table


def _failures_panel(report: Report) -> Panel:
    lines = [
        f"{name}: {example}"
        for name, checked in report.checks.by_name.items()
        for example in checked.examples
    ]
    why = "\n".join(lines) or "Nothing was checked, so the figures show nothing."
    return Panel(Text(why), title="CHECKS FAILED: these figures do not count", style="bold red")
