"""`playhall telemetry report`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import Annotated, Any

import orjson
import typer

from persistence.database import Database
from persistence.telemetry.reports import ReportStore
from protocol.codec import validate
from protocol.telemetry_reports import ReportQuery
from server.config import Config
from server.core.clock import Clock
from server.domains.progression.telemetry.reports import ReportBuilder, as_csv, as_svg
from server.ops.shell import DataDir, Shell


class Report(StrEnum):
    """The reports there are."""

    FUNNEL = "funnel"
    STOPS = "stops"
    PACING = "pacing"
    CHOICES = "choices"


class Format(StrEnum):
    """How a report is written."""

    CSV = "csv"
    JSON = "json"
    SVG = "svg"


def add_telemetry_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the commands about telemetry to a command line."""

    def report(
        name: Annotated[Report, typer.Argument(help="Which report.")],
        first: Annotated[
            str | None, typer.Option(help="The first day, such as 2026-11-01.")
        ] = None,
        last: Annotated[str | None, typer.Option(help="The last day; by default today.")] = None,
        quest: Annotated[str | None, typer.Option(help="Only this quest.")] = None,
        idle_days: Annotated[int, typer.Option(help="When a silent player has stopped.")] = 7,
        format_: Annotated[Format, typer.Option("--format", help="How to write it.")] = Format.CSV,
        data_dir: DataDir = None,
    ) -> None:
        """Print a report about what games have reported."""
        with shell.said_plainly():
            asked: dict[str, Any] = {
                "first": first,
                "last": last,
                "quest": quest,
                "idle_days": idle_days,
                "format": format_.value,
            }
            query = validate(ReportQuery, asked)
            config = shell.read_config(data_dir=data_dir)
            made = shell.run_in_context(
                config,
                context=_opened,
                work=lambda reports: reports.build_report(name.value, query),
            )
            if format_ is Format.JSON:
                typer.echo(orjson.dumps(made.model_dump(), option=orjson.OPT_INDENT_2))
            else:
                typer.echo(as_svg(made) if format_ is Format.SVG else as_csv(made), nl=False)

    telemetry = typer.Typer(no_args_is_help=True, help="Read what games have reported.")
    telemetry.callback()(lambda: None)
    telemetry.command()(report)
    app.add_typer(telemetry, name="telemetry")


@asynccontextmanager
async def _opened(_: Config, dsn: str) -> AsyncIterator[ReportBuilder]:
    async with await Database.open(dsn) as database:
        yield ReportBuilder(ReportStore(database), Clock())
