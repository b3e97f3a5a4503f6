"""The figures in the terminal, as JSON, and as a table in the documentation."""

import os
import platform
import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from loadtest.benching.figures import Budget, Figure, Figures, Run
from loadtest.report.table import number

BEGIN: Final = "<!-- figures: written by `python -m loadtest.bench --update-docs` -->"
END: Final = "<!-- end of figures -->"
_HEAD: Final = ("what", "budget", "measured: median (lowest to highest)", "reached")


def show(figures: Figures, console: Console) -> None:
    """Print the table."""
    table = Table(*_HEAD[:1], title="benchmarks", title_justify="left")
    for name in _HEAD[1:]:
        table.add_column(name, justify="right")
    for cells in map(_cells, figures.by_key.values()):
        table.add_row(*(escape(cell.replace("*", "")) for cell in cells))
    console.print(table)


def show_run(run: Run, console: Console) -> None:
    """Print one run: what it gave, who was busy, and whether its checks held."""
    parts = [f"{name} {number(value)}" for name, value in run.numbers.items() if name in _SHOWN]
    if (usage := run.usage) is not None:
        parts.append(
            f"server {usage.server:.0%}, database {usage.database:.0%}, load {usage.load:.0%}, "
            f"cores {usage.server_core:.0%} and {usage.rest_core:.0%}; saturated: {usage.saturated}"
        )
    console.print(f"{run.what}: {'; '.join(parts)}; {_checked(run)}", soft_wrap=True)


def as_json(figures: Figures, *, began_at: str) -> dict[str, object]:
    """Write all figures, and the runs behind them, as JSON has it."""
    return {
        "began_at": began_at,
        "machine": machine(),
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


def machine() -> str:
    """Name the machine."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    model = found[1] if found else platform.machine()
    cores, system = os.cpu_count(), f"{platform.system()} {platform.release()}"
    return f"{model}, {cores} cores, {system}, Python {platform.python_version()}"


def markdown(figures: Figures, *, began_at: str) -> str:
    """Write the table as the documentation has it."""
    rows = [_HEAD, ("---", "---:", "---:", "---"), *map(_cells, figures.by_key.values())]
    lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return f"{began_at}, {machine()}.\n\n{lines}"


def between_markers(page: str, text: str) -> str:
    """Replace what stands between the markers of a page."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError("the page has no place for the figures: its markers are missing")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


_SHOWN: Final = frozenset(
    {
        *("games/s", "moves/s", "deliveries/s", "reply p50 ms", "reply p99 ms"),
        *("bytes per connection", "resume ms", "recovery s", "ready s", "first game s"),
        *("commit to watcher p50 ms", "commit to watcher p99 ms", "commit to last watcher p99 ms"),
    }
)


def _cells(figure: Figure) -> tuple[str, str, str, str]:
    said = [*filter(None, [figure.verdict]), *(["disturbed"] if figure.disturbed else [])]
    measured = _measured(figure.values, figure.unit)
    return figure.what, _bound(figure), measured, ", ".join(said)


def _bound(figure: Figure) -> str:
    if figure.budget is None:
        return ""
    return f"{_sign(figure.budget)} {number(figure.budget.limit)} {figure.unit}"


def _sign(budget: Budget) -> str:
    return "≥" if budget.at_least else "<"


def _measured(values: Iterable[float], unit: str) -> str:
    ordered = sorted(values)
    if not ordered:
        return ""
    low, middle, high = map(number, (ordered[0], median(ordered), ordered[-1]))
    return f"{middle} {unit}" if low == high else f"{middle} {unit} ({low} to {high})"


def _checked(run: Run) -> str:
    if run.ok:
        return f"{sum(each.passed for each in run.checks.by_name.values()):,} checks held"
    examples = [f"{n}: {e}" for n, each in run.checks.by_name.items() for e in each.examples[:2]]
    return f"CHECKS FAILED, this does not count: {'; '.join(examples) or 'nothing was checked'}"
