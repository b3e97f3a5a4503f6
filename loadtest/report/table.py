"""A report in the terminal."""

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from loadtest.report.report import Report


def show(report: Report, console: Console) -> None:
    """Print a report; what went wrong stands last and in red."""
    console.print(Group(_results(report), _checks(report)))
    if not report.ok:
        console.print(_failures(report))


def number(value: float) -> str:
    """Write a number with as many digits as one reads."""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:,.2f}"


def _results(report: Report) -> Table:
    table = Table(title=f"{report.scenario}, {report.began_at}", title_justify="left")
    table.add_column("measured")
    table.add_column("", justify="right")
    for name, value in report.rows.items():
        table.add_row(name, number(value))
    for code, count in sorted(report.refusals.items()):
        table.add_row(f"refused: {code}", number(count))
    return table


def _checks(report: Report) -> Table:
    table = Table(title="checked", title_justify="left")
    table.add_column("promise")
    table.add_column("held", justify="right")
    table.add_column("broken", justify="right")
    for name, checked in report.checks.by_name.items():
        broken = Text(number(checked.failed), style="bold red" if checked.failed else "green")
        table.add_row(name, number(checked.passed), broken)
    return table


def _failures(report: Report) -> Panel:
    lines = [
        f"{name}: {example}"
        for name, checked in report.checks.by_name.items()
        for example in checked.examples
    ]
    why = "\n".join(lines) or "Nothing was checked, so nothing was shown."
    return Panel(Text(why), title="THE CHECKS FAILED: these figures do not count", style="bold red")
