"""`playhall restore-check`: a backup is restored somewhere else, and everything in it checked."""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import orjson
import typer
from rich.console import Console

from migrations import runner
from persistence.backup import BackupFailed, count_contents, restore_dump
from persistence.database import Database
from persistence.embedded import SETTINGS, EmbeddedPostgres
from persistence.signals import stop_on_signals
from server.config import Config
from server.ops.audit.commands import GameAuditor
from server.ops.object_store import configured_store
from server.ops.shell import DataDir, Shell
from server.rulesets import find_rulesets

SHOWN_MAX: Final = 20  # failures that are printed; all are counted
FIRST_GAME: Final = datetime(2000, 1, 1, tzinfo=UTC)
# What is restored is thrown away, so it need not survive the machine.
THROWN_AWAY: Final = {
    **SETTINGS,
    "fsync": "off",
    "synchronous_commit": "off",
    "shared_buffers": "64MB",
}

Source = Annotated[Path, typer.Argument(help="A dump, or a folder of them: the newest is taken.")]


class RestoreReport(NamedTuple):
    """What a backup had in it, and how many of its games and players are not as they must be."""

    file: str
    written_at: str
    revision: str | None
    restored_in_s: float
    checked_in_s: float
    rows: dict[str, int]
    games: int
    games_failed: int
    players: int
    players_failed: int

    @property
    def holds(self) -> bool:
        """Whether the backup is good."""
        return not self.games_failed and not self.players_failed


def add_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the command to a command line."""
    app.command("restore-check")(_Command(shell).restore_check)


class _Command:
    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)

    def restore_check(
        self,
        source: Source,
        as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
        data_dir: DataDir = None,
    ) -> None:
        """Restore a backup into a throw-away database, and check every game and statistic in it."""
        config = self._shell.read_config(data_dir=data_dir)
        with self._shell.said_plainly():
            report = self._check(config, _newest(source), quiet=as_json)
        if as_json:
            described = {**report._asdict(), "holds": report.holds}
            sys.stdout.write(orjson.dumps(described, option=orjson.OPT_APPEND_NEWLINE).decode())
        else:
            self._print(report)
        if not report.holds:
            raise typer.Exit(1)

    def _check(self, config: Config, file: Path, *, quiet: bool) -> RestoreReport:
        written_at = datetime.fromtimestamp(file.stat().st_mtime, UTC)
        started = time.monotonic()
        with _throw_away_database() as dsn:
            restore_dump(dsn, file)
            restored = time.monotonic()
            rows = count_contents(dsn)
            revision = runner.status(dsn).current
            runner.upgrade(dsn)  # as the next start of a server would
            games, players = asyncio.run(self._audit(config, dsn, quiet=quiet))
        return RestoreReport(
            str(file),
            written_at.isoformat(timespec="seconds"),
            revision,
            round(restored - started, 1),
            round(time.monotonic() - restored, 1),
            rows,
            *games,
            *players,
        )

    async def _audit(
        self, config: Config, dsn: str, *, quiet: bool
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Check every game, and all players' statistics; gives how many, and how many failed."""
        rulesets = find_rulesets(*config.ruleset_directories())
        shown = SHOWN_MAX if not quiet else 0
        games = failed = players = wrong = 0
        async with await Database.open(dsn, embedded=True, allow_unsafe=True) as database:
            auditor = GameAuditor(database, rulesets, configured_store(config))
            async for report in auditor.verify_since(FIRST_GAME):
                games += 1
                failed += not report.holds
                if not report.holds and failed <= shown:
                    broken = [each for each in report.findings if each.holds is False]
                    said = "; ".join(f"{each.check}: {each.sentence}" for each in broken)
                    self._out.print(f"game {report.game_id}: {said}")
            async for player in auditor.rebuild(repair=False).recount_all_players():
                players += 1
                is_wrong = bool(player.differences or player.problem)
                wrong += is_wrong
                if is_wrong and wrong <= shown:
                    why = player.problem or "the statistics differ from the logs"
                    self._out.print(f"player {player.player_id}: {why}")
        return (games, failed), (players, wrong)

    def _print(self, report: RestoreReport) -> None:
        said = ", ".join(f"{count} {name}" for name, count in report.rows.items())
        for line in (
            f"backup      {report.file}, written {report.written_at}",
            f"restored    in {report.restored_in_s} s, revision {report.revision}: {said}",
            f"games       {report.games} checked, {report.games_failed} failed",
            f"statistics  {report.players} players checked, {report.players_failed} differ",
            f"checked     in {report.checked_in_s} s",
            "The backup is good." if report.holds else "The backup is NOT good; see above.",
        ):
            self._out.print(line)


def _newest(source: Path) -> Path:
    """Take a file, or the newest dump of a folder; raise `BackupFailed`."""
    if source.is_file():
        return source
    found = [path for path in source.glob("*.dump") if path.is_file()] if source.is_dir() else []
    if not found:
        raise BackupFailed(f"There is no file {source}, and no *.dump in a folder of that name.")
    return max(found, key=lambda path: path.stat().st_mtime)


@contextmanager
def _throw_away_database() -> Iterator[str]:
    """Run a bundled PostgreSQL in a folder of its own for a block; gives its superuser's name."""
    with stop_on_signals(), tempfile.TemporaryDirectory(prefix="playhall-") as folder:
        server = EmbeddedPostgres(settings=THROWN_AWAY)
        try:
            yield server.start(Path(folder, "postgres"))
        finally:
            server.stop()
