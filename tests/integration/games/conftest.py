"""A games room on a real database, without sockets: live games are driven directly."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from persistence.broker.memory import MemoryBroker
from persistence.database import Database
from persistence.eventlog.writer import EventLogWriter
from persistence.games.model import NewGame, NewPlayer
from persistence.games.store import GameStore
from protocol.errors import CloseReason, PlayhallError
from protocol.ids import GameId, LobbyId, PlayerId, new_id
from server.core.clock import Clock
from server.core.events import LobbyGameCompleted, LocalEventBus
from server.core.subscriptions import Subscriptions
from server.core.tasks import Tasks
from server.domains.play.games import registry as registry_module
from server.domains.play.games.live_game import LiveGame
from server.domains.play.games.registry import GameRegistry, GameRegistryConfig
from server.rulesets import find_rulesets


@dataclass(eq=False)
class Recorder:
    """A follower that keeps the frames it was given."""

    frames: bytearray = field(default_factory=bytearray)
    hung_up: list[CloseReason] = field(default_factory=list)
    is_behind: bool = False

    def deliver(self, frames: bytes) -> None:
        self.frames += frames

    def end(self) -> None:
        """Take note of nothing."""

    def disconnect(self, why: CloseReason) -> None:
        self.hung_up.append(why)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Decode what was received."""
        return [orjson.loads(payload) for payload in payloads(bytes(self.frames))]


def payloads(data: bytes) -> list[bytes]:
    """Split unmasked frames (RFC 6455, section 5.2) into their payloads."""
    out = []
    while data:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        out.append(data[start : start + size])
        data = data[start + size :]
    return out


@dataclass
class Room:
    """A node's games."""

    database: Database
    store: GameStore
    log: EventLogWriter
    registry: GameRegistry
    over: list[LobbyId]

    async def players(self, count: int) -> list[PlayerId]:
        """Make players."""
        ids = [PlayerId(new_id()) for _ in range(count)]
        async with self.database.acquire() as connection:
            for n, player_id in enumerate(ids):
                await connection.execute(
                    "INSERT INTO players (id, display_name, avatar_seed, color) "
                    "VALUES ($1, $2, 'x', '#fff')",
                    player_id,
                    f"Player {n}",
                )
        return ids

    async def lobby(self, ruleset: str) -> LobbyId:
        """Make an open lobby at version 1."""
        lobby_id = LobbyId(new_id())
        async with self.database.acquire() as connection:
            await connection.execute(
                "INSERT INTO lobbies (id, status, config, name, mode, ruleset, seats) "
                "VALUES ($1, 'OPEN', '{}', 'x', 'server', $2, 10)",
                lobby_id,
                ruleset,
            )
        return lobby_id

    async def game(
        self,
        ruleset: str,
        bots: Sequence[str | None],
        players: Sequence[PlayerId] | None = None,
        **config: object,
    ) -> LiveGame:
        """Make a game; `bots` has a bot's name or None for each seat."""
        players = players or await self.players(len(bots))
        new = NewGame(
            ruleset=ruleset,
            config=config,
            players=tuple(map(NewPlayer, players, bots)),
            lobby_id=await self.lobby(ruleset),
            lobby_version=1,
            is_public=True,
            join_code=None,
            seats=len(bots),
        )
        game_id = await self.registry.create(new)
        game = self.registry.find_loaded(game_id)
        assert game is not None
        return game

    async def completed(self, game_id: GameId) -> None:
        """Wait until a game is over."""
        async with asyncio.timeout(60):
            while (stored := await self.store.find(game_id)) and stored.status != "completed":
                await asyncio.sleep(0.01)

    async def fetch(self, sql: str, *arguments: object) -> list[dict[str, Any]]:
        """Ask the database directly."""
        async with self.database.acquire() as connection:
            return [dict(record) for record in await connection.fetch(sql, *arguments)]


@dataclass
class Asked:
    """A command's reply, when it comes."""

    future: asyncio.Future[int | PlayhallError] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def __call__(self, what: int | PlayhallError) -> None:
        self.future.set_result(what)


async def act(game: LiveGame, seat: int, cmd_no: int, move: dict[str, Any]) -> int | PlayhallError:
    """Make a move and wait for its reply."""
    asked = Asked()
    game.act(seat, cmd_no, move, asked)
    return await asyncio.wait_for(asked.future, 10)


@pytest.fixture
async def room(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    """A node with two writers and quick bots; a test's games have the same seeds in every run."""
    seeds = (f"{number:032x}" for number in itertools.count(1))
    monkeypatch.setattr(registry_module, "draw_seed", lambda: next(seeds))
    over: list[LobbyId] = []
    events = LocalEventBus()
    events.add_listeners({LobbyGameCompleted: lambda event: over.append(event.lobby_id)})
    log = EventLogWriter(database, writers=2)
    store = GameStore(database, node="here")
    async with Tasks() as tasks:
        registry = GameRegistry(
            config=GameRegistryConfig(node="here", bot_pause_s=0, idle_game_s=60),
            store=store,
            log=log,
            clock=Clock(),
            tasks=tasks,
            rulesets=find_rulesets(),
            may_serve=lambda: True,
            subscriptions=Subscriptions(MemoryBroker()),
            events=events,
            seats_changed=lambda _: None,
        )
        running = tasks.start_loop(log.run(), name="log")
        yield Room(database, store, log, registry, over)
        registry.stop_accepting()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
