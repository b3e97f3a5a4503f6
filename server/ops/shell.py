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

    def run_in_context(
        self,
        config: Config,
        *,
        context: Callable[[Config, str], AbstractAsyncContextManager[D]],
        work: Callable[[D], Coroutine[Any, Any, T]],
        new_loop: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> T:
        """Do some work with what it needs, on the database that is configured.

        `context` opens it, by the database's address; `new_loop` makes another event loop than
        Python's own. Raises `NotMigrated`.
        """

        async def run(dsn: str) -> T:
            async with context(config, dsn) as opened:
                return await work(opened)

        with self.database_url(config) as dsn:
            if runner.status(dsn).pending:
                raise NotMigrated("The database is older than this program; run: playhall migrate")
            with asyncio.Runner(loop_factory=new_loop) as loop:
                return loop.run(run(dsn))
