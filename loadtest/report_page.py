"""A report as a page of HTML that needs nothing else, with plots as SVG."""

from collections.abc import Iterable
from html import escape
from itertools import pairwise
from typing import Final

from loadtest.measure import Histogram, TotalsSample
from loadtest.plots import STYLE, Axis, bar_plot, line_plot
from loadtest.report import Report, format_number

_STYLE: Final = f"""{STYLE}
body {{ font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 760px; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100%; margin: 1rem 0 2rem }}
td, th {{ text-align: left; padding: .2rem .5rem; border-bottom: 1px solid #8884 }}
td + td {{ text-align: right; font-variant-numeric: tabular-nums }}
.bad {{ color: var(--bad); font-weight: 600 }} .good {{ color: var(--good) }}
svg {{ width: 100%; height: auto }}
"""


def render_page(report: Report) -> str:
    """Write the page."""
    return "\n".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>Playhall load test: {escape(report.title)}</title>",
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>Load test: {escape(report.title)}</h1>",
            f"<p>{escape(report.began_at)}. {_verdict(report)}</p>",
            _table(("measured", ""), ((n, format_number(v)) for n, v in report.rows.items())),
            "<h2>Checked</h2>",
            _checks(report),
            "<h2>Reply latency</h2>",
            _latency(report.latency),
            *_throughput(report.samples),
            "<h2>Refused</h2>" if report.refusals else "",
            _table(
                ("code", ""), ((c, format_number(n)) for c, n in sorted(report.refusals.items()))
            ),
            "<h2>Settings</h2>",
            _table(("setting", ""), ((name, str(v)) for name, v in report.settings.items())),
            "</body></html>",
        )
    )


def _verdict(report: Report) -> str:
    if report.ok:
        return '<span class="good">All checks passed.</span>'
    return '<span class="bad">Checks failed: these figures do not count.</span>'


def _checks(report: Report) -> str:
    rows = []
    for name, checked in report.checks.by_name.items():
        broken = f", {format_number(checked.failed)} broken" if checked.failed else ""
        rows.append((name, f"{format_number(checked.passed)} held{broken}"))
    faults = [fault for checked in report.checks.by_name.values() for fault in checked.examples]
    listed = "".join(f'<li class="bad">{escape(fault)}</li>' for fault in faults)
    return _table(("promise", ""), rows) + (f"<ul>{listed}</ul>" if faults else "")


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    lines = [f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in rows]
    if not lines:
        return ""
    return f"<table><tr><th>{head[0]}</th><th>{head[1]}</th></tr>{''.join(lines)}</table>"


def _latency(latency: Histogram) -> str:
    values = [(f"{bound_s * 1000:.3g}", float(count)) for bound_s, count in latency.octaves()]
    return bar_plot(values, Axis("milliseconds (upper bound; each step 1/4 octave)", "replies"))


def _throughput(samples: list[TotalsSample]) -> Iterable[str]:
    for name in ("games", "moves", "deliveries"):
        rates = _per_second(samples, name)
        if any(rate for _, rate in rates):
            yield f"<h2>{name.capitalize()} per second</h2>"
            yield line_plot(rates, Axis("seconds", f"{name}/s"))


def _per_second(samples: list[TotalsSample], name: str) -> list[tuple[float, float]]:
    return [
        (after.at_s, (getattr(after, name) - getattr(before, name)) / (after.at_s - before.at_s))
        for before, after in pairwise(samples)
        if after.at_s > before.at_s
    ]
