"""`playhall economy verify`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console

from persistence.database import Database
from persistence.inventory.verification import EconomyVerification
from protocol.ids import UserId
from server.config import Config
from server.ops.shell import DataDir, Shell


def add_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the commands about the economy to a command line."""
    economy = typer.Typer(no_args_is_help=True, help="Check what players hold.")
    economy.callback()(lambda: None)  # so that `verify` stays a command of its own
    economy.command()(_Commands(shell).verify)
    app.add_typer(economy, name="economy")


class _Commands:
    """The commands; each ends with status 1 where something is not as it must be."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)

    def verify(
        self,
        account: Annotated[UUID | None, typer.Option(help="Only this account, by id.")] = None,
        data_dir: DataDir = None,
    ) -> None:
        """Count inventories and balances again from the ledger, and report what differs."""
        config = self._shell.read_config(data_dir=data_dir)
        account_id = None if account is None else UserId(str(account))
        with self._shell.said_plainly():
            holds = self._shell.run_in_context(
                config, context=_context, work=lambda opened: self._verify(opened, account_id)
            )
        if not holds:
            raise typer.Exit(1)

    async def _verify(self, verification: EconomyVerification, account_id: UserId | None) -> bool:
        accounts = transactions = differences = 0
        async for checked in verification.check_accounts(account_id):
            accounts += checked.accounts
            transactions += checked.transactions
            differences += len(checked.differences)
            for each in checked.differences:
                where = f"account {each.account_id}"
                if each.slot_id is not None:
                    where += f", slot {each.slot_id}"
                self._out.print(f"{where}: {each.what}")
        self._out.print(
            f"{accounts} accounts with {transactions} transactions checked, "
            f"{differences} differences from the ledger."
        )
        return not differences


@asynccontextmanager
async def _context(_: Config, dsn: str) -> AsyncIterator[EconomyVerification]:
    database = await Database.open(dsn)
    try:
        yield EconomyVerification(database)
    finally:
        await database.close()
