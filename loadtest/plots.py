"""Plots as SVG, drawn without a library: bars and lines, with an axis on the left."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

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


# What the classes in a plot look like; `color-scheme` follows the reader's.
STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1b1f; --soft: #767680; --mark: #3366cc;
  --bad: #b3261e; --good: #1e7d34; --paper: #fff }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6ea; --soft: #9a9aa4;
  --mark: #8ab4f8; --bad: #f2b8b5; --good: #7bd88f; --paper: #17171a } }
svg text { font: 11px system-ui, sans-serif; fill: var(--soft) }
.axis { stroke: var(--soft) } .bar { fill: var(--mark) }
.line { fill: none; stroke: var(--mark); stroke-width: 2 }
.mid { text-anchor: middle } .end { text-anchor: end }
"""


def standalone_svg(plot: str) -> str:
    """Make a file of its own of a plot."""
    start, rest = plot.split(">", 1)
    return f'{start} xmlns="http://www.w3.org/2000/svg"><style>{STYLE}</style>{rest}'
