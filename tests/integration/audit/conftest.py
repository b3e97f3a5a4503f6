"""One played database, copied for every test that spoils it, and the command line."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from persistence.broker.memory import MemoryBroker
from persistence.database import Database
from persistence.eventlog.completion import NO_XP, XpRule
from persistence.eventlog.writer import EventLogWriter
from persistence.games.store import GameStore
from protocol.ids import GameId, PlayerId
from server.cli import plain_errors
from server.config import Config
from server.core.clock import Clock
from server.core.events import LocalEventBus
from server.core.subscriptions import Subscriptions
from server.core.tasks import Tasks
from server.domains.play.games.live_game import LiveGame
from server.domains.play.games.registry import GameRegistry, GameRegistryConfig
from server.gamekit.fold import AnyRuleset
from server.ops import archive_cli, games_cli, restore_check_cli
from server.ops.audit.commands import add_commands
from server.ops.export import export_game
from server.ops.shell import Shell
from server.rulesets import find_rulesets
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.integration.games.conftest import Room, act


@asynccontextmanager
async def open_room(
    database: Database,
    *,
    node: str = "here",
    clock: Clock | None = None,
    xp: XpRule = NO_XP,
    rulesets: Mapping[str, AnyRuleset] | None = None,
) -> AsyncIterator[Room]:
    """A node with two writers and quick bots."""
    log, store = EventLogWriter(database, writers=2, xp=xp), GameStore(database, node=node)
    async with Tasks() as tasks:
        registry = GameRegistry(
            config=GameRegistryConfig(node=node, bot_pause_s=0, idle_game_s=60),
            store=store,
            log=log,
            clock=clock or Clock(),
            tasks=tasks,
            rulesets=find_rulesets() if rulesets is None else rulesets,
            may_serve=lambda: True,
            subscriptions=Subscriptions(MemoryBroker()),
            events=LocalEventBus(),
            seats_changed=lambda _: None,
        )
        running = tasks.start_loop(log.run(), name="log")
        yield Room(database, store, log, registry, [])
        registry.stop_accepting()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@dataclass(frozen=True)
class Played:
    """A database with a finished game of one person and two bots, and one under way."""

    dsn: str
    serving_dsn: str
    finished: GameId
    under_way: GameId
    players: Sequence[PlayerId]


def archived_file(played: Played, folder: Path) -> Path:
    """Find the only object that the finished game's log is in."""
    [file] = (folder / "files" / "archive").rglob(f"{played.finished}.*.jsonl.gz")
    return file


async def play_and_leave(game: LiveGame) -> None:
    """Bid, send nonsense, and leave: from then on the server plays, then nobody does."""
    while not (moves := game.fold.ruleset.view(game.fold.state, 0)["legal_moves"]):
        await asyncio.sleep(0.01)
    await act(game, 0, 1, moves[0])
    await act(game, 0, 2, {"type": "nonsense"})
    game.record_presence("player_left", 0)


@pytest.fixture(scope="session")
async def intact(databases: Databases) -> AsyncIterator[Played]:
    """The database as it was played, for all tests that only look."""
    dsn = databases.create(template=TEMPLATE)
    database = await Database.open(dsn, embedded=True)
    async with open_room(database) as room:
        players = await room.players(3)
        bots = [None, "random", "bid_and_duck"]
        game = await room.game("el_dorado", bots, players, rounds=2)
        await play_and_leave(game)
        await room.completed(game.game_id)
        relay = await room.game("relay", [None] * 2)
        await act(relay, 0, 1, {"hello": "\x1b[31m"})
    await database.close()
    yield Played(dsn, databases.serving_dsn(dsn), game.game_id, relay.game_id, players)
    databases.drop(dsn)


@pytest.fixture
def played(
    request: pytest.FixtureRequest, databases: Databases, intact: Played
) -> Iterator[Played]:
    """The played database; a test that spoils it has a copy of its own."""
    if "spoil" not in request.fixturenames:
        yield intact
        return
    dsn = databases.create(template=urlsplit(intact.dsn).path[1:])
    yield replace(intact, dsn=dsn, serving_dsn=databases.serving_dsn(dsn))
    databases.drop(dsn)


Spoil = Callable[..., None]
Playhall = Callable[..., Result]


@pytest.fixture
def spoil(played: Played) -> Spoil:
    """Change what nothing may change: as superuser, with the guards taken down."""

    def run(statement: str, *arguments: object) -> None:
        with psycopg.connect(played.dsn) as connection:
            for table in ("games", "game_summaries", *(f"game_events_{n}" for n in range(8))):
                connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            assert connection.execute(statement, arguments).rowcount > 0

    return run


@pytest.fixture
def playhall(played: Played, tmp_path: Path) -> Playhall:
    """The auditor's command line on the played database."""
    app = typer.Typer()

    @contextmanager
    def database_url(_: Config) -> Iterator[str]:
        yield played.serving_dsn

    @contextmanager
    def owner_url(_: Config) -> Iterator[str]:
        yield played.dsn

    def read_config(**_: object) -> Config:
        return Config(data_dir=tmp_path, database_url=None)

    shell = Shell(read_config, database_url, plain_errors, owner_url)
    add_commands(app, shell)
    archive_cli.add_commands(app, shell)
    restore_check_cli.add_commands(app, shell)
    games_cli.add_commands(app, shell)
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))


@pytest.fixture
def exported(played: Played, tmp_path: Path) -> Path:
    """The finished game as a file."""
    path = tmp_path / "game.jsonl"
    with path.open("wb") as file:
        asyncio.run(export_game(played.serving_dsn, played.finished, file))
    return path
