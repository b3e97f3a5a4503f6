"""A report as a page of HTML that needs nothing else, with plots as SVG."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

from loadtest.measure import Histogram, Sample
from loadtest.report import Report, number

WIDTH: Final = 720
HEIGHT: Final = 240
_LEFT: Final = 64
_BOTTOM: Final = 36
_TOP: Final = 12
_RIGHT: Final = 12


@dataclass(frozen=True, slots=True)
class Axis:
    """A plot's labels: what is along the bottom, what is upward."""

    across: str
    upward: str


def bar_plot(values: Sequence[tuple[str, float]], axis: Axis) -> str:
    """Draw labelled bars; at most a dozen of the labels are written."""
    if not values:
        return _frame("", axis, top=0.0)
    top = max(value for _, value in values) or 1.0
    width = _inner_width() / len(values)
    drawn = [
        f'<rect x="{_LEFT + place * width:.1f}" y="{_y(value, top):.1f}" '
        f'width="{max(width - 1, 0.5):.1f}" height="{_bottom() - _y(value, top):.1f}" class="bar">'
        f"<title>{escape(label)}: {value:g}</title></rect>"
        for place, (label, value) in enumerate(values)
    ]
    every = -(-len(values) // 12)
    labels = [
        _label(_LEFT + (place + 0.5) * width, label)
        for place, (label, _) in enumerate(values)
        if place % every == 0
    ]
    return _frame("".join(drawn + labels), axis, top=top)


def line_plot(points: Sequence[tuple[float, float]], axis: Axis) -> str:
    """Draw a line through points whose first numbers grow."""
    if len(points) < 2:
        return _frame("", axis, top=0.0)
    top = max(y for _, y in points) or 1.0
    first, last = points[0][0], points[-1][0]
    scale = _inner_width() / ((last - first) or 1.0)
    path = " ".join(f"{_LEFT + (x - first) * scale:.1f},{_y(y, top):.1f}" for x, y in points)
    ends = _label(_LEFT, f"{first:.0f}") + _label(WIDTH - _RIGHT - 8, f"{last:.0f}")
    return _frame(f'<polyline points="{path}" class="line"/>{ends}', axis, top=top)


def _frame(inner: str, axis: Axis, *, top: float) -> str:
    bottom = _bottom()
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(axis.upward)} by {escape(axis.across)}">'
        f'<line x1="{_LEFT}" y1="{bottom}" x2="{WIDTH - _RIGHT}" y2="{bottom}" class="axis"/>'
        f'<line x1="{_LEFT}" y1="{_TOP}" x2="{_LEFT}" y2="{bottom}" class="axis"/>'
        f'<text x="{_LEFT - 6}" y="{_TOP + 8}" class="end">{top:,.4g}</text>'
        f'<text x="{_LEFT - 6}" y="{bottom}" class="end">0</text>'
        f'<text x="{WIDTH // 2}" y="{HEIGHT - 4}" class="mid">{escape(axis.across)}</text>'
        f'<text x="{_LEFT + 6}" y="{_TOP + 8}">{escape(axis.upward)}</text>'
        f"{inner}</svg>"
    )


def _label(x: float, text: str) -> str:
    return f'<text x="{x:.1f}" y="{_bottom() + 14}" class="mid">{escape(text)}</text>'


def _inner_width() -> float:
    return WIDTH - _LEFT - _RIGHT


def _bottom() -> int:
    return HEIGHT - _BOTTOM


def _y(value: float, top: float) -> float:
    return _bottom() - value / top * (_bottom() - _TOP)


# ---------------------------------------------------------------------- the page


_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1b1f; --soft: #767680; --mark: #3366cc;
  --bad: #b3261e; --good: #1e7d34; --paper: #fff }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6ea; --soft: #9a9aa4;
  --mark: #8ab4f8; --bad: #f2b8b5; --good: #7bd88f; --paper: #17171a } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 760px; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem }
td, th { text-align: left; padding: .2rem .5rem; border-bottom: 1px solid #8884 }
td + td { text-align: right; font-variant-numeric: tabular-nums }
.bad { color: var(--bad); font-weight: 600 } .good { color: var(--good) }
svg { width: 100%; height: auto } svg text { font-size: 11px; fill: var(--soft) }
.axis { stroke: var(--soft) } .bar { fill: var(--mark) }
.line { fill: none; stroke: var(--mark); stroke-width: 2 }
.mid { text-anchor: middle } .end { text-anchor: end }
"""


def page(report: Report) -> str:
    """Write the page."""
    return "\n".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>Playhall load test: {escape(report.scenario)}</title>",
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>Load test: {escape(report.scenario)}</h1>",
            f"<p>{escape(report.began_at)}. {_verdict(report)}</p>",
            _table(("measured", ""), ((n, number(v)) for n, v in report.rows.items())),
            "<h2>Checked</h2>",
            _checks(report),
            "<h2>Reply latency</h2>",
            _latency(report.latency),
            *_throughput(report.samples),
            "<h2>Refused</h2>" if report.refusals else "",
            _table(("code", ""), ((c, number(n)) for c, n in sorted(report.refusals.items()))),
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
        broken = f", {number(checked.failed)} broken" if checked.failed else ""
        rows.append((name, f"{number(checked.passed)} held{broken}"))
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


def _throughput(samples: list[Sample]) -> Iterable[str]:
    for name in ("games", "moves", "deliveries"):
        rates = _per_second(samples, name)
        if any(rate for _, rate in rates):
            yield f"<h2>{name.capitalize()} per second</h2>"
            yield line_plot(rates, Axis("seconds", f"{name}/s"))


def _per_second(samples: list[Sample], name: str) -> list[tuple[float, float]]:
    return [
        (after.at_s, (getattr(after, name) - getattr(before, name)) / (after.at_s - before.at_s))
        for before, after in pairwise(samples)
        if after.at_s > before.at_s
    ]
