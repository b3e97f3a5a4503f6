"""`playhall games`: list them, say why one does not go on, end it, or release it."""

import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any, Final, TypeVar

import orjson
import typer
from rich.console import Console

from persistence.accounts.audit_log import CONSOLE
from persistence.database import Database
from persistence.games.administration import (
    AdministeredGame,
    GameAdministrationStore,
    GameFilter,
    GameHasEnded,
    GamePosition,
    GameRecord,
    NoSuchGame,
)
from persistence.games.sizes import SAMPLE_GAMES, GameSizes, measure_games
from protocol.errors import GameNotFound, GameOver, InvalidField
from protocol.ids import UUID_PATTERN, GameId
from protocol.limits import TEXT_CHARS_MAX
from server.config import Config
from server.core.clock import wire_time, wire_time_or_none
from server.ops.shell import DataDir, Shell

T = TypeVar("T")

LIMIT_MAX: Final = 1000
SAMPLE_MAX: Final = 10_000
STATES: Final = ("running", "quarantined", "ended", "completed")

WhichGame = Annotated[str, typer.Argument(help="The game's id.", metavar="GAME")]
Reason = Annotated[str, typer.Option(help="Shown to the players, and kept in the audit log.")]


def add_commands(app: typer.Typer, shell: Shell) -> None:
    """Add the commands to a command line."""
    commands = _Commands(shell)
    games = typer.Typer(no_args_is_help=True, help="List, inspect, measure, end and release games.")
    games.command("list")(commands.list_games)
    games.command("inspect")(commands.inspect)
    games.command("end")(commands.end)
    games.command("release")(commands.release)
    games.command("sizes")(commands.sizes)
    app.add_typer(games, name="games")


class _Commands:
    """The commands; a mistake ends with status 1 and a sentence."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)

    def list_games(
        self,
        state: Annotated[
            str | None, typer.Option(help=f"Only {', '.join(STATES)} ones.", metavar="STATE")
        ] = None,
        ruleset: Annotated[str | None, typer.Option(help="Only games of this ruleset.")] = None,
        silent: Annotated[
            float | None,
            typer.Option(min=1, help="Only running games without an event for so many seconds."),
        ] = None,
        limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="At most so many.")] = 50,
        after: Annotated[
            str | None, typer.Option(help="Go on after this game, the last of a page.")
        ] = None,
        data_dir: DataDir = None,
    ) -> None:
        """List games, newest first."""
        if state is not None and state not in STATES:
            raise typer.BadParameter(f"--state: there are {', '.join(STATES)}.")
        which = GameFilter(state, ruleset, silent)

        async def work(store: GameAdministrationStore) -> list[AdministeredGame]:
            place = None
            if after is not None:
                last = (await _read(store, after)).game
                place = GamePosition(last.created_at, last.game_id)
            return await store.list_games(which, place, limit=limit)

        found = self._in_store(work, data_dir)
        for game in found:
            self._out.print(_line(game))
        if not found:
            self._out.print("No game found.")
        elif len(found) == limit:
            self._out.print(f"There may be more: add --after {found[-1].game_id}")

    def inspect(self, game: WhichGame, data_dir: DataDir = None) -> None:
        """Say where a game stands and why it does not go on."""
        record = self._in_store(lambda store: _read(store, game), data_dir)
        found = record.game
        for name, value in (
            ("game", found.game_id),
            ("ruleset", f"{found.ruleset} {found.ruleset_version}"),
            ("state", _state(found)),
            ("lobby", found.lobby_id),
            ("node", found.node and f"{found.node}{'' if found.is_node_alive else ' (gone)'}"),
            ("events", str(found.head + 1)),
            ("last event", wire_time_or_none(found.last_event_at)),
            ("created", wire_time(found.created_at)),
            ("quarantined", wire_time_or_none(found.quarantined_at)),
            ("why", found.quarantine_reason),
            ("ended", wire_time_or_none(found.ended_at)),
            ("end reason", found.end_reason),
        ):
            if value is not None:
                self._out.print(f"{name:<12}{value}")
        if record.quarantine_trace:
            self._out.print(f"\n{record.quarantine_trace.rstrip()}")

    def end(self, game: WhichGame, reason: Reason, data_dir: DataDir = None) -> None:
        """End a game for good; nodes that play it stop within seconds."""
        self._change(
            game,
            data_dir,
            lambda store, id_: store.end_game(id_, _reason(reason), actor=CONSOLE),
        )

    def release(self, game: WhichGame, reason: Reason, data_dir: DataDir = None) -> None:
        """Let a quarantined game be played again."""
        self._change(
            game,
            data_dir,
            lambda store, id_: store.release_game(id_, _reason(reason), actor=CONSOLE),
        )

    def sizes(
        self,
        sample: Annotated[
            int, typer.Option(min=1, max=SAMPLE_MAX, help="Games of each ruleset to measure.")
        ] = SAMPLE_GAMES,
        as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
        data_dir: DataDir = None,
    ) -> None:
        """Say what games take in the database and archived, by ruleset, as measured here."""
        config = self._shell.read_config(data_dir=data_dir)

        async def work(database: Database) -> GameSizes:
            return await measure_games(database, sample=sample)

        with self._shell.said_plainly():
            found = self._shell.run_in_context(config, context=_database, work=work)
        if as_json:
            self._out.print(orjson.dumps(_describe_sizes(found)).decode())
            return
        for row in found.rulesets:
            self._out.print(
                f"{row.ruleset:<20} {row.events:7.0f} events  {_kb(row.event_bytes)} of events"
                f"  {_kb(row.event_bytes + found.other_bytes)} in all  ({row.games} games)"
            )
        for ruleset, size in found.archived.items():
            self._out.print(f"{ruleset:<20} {_kb(size)} in the archive")
        if not found.rulesets:
            self._out.print("No finished game has its events in the database.")
        self._out.print(f"{found.games_a_week} games ended within the last seven days.")

    def _change(
        self,
        game: str,
        data_dir: DataDir,
        act: Callable[[GameAdministrationStore, GameId], Coroutine[Any, Any, object]],
    ) -> None:
        async def work(store: GameAdministrationStore) -> AdministeredGame:
            found = (await _read(store, game)).game
            try:
                await act(store, found.game_id)
            except GameHasEnded as why:
                raise GameOver(str(why)) from None
            return (await _read(store, game)).game

        self._out.print(_line(self._in_store(work, data_dir)))

    def _in_store(
        self, work: Callable[[GameAdministrationStore], Coroutine[Any, Any, T]], data_dir: DataDir
    ) -> T:
        config = self._shell.read_config(data_dir=data_dir)
        with self._shell.said_plainly():
            return self._shell.run_in_context(config, context=_context, work=work)


@asynccontextmanager
async def _database(_: Config, dsn: str) -> AsyncIterator[Database]:
    async with await Database.open(dsn) as database:
        yield database


@asynccontextmanager
async def _context(_: Config, dsn: str) -> AsyncIterator[GameAdministrationStore]:
    async with await Database.open(dsn) as database:
        yield GameAdministrationStore(database)


async def _read(store: GameAdministrationStore, game: str) -> GameRecord:
    if re.fullmatch(UUID_PATTERN, game.lower()) is not None:
        with suppress(NoSuchGame):
            return await store.read_game(GameId(game.lower()))
    raise GameNotFound(f"There is no game {game}; `playhall games list` lists some.")


def _describe_sizes(found: GameSizes) -> dict[str, object]:
    return {
        "rulesets": [row._asdict() for row in found.rulesets],
        "archived_bytes": found.archived,
        "other_bytes": found.other_bytes,
        "games_a_week": found.games_a_week,
    }


def _kb(size: float) -> str:
    return f"{size / 1000:6.1f} KB"


def _reason(text: str) -> str:
    if not 1 <= len(text.strip()) <= TEXT_CHARS_MAX:
        raise InvalidField(f"--reason: write 1 to {TEXT_CHARS_MAX} characters.")
    return text.strip()


def _state(game: AdministeredGame) -> str:
    if game.ended_at is not None:
        return "ended"
    if game.quarantined_at is not None:
        return "quarantined"
    return "running" if game.status == "in_progress" else game.status


def _line(game: AdministeredGame) -> str:
    why = game.end_reason or game.quarantine_reason
    last = wire_time(game.last_event_at or game.created_at)
    return (
        f"{game.game_id}  {game.ruleset}  {_state(game)}  {game.head + 1} events, last {last}"
        f"{f'  {why}' if why else ''}"
    )
