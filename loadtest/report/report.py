"""A run as rows and series: what every way of showing it shows."""

from dataclasses import dataclass, field
from typing import Final

from loadtest.measure.checks import Checks
from loadtest.measure.histogram import Histogram
from loadtest.measure.meter import Measured, Sample

QUANTILES: Final = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
_RATES: Final = ("games", "moves", "deliveries", "commands")
_MIB: Final = 1024 * 1024


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
    samples: list[Sample] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether checks were made, and all of them held."""
        return bool(self.checks.by_name) and self.checks.failed == 0


def report_of(
    scenario: str, measured: Measured, *, began_at: str, settings: dict[str, object]
) -> Report:
    """Draw up the report of a run."""
    return Report(
        scenario=scenario,
        began_at=began_at,
        settings=settings,
        rows=_rates(measured) | _latencies(measured) | _totals(measured) | _server(measured),
        checks=measured.checks,
        refusals=dict(measured.total.refusals),
        latency=measured.window.tally.latency,
        samples=measured.samples,
    )


def as_json(report: Report) -> dict[str, object]:
    """Write a report as JSON has it."""
    return {
        "scenario": report.scenario,
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


def _rates(measured: Measured) -> dict[str, float]:
    window = measured.window
    rates = {f"{name}/s": window.per_s(name) for name in _RATES if window.tally.counts[name]}
    return {"window s": window.seconds} | rates


def _latencies(measured: Measured) -> dict[str, float]:
    latency = measured.window.tally.latency
    if not latency.count:
        return {}
    rows = {f"reply {name} ms": latency.quantile_s(q) * 1000 for name, q in QUANTILES}
    return rows | {"reply max ms": latency.max_s * 1000}


def _totals(measured: Measured) -> dict[str, float]:
    counts = measured.total.counts
    totals = {f"{name} in all": float(count) for name, count in counts.items() if count}
    return totals | measured.numbers | {"clients: processor %": measured.busy * 100}


def _server(measured: Measured) -> dict[str, float]:
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
