"""What the operators' commands have in common: the configuration, the database, how they fail."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar

import typer

from migrations import runner
from persistence.errors import NotMigrated
from server.config import Config

T = TypeVar("T")
D = TypeVar("D")

DataDir = Annotated[Path | None, typer.Option(help="Folder of the bundled database.")]


class Shell(NamedTuple):
    """What the command line lends: its configuration, its database, its way of failing."""

    read_config: Callable[..., Config]
    database_url: Callable[[Config], AbstractContextManager[str]]
    said_plainly: Callable[[], AbstractContextManager[None]]
    # For the login that owns the tables, where that is another one than the server's.
    owner_url: Callable[[Config], AbstractContextManager[str]] | None = None

    def run_in_context(
        self,
        config: Config,
        *,
        context: Callable[[Config, str], AbstractAsyncContextManager[D]],
        work: Callable[[D], Coroutine[Any, Any, T]],
        new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
        as_owner: bool = False,
    ) -> T:
        """Do some work with what it needs, on the database that is configured.

        `context` opens it, by the database's address: the server's login, or with `as_owner` that
        which owns the tables. `new_loop` makes another event loop than Python's own. Raises
        `NotMigrated`.
        """

        async def run(dsn: str) -> T:
            async with context(config, dsn) as opened:
                return await work(opened)

        address = self.owner_url if as_owner and self.owner_url else self.database_url
        with address(config) as dsn:
            if runner.status(dsn).pending:
                raise NotMigrated("The database is older than this program; run: playhall migrate")
            with asyncio.Runner(loop_factory=new_loop) as loop:
                return loop.run(run(dsn))
