"""`playhall verify`, `playhall replay`, `playhall stats rebuild`."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import orjson
import typer
from rich.console import Console

from persistence.audit.store import AuditStore
from persistence.database import Database
from persistence.errors import ArchiveDamaged
from persistence.games.store import GameStore
from persistence.leaderboards.store import BoardStore
from persistence.objects import ObjectStorage
from persistence.ratings.store import RatingStore
from protocol.codec import validate
from protocol.errors import InvalidField
from protocol.history import GamePath, PlayerPath
from protocol.ids import GameId
from server.config import Config
from server.core.clock import Clock
from server.gamekit.fold import AnyRuleset
from server.ops.audit.boards import BoardRebuild
from server.ops.audit.evidence import GameEvidence, gather_evidence, gather_log
from server.ops.audit.findings import CheckFailed, CheckNotPossible, Finding, Report
from server.ops.audit.folding import GameFolder
from server.ops.audit.log_files import UnreadableLogFile, read_file
from server.ops.audit.ratings import RatingRebuild
from server.ops.audit.rebuild import PlayerRecount, StatisticsRebuild
from server.ops.audit.render import format_recount, replay_text, report_line, report_text
from server.ops.audit.replay import Replay, ReplayView
from server.ops.audit.verify import verify_game
from server.ops.object_store import configured_store
from server.ops.shell import DataDir, Shell
from server.rulesets import find_rulesets

T = TypeVar("T")
D = TypeVar("D")

Game = Annotated[str | None, typer.Argument(help="The game's id, or a file.")]
File = Annotated[Path | None, typer.Option(help="A replay, or the output of `playhall export`.")]
Since = Annotated[
    datetime | None,
    typer.Option(
        formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"], help="All games created since then (UTC)."
    ),
]
Partial = Annotated[bool, typer.Option("--partial", help="A file may end before its game does.")]
KEYS = "n next   p previous   q quit"


def add_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the auditor's commands to a command line."""
    commands = _Commands(shell)
    app.command()(commands.verify)
    app.command()(commands.replay)
    stats = typer.Typer(no_args_is_help=True, help="Lifetime statistics.")
    stats.command()(commands.rebuild)
    app.add_typer(stats, name="stats")
    ratings = typer.Typer(no_args_is_help=True, help="Ratings.")
    ratings.command(name="rebuild")(commands.rebuild_ratings)
    app.add_typer(ratings, name="ratings")


class GameAuditor:
    """An audit of one database. One game at a time is in memory."""

    def __init__(
        self,
        database: Database,
        rulesets: Mapping[str, AnyRuleset],
        objects: ObjectStorage | None = None,
    ) -> None:
        self._database = database
        self._store = AuditStore(database, objects)
        self._games = GameStore(database, node="", objects=objects)
        self._rulesets = rulesets

    async def read_log(self, game_id: GameId) -> GameEvidence:
        """Read a game's log as evidence; raise `GameNotFound`."""
        async with self._store.read_snapshot() as books:
            return await gather_log(books, game_id)

    async def verify_game(self, game_id: GameId) -> Report:
        """Check a game and all that was concluded from it; raise `GameNotFound`."""
        return await self._verify(game_id, newest_only=False)

    async def verify_since(self, since: datetime) -> AsyncIterator[Report]:
        """Check every game made since a time; players' statistics once, with their newest."""
        async for game_id in self._store.iterate_games_since(since):
            yield await self._verify(game_id, newest_only=True)

    async def _verify(self, game_id: GameId, *, newest_only: bool) -> Report:
        try:
            async with self._store.read_snapshot() as books:
                evidence = await gather_evidence(books, game_id, newest_only=newest_only)
        except ArchiveDamaged as damaged:
            return Report(game_id, "archived", 0, [Finding("archive", False, str(damaged))])
        return verify_game(evidence, self._rulesets)

    def rebuild(self, *, repair: bool) -> StatisticsRebuild:
        """Count players' statistics again."""
        return StatisticsRebuild(store=self._store, folder=self._folder(), repair=repair)

    def rebuild_boards(self, *, repair: bool) -> BoardRebuild:
        """Count the boards of declared statistics again."""
        return BoardRebuild(
            BoardStore(self._database), self._folder(), now=Clock().now(), repair=repair
        )

    def rebuild_ratings(self, *, repair: bool) -> RatingRebuild:
        """Compute ratings again."""
        return RatingRebuild(RatingStore(self._database), self._folder(), repair=repair)

    def _folder(self) -> GameFolder:
        return GameFolder(self._games, self._rulesets)


class _Commands:
    """The commands; each ends with status 1 where something is not as it must be."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)

    def verify(
        self,
        game: Game = None,
        file: File = None,
        since: Since = None,
        as_json: Annotated[bool, typer.Option("--json", help="One JSON object a game.")] = False,
        partial: Partial = False,
        data_dir: DataDir = None,
    ) -> None:
        """Check that games are what was played: order, hashes, seed, rules, results."""
        config = self._shell.read_config(data_dir=data_dir)
        game, file = _sorted(game, file)
        with self._plainly():
            _one_of(game=game, file=file, since=since)
            if partial and file is None:
                raise InvalidField("--partial is for files; a database says where a log ends.")
            if file is not None:
                report = verify_game(read_file(file), _rulesets(config), partial=partial)
                holds = self._print_report(report, as_json=as_json)
            elif game is not None:
                report = self._in_context(
                    config, lambda context: context.verify_game(_game_id(game))
                )
                holds = self._print_report(report, as_json=as_json)
            else:
                assert since is not None
                start = since.replace(tzinfo=UTC)
                holds = self._in_context(
                    config, lambda context: self._since(context, start, as_json=as_json)
                )
        _end(holds)

    def replay(
        self,
        game: Game = None,
        file: File = None,
        at: Annotated[
            int | None, typer.Option(help="Index of an event; the last one by default.")
        ] = None,
        seat: Annotated[int | None, typer.Option(help="Show what this seat sees.")] = None,
        is_open: Annotated[bool, typer.Option("--open", help="Hide nothing.")] = False,
        step: Annotated[
            bool, typer.Option("--step", help="Step through the events with the keys n, p, q.")
        ] = False,
        data_dir: DataDir = None,
    ) -> None:
        """Show the table as it was at any event."""
        config = self._shell.read_config(data_dir=data_dir)
        game, file = _sorted(game, file)
        with self._plainly():
            _one_of(game=game, file=file)
            evidence = self._evidence(config, game=game, file=file)
            replay = Replay(evidence, _rulesets(config))
            gaze = _gaze(replay, seat, is_open=is_open)
            replay.go_to(_index(replay, at))
            self._out.print(replay_text(replay, gaze))
            if step and sys.stdin.isatty():
                self._walk(replay, gaze)

    def rebuild(
        self,
        verify: Annotated[
            bool, typer.Option("--verify", help="Only compare; change nothing.")
        ] = False,
        player: Annotated[str | None, typer.Option(help="Only this player's, by id.")] = None,
        data_dir: DataDir = None,
    ) -> None:
        """Count statistics and leaderboards again from the logs, and put right what differs."""
        config = self._shell.read_config(data_dir=data_dir)
        with self._plainly():
            holds = self._in_context(
                config, lambda context: self._recount(context, player, repair=not verify)
            )
        _end(holds)

    def rebuild_ratings(
        self,
        verify: Annotated[
            bool, typer.Option("--verify", help="Only compare; change nothing.")
        ] = False,
        data_dir: DataDir = None,
    ) -> None:
        """Compute ratings again from the logs, in their order, and put right what differs."""
        config = self._shell.read_config(data_dir=data_dir)
        with self._plainly():
            holds = self._in_context(
                config, lambda context: self._recount_ratings(context, repair=not verify)
            )
        _end(holds)

    # ------------------------------------------------------------------ work

    async def _since(self, context: GameAuditor, since: datetime, *, as_json: bool) -> bool:
        games = broken = 0
        async for report in context.verify_since(since):
            games += 1
            broken += not self._print_report(report, as_json=as_json, briefly=True)
        if not as_json:
            self._out.print(f"{games} games checked, {broken} failed.")
        return not broken

    async def _recount(self, context: GameAuditor, player: str | None, *, repair: bool) -> bool:
        rebuild = context.rebuild(repair=repair)
        if player is not None:
            player_id = validate(PlayerPath, {"player_id": player}).player_id
            holds = self._print_account(await rebuild.recount_player(player_id))
            boards = context.rebuild_boards(repair=repair)
            return self._print_account(await boards.recount_player(player_id)) and holds
        players = wrong = 0
        async for account in rebuild.recount_all_players():
            players += 1
            wrong += not self._print_account(account)
        self._out.print(f"{players} players checked, {wrong} differ from the logs.")
        return await self._recount_boards(context, repair=repair) and not wrong

    async def _recount_boards(self, context: GameAuditor, *, repair: bool) -> bool:
        rebuild = context.rebuild_boards(repair=repair)
        missing, problems = await rebuild.count_missing()
        self._print_missing(missing, problems, "on the boards", repair=repair)
        players = wrong = 0
        async for account in rebuild.recount_all_players():
            players += 1
            wrong += not self._print_account(account)
        self._out.print(f"Boards: {players} players checked, {wrong} differ from the logs.")
        return not wrong and not problems and (repair or not missing)

    async def _recount_ratings(self, context: GameAuditor, *, repair: bool) -> bool:
        rebuild = context.rebuild_ratings(repair=repair)
        missing, problems = await rebuild.rate_missing()
        self._print_missing(missing, problems, "rated", repair=repair)
        holds = not problems and (repair or not missing)
        async for each in rebuild.recount_all():
            for line in (*each.shown, *([each.problem] if each.problem else ())):
                self._out.print(f"{each.ruleset}: {line}")
            said = "put right" if each.repaired else "differ from the logs"
            self._out.print(f"{each.ruleset}: {each.games} games, {each.differences} {said}.")
            holds = holds and each.problem is None and (each.repaired or not each.differences)
        return holds

    def _print_missing(
        self, missing: int, problems: Sequence[str], what: str, *, repair: bool
    ) -> None:
        for problem in problems:
            self._out.print(problem)
        if missing:
            done = "were not" if repair else "are not"
            end = "; they are now." if repair else ": run this without --verify."
            self._out.print(f"{missing} finished games {done} {what}{end}")

    def _walk(self, replay: Replay, gaze: ReplayView) -> None:
        """Go on or back by one event a key."""
        steps = {"n": 1, " ": 1, "p": -1}
        self._out.print(KEYS, style="dim")
        while (key := typer.getchar()) not in ("q", "\x1b", "\x04"):
            if key in steps:
                replay.go_to(replay.index + steps[key])
                self._out.clear()
                self._out.print(replay_text(replay, gaze))
                self._out.print(KEYS, style="dim")

    def _evidence(self, config: Config, *, game: str | None, file: Path | None) -> GameEvidence:
        if file is not None:
            return read_file(file)
        assert game is not None
        return self._in_context(config, lambda context: context.read_log(_game_id(game)))

    # ------------------------------------------------------------------ output

    def _print_report(self, report: Report, *, as_json: bool, briefly: bool = False) -> bool:
        if as_json:
            sys.stdout.write(_report_json(report))
        elif briefly and report.holds:
            self._out.print(report_line(report))
        else:
            self._out.print(report_text(report))
        return report.holds

    def _print_account(self, account: PlayerRecount) -> bool:
        if account.differences or account.problem:
            self._out.print(format_recount(account))
        return account.problem is None and (account.repaired or not account.differences)

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        with self._shell.said_plainly():
            try:
                yield
            except (CheckFailed, CheckNotPossible) as why:
                raise InvalidField(f"This log cannot be replayed: {why}.") from why
            except UnreadableLogFile as why:
                raise InvalidField(str(why)) from why

    def _in_context(
        self, config: Config, work: Callable[[GameAuditor], Coroutine[Any, Any, T]]
    ) -> T:
        return self._shell.run_in_context(config, context=_context, work=work)


@asynccontextmanager
async def _context(config: Config, dsn: str) -> AsyncIterator[GameAuditor]:
    async with await Database.open(dsn) as database:
        yield GameAuditor(database, _rulesets(config), configured_store(config))


def _rulesets(config: Config) -> dict[str, AnyRuleset]:
    return find_rulesets(*config.ruleset_directories())


def _game_id(game: str) -> GameId:
    return validate(GamePath, {"game_id": game}).game_id


def _sorted(game: str | None, file: Path | None) -> tuple[str | None, Path | None]:
    """Tell apart a file, which has a dot or a slash in its name, and a game's id."""
    if game is not None and file is None and ("." in game or os.sep in game):
        return None, Path(game)
    return game, file


def _one_of(**sources: object) -> None:
    if sum(source is not None for source in sources.values()) != 1:
        others = [f"--{name}" for name in sources if name != "game"]
        raise InvalidField(f"Name a game, or pass {' or '.join(others)}; one of them.")


def _index(replay: Replay, at: int | None) -> int:
    if at is not None and not 0 <= at <= replay.head:
        raise InvalidField(f"--at: this game has the events 0 to {replay.head}.")
    return replay.head if at is None else at


def _gaze(replay: Replay, seat: int | None, *, is_open: bool) -> ReplayView:
    seats = len(replay.fold.table.seats)
    if seat is not None and not 0 <= seat < seats:
        raise InvalidField(f"--seat: this game has the seats 0 to {seats - 1}.")
    if is_open and not replay.is_over:
        raise InvalidField("--open: the game is still running; try again when it is over.")
    return ReplayView(seat, is_open)


def _report_json(report: Report) -> str:
    findings = [finding._asdict() for finding in report.findings]
    shown = {
        "game_id": report.game_id,
        "holds": report.holds,
        "events": report.events,
        "findings": findings,
    }
    return orjson.dumps(shown, option=orjson.OPT_APPEND_NEWLINE).decode()


def _end(holds: bool) -> None:
    if not holds:
        raise typer.Exit(1)
