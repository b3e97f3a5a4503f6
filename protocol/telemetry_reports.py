"""HTTP bodies of the reports about telemetry."""

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field, StringConstraints

from protocol.envelope import WireModel

REPORT_DAYS_MAX: Final = 92

ReportName = Literal["funnel", "stops", "pacing", "choices"]
Day = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class ReportQuery(WireModel):
    """Which days, and of what."""

    first: Day | None = Field(default=None, description="The first day, UTC; 30 days by default.")
    last: Day | None = Field(default=None, description="The last day, UTC; by default today.")
    quest: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        default=None, description="`funnel` and `stops`: only this quest."
    )
    idle_days: Annotated[int, Field(ge=1, le=90)] = Field(
        default=7, description="`stops`: players who sent nothing for so many days have stopped."
    )
    format: Literal["json", "csv", "svg"] = "json"


class TelemetryReport(WireModel):
    """A table; the guide says what its columns mean."""

    COLUMNS: ClassVar[dict[ReportName, tuple[str, ...]]] = {
        "funnel": ("quest", "step", "order", "players", "share", "lost"),
        "stops": ("quest", "step", "players", "share"),
        "pacing": ("chapter", "order", "players", "p10_s", "median_s", "p90_s", "mean_s"),
        "choices": ("choice", "option", "tone", "players", "share"),
    }

    report: ReportName
    first: str
    last: str
    columns: list[str]
    rows: list[list[str | int | float | None]]
