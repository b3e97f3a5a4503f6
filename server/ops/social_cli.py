"""`playhall social verify`, `jobs` and `fanouts`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, NamedTuple
from uuid import UUID

import typer
from rich.console import Console

from persistence.database import Database
from persistence.maintenance.store import MaintenanceStore
from persistence.notifications.fanout import FanoutStore
from persistence.social.verification import SocialVerification
from server.config import Config
from server.ops.shell import DataDir, Shell


def add_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the commands about the social platform to a command line."""
    social = typer.Typer(no_args_is_help=True, help="Check the social platform.")
    commands = _Commands(shell)
    for command in (commands.verify, commands.jobs, commands.fanouts):
        social.command()(command)
    app.add_typer(social, name="social")


LISTED_MAX = 1000


class _Opened(NamedTuple):
    """What the commands work with."""

    verification: SocialVerification
    maintenance: MaintenanceStore
    fanouts: FanoutStore


class _Commands:
    """The commands; each ends with status 1 where something is not as it must be."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)

    def verify(
        self,
        repair: Annotated[bool, typer.Option("--repair", help="Correct what differs.")] = False,
        data_dir: DataDir = None,
    ) -> None:
        """Count likes, comments, follows and the like again, and report what differs."""
        config = self._shell.read_config(data_dir=data_dir)
        with self._shell.said_plainly():
            holds = self._shell.run_in_context(
                config,
                context=_context,
                work=lambda opened: self._verify(opened.verification, repair=repair),
            )
        if not holds:
            raise typer.Exit(1)

    async def _verify(self, verification: SocialVerification, *, repair: bool) -> bool:
        rows = differences = 0
        async for checked in verification.check_counters(repair=repair):
            rows += checked.rows
            differences += len(checked.differences)
            for each in checked.differences:
                self._out.print(
                    f"{each.table} {each.id}: {each.counter} is {each.stored}, "
                    f"should be {each.counted}"
                )
        done = ", which were repaired" if repair and differences else ""
        self._out.print(f"{rows} rows checked, {differences} counters differ{done}.")
        return repair or not differences

    def jobs(
        self,
        run: Annotated[
            str | None,
            typer.Option("--run", metavar="JOB", help="Have a job done within a minute."),
        ] = None,
        data_dir: DataDir = None,
    ) -> None:
        """List the jobs of maintenance, when they are due, and how they went last."""
        config = self._shell.read_config(data_dir=data_dir)
        with self._shell.said_plainly():
            is_well = self._shell.run_in_context(
                config, context=_context, work=lambda opened: self._jobs(opened.maintenance, run)
            )
        if not is_well:
            raise typer.Exit(1)

    async def _jobs(self, maintenance: MaintenanceStore, run: str | None) -> bool:
        if run is not None and not await maintenance.request_job(run):
            self._out.print(f"There is no job {run}.")
            return False
        runs = await maintenance.list_jobs()
        for each in runs:
            last = "has not ended yet"
            if each.ended_at is not None:
                last = (
                    f"ended at {each.ended_at:%Y-%m-%d %H:%M:%S} after {each.duration_s:.1f} s, "
                    f"rows: {each.row_count}"
                )
            failed = "" if each.last_error is None else f"; failed: {each.last_error}"
            self._out.print(f"{each.job} is due at {each.due_at:%Y-%m-%d %H:%M:%S}; {last}{failed}")
        if not runs:
            self._out.print("No server has run on this database yet.")
        return all(each.last_error is None for each in runs)

    def fanouts(
        self,
        retry: Annotated[
            UUID | None, typer.Option("--retry", metavar="ID", help="Have one tried again.")
        ] = None,
        retry_all: Annotated[
            bool, typer.Option("--retry-all", help="Have all of them tried again.")
        ] = False,
        data_dir: DataDir = None,
    ) -> None:
        """List the creations and announcements whose notifications were given up, or retry them."""
        config = self._shell.read_config(data_dir=data_dir)
        with self._shell.said_plainly():
            is_well = self._shell.run_in_context(
                config,
                context=_context,
                work=lambda opened: self._fanouts(opened.fanouts, retry, retry_all=retry_all),
            )
        if not is_well:
            raise typer.Exit(1)

    async def _fanouts(self, fanouts: FanoutStore, retry: UUID | None, *, retry_all: bool) -> bool:
        if retry is not None or retry_all:
            count = await fanouts.retry_parked(None if retry is None else str(retry))
            self._out.print(f"{count} will be tried again.")
            return count > 0 or retry_all
        parked = await fanouts.list_parked(limit=LISTED_MAX)
        for each in parked:
            about = f"creation {each.creation_id}"
            if each.announcement_id is not None:
                about = f"announcement {each.announcement_id}"
            self._out.print(
                f"{each.id}: {about}, given up at {each.parked_at:%Y-%m-%d %H:%M:%S} after "
                f"{each.attempts} failures; {each.notified_count} people were notified. "
                f"{each.last_error}"
            )
        self._out.print(f"{len(parked)} were given up.")
        return not parked


@asynccontextmanager
async def _context(_: Config, dsn: str) -> AsyncIterator[_Opened]:
    database = await Database.open(dsn)
    try:
        yield _Opened(
            SocialVerification(database), MaintenanceStore(database), FanoutStore(database)
        )
    finally:
        await database.close()
