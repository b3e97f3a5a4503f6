"""`playhall archive` and `playhall unarchive`."""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console

from persistence.archives.log_file import BrokenLog
from persistence.archives.reader import GameArchive
from persistence.archives.store import GameArchiveStore
from persistence.database import Database
from persistence.errors import ArchiveDamaged
from protocol.codec import validate
from protocol.errors import GameNotFound
from protocol.history import GamePath
from protocol.ids import GameId
from server.config import Config
from server.core.clock import Clock
from server.ops.object_store import configured_store
from server.ops.shell import DataDir, Shell

T = TypeVar("T")

OWN_ROLE: Final = "none"  # the login's own rights: the server's role may delete no events
CONNECTIONS_MAX: Final = 2
GAMES_A_LINE: Final = 1000  # between two lines of progress

Days = Annotated[
    int, typer.Option("--older-than", min=0, help="Only games that ended so many days ago.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="Stop after so many games.")]


def add_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the commands to a command line."""
    commands = _Commands(shell)
    app.command()(commands.archive)
    app.command()(commands.unarchive)


class _Progress:
    """What was moved so far, said once in a while."""

    def __init__(self, out: Console) -> None:
        self._out = out
        self.games = self.events = self.content_bytes = self.object_bytes = 0

    def add(self, events: int, content_bytes: int, object_bytes: int) -> None:
        """Count one game."""
        self.games += 1
        self.events += events
        self.content_bytes += content_bytes
        self.object_bytes += object_bytes
        if self.games % GAMES_A_LINE == 0:
            self._out.print(f"{self.games} games so far")

    def __str__(self) -> str:
        return (
            f"{self.games} games with {self.events} events, "
            f"{self.content_bytes / 1e6:.1f} MB unpacked, {self.object_bytes / 1e6:.1f} MB stored"
        )


class _Commands:
    """The commands; status 1 where a log could not be moved."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)

    def archive(
        self,
        older_than: Days = 365,
        limit: Limit = None,
        dry_run: Annotated[
            bool, typer.Option("--dry-run", help="Only count; move nothing.")
        ] = False,
        data_dir: DataDir = None,
    ) -> None:
        """Move the logs of finished games to the object store; they stay readable as before."""

        async def work(store: GameArchiveStore) -> bool:
            before = Clock().now() - timedelta(days=older_than)
            progress, broken = _Progress(self._out), 0
            async for game in store.iterate_due(before):
                if progress.games + broken == limit:
                    break
                if dry_run:
                    progress.add(game.events, 0, 0)
                    continue
                try:
                    archive = await store.archive(game)
                except BrokenLog as why:
                    broken += 1
                    self._out.print(f"Not archived: game {game.game_id}: {why}.")
                    continue
                if archive is not None:
                    progress.add(archive.events, archive.content_bytes, archive.object_bytes)
            if dry_run:
                self._out.print(
                    f"{progress.games} games with {progress.events} events would be archived."
                )
                return True
            totals = await store.count()
            self._out.print(f"Archived {progress}.")
            self._out.print(f"In all, {totals.games} games are archived.")
            if broken:
                self._out.print(f"{broken} logs stayed in the database; see: playhall verify GAME")
            return not broken

        if not self._in_store(work, data_dir):
            raise typer.Exit(1)

    def unarchive(
        self,
        games: Annotated[list[str] | None, typer.Argument(help="Ids of games.")] = None,
        every: Annotated[bool, typer.Option("--all", help="All archived games.")] = False,
        data_dir: DataDir = None,
    ) -> None:
        """Bring the logs of archived games back into the database; the objects stay."""
        with self._shell.said_plainly():
            ids = [validate(GamePath, {"game_id": game}).game_id for game in games or ()]
        if bool(ids) == every:
            raise typer.BadParameter("Name games, or pass --all.")

        async def work(store: GameArchiveStore) -> bool:
            brought = damaged = 0
            async for archive in store.iterate_archived() if every else _named(store, ids):
                try:
                    brought += await store.put_back(archive)
                except ArchiveDamaged as why:
                    damaged += 1
                    self._out.print(f"Not brought back: {why}")
            self._out.print(f"{brought} logs are in the database again.")
            if damaged:
                self._out.print(f"{damaged} stay archived; restore their objects from a backup.")
            return not damaged

        if not self._in_store(work, data_dir):
            raise typer.Exit(1)

    def _in_store(
        self, work: Callable[[GameArchiveStore], Coroutine[Any, Any, T]], data_dir: DataDir
    ) -> T:
        config = self._shell.read_config(data_dir=data_dir)
        with self._shell.said_plainly():
            return self._shell.run_in_context(config, context=_context, work=work, as_owner=True)


async def _named(store: GameArchiveStore, ids: Sequence[GameId]) -> AsyncIterator[GameArchive]:
    for game_id in ids:
        archive = await store.find(game_id)
        if archive is None:
            raise GameNotFound(f"The log of game {game_id} is not archived.")
        yield archive


@asynccontextmanager
async def _context(config: Config, dsn: str) -> AsyncIterator[GameArchiveStore]:
    # The owner's login is refused for serving, not for this.
    async with await Database.open(
        dsn,
        embedded=True,
        role=OWN_ROLE,
        pool_max=CONNECTIONS_MAX,
        allow_unsafe=config.unsafe_database,
    ) as database:
        yield GameArchiveStore(database, configured_store(config))
