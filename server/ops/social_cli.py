"""`playhall social verify`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import typer
from rich.console import Console

from persistence.database import Database
from persistence.social.verification import SocialVerification
from server.config import Config
from server.ops.shell import DataDir, Shell


def add_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the commands about the social platform to a command line."""
    social = typer.Typer(no_args_is_help=True, help="Check the social platform.")
    social.callback()(lambda: None)  # so that `verify` stays a command of its own
    social.command()(_Commands(shell).verify)
    app.add_typer(social, name="social")


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
                config, context=_context, work=lambda opened: self._verify(opened, repair=repair)
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


@asynccontextmanager
async def _context(_: Config, dsn: str) -> AsyncIterator[SocialVerification]:
    database = await Database.open(dsn)
    try:
        yield SocialVerification(database)
    finally:
        await database.close()
