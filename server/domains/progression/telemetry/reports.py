"""Reports for authors: where players stop, how long chapters take, what they choose."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, NamedTuple

from loadtest.plots import Axis, bar_plot, standalone_svg
from persistence.telemetry.reports import Cell, IdRange, ReportStore
from protocol.errors import InvalidField
from protocol.telemetry_reports import (
    REPORT_DAYS_MAX,
    ReportName,
    ReportQuery,
    TelemetryReport,
)
from server.core.clock import Clock
from server.domains.progression.telemetry.rules import smallest_id_at

DAYS_BY_DEFAULT: Final = 30
BARS_MAX: Final = 100

# What XML cannot contain.
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f\ufffe\uffff]")


class _Plot(NamedTuple):
    """Which columns a plot shows: those that name a bar, and its height."""

    labels: tuple[str, ...]
    value: str
    axis: Axis


PLOTS: Final[Mapping[ReportName, _Plot]] = {
    "funnel": _Plot(("quest", "step"), "players", Axis("step", "players")),
    "stops": _Plot(("quest", "step"), "players", Axis("last step", "players who stopped")),
    "pacing": _Plot(("chapter",), "median_s", Axis("chapter", "seconds, median")),
    "choices": _Plot(("choice", "option"), "share", Axis("option", "share of the choice")),
}


class ReportBuilder:
    """Makes reports."""

    def __init__(self, store: ReportStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def build_report(self, name: ReportName, asked: ReportQuery) -> TelemetryReport:
        """Make a report; raise `InvalidField` for days that are none."""
        last = self._day(asked.last, "last", self._clock.now().date())
        first = self._day(asked.first, "first", last - timedelta(days=DAYS_BY_DEFAULT - 1))
        if not 0 <= (last - first).days < REPORT_DAYS_MAX:
            raise InvalidField(
                f"first: send a day before last, and less than {REPORT_DAYS_MAX} days.",
                field="first",
            )
        ids = IdRange(_id_of(first), _id_of(last + timedelta(days=1)))
        return TelemetryReport(
            report=name,
            first=first.isoformat(),
            last=last.isoformat(),
            columns=list(TelemetryReport.COLUMNS[name]),
            rows=await self._rows(name, ids, asked, last),
        )

    async def _rows(
        self, name: ReportName, ids: IdRange, asked: ReportQuery, last: date
    ) -> list[list[Cell]]:
        if name == "funnel":
            return await self._store.read_funnel(ids, asked.quest)
        if name == "stops":
            idle_id = _id_of(last + timedelta(days=1 - asked.idle_days))
            return await self._store.read_stops(ids, asked.quest, idle_id)
        if name == "pacing":
            return await self._store.read_pacing(ids)
        return await self._store.read_choices(ids)

    @staticmethod
    def _day(text: str | None, field: str, default: date) -> date:
        if text is None:
            return default
        try:
            day = date.fromisoformat(text)
            _id_of(day - timedelta(days=366))
            _id_of(day + timedelta(days=366))
        except (ValueError, OverflowError):
            raise InvalidField(f"{field}: send a day as 2026-11-29.", field=field) from None
        return day


def as_csv(report: TelemetryReport) -> str:
    """Write a report as CSV (RFC 4180); text that spreadsheets would run gets an apostrophe."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(report.columns)
    writer.writerows([_for_spreadsheets(cell) for cell in row] for row in report.rows)
    return file.getvalue()


def as_svg(report: TelemetryReport) -> str:
    """Draw a report's first rows as bars."""
    plot = PLOTS[report.report]
    values = [_bar(report.columns, row, plot) for row in report.rows[:BARS_MAX]]
    return standalone_svg(bar_plot(values, plot.axis))


def _bar(columns: Sequence[str], row: Sequence[Cell], plot: _Plot) -> tuple[str, float]:
    by_name = dict(zip(columns, row, strict=True))
    label = ": ".join(str(by_name[name]) for name in plot.labels)
    value = by_name[plot.value]
    return _CONTROLS.sub("", label), float(value) if isinstance(value, int | float) else 0.0


def _for_spreadsheets(cell: Cell) -> Cell:
    is_formula = isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r")
    return f"'{cell}" if is_formula else cell


def _id_of(day: date) -> str:
    ms = int(datetime.combine(day, time(), UTC).timestamp() * 1000)
    if ms < 0:
        raise ValueError(day)
    return smallest_id_at(ms)
