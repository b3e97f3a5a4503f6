"""Those who come back while a game ends: it is decided, but its end is not committed yet."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest

from persistence.broker.memory import MemoryBroker
from protocol.envelope import type_of
from protocol.ids import LobbyId, PlayerId, SessionId, UserId, new_id
from server.core.clock import Clock
from server.core.events import LocalEventBus
from server.core.subscriptions import Subscriptions
from server.core.tasks import Tasks
from server.domains.play.games.access import GameAccess
from server.domains.play.games.commands import GameCommands
from server.domains.play.games.live_game import LiveGame
from server.gateway.session.identity import Identity
from server.gateway.session.sessions import CommandRate, Session, Sessions
from server.gateway.transport.limits import TransportLimits
from server.gateway.transport.send_buffer import BufferFlusher
from server.gateway.transport.socket import Socket
from server.rulesets import find_rulesets
from tests.integration.games.conftest import Asked, Room, payloads

WAIT_S = 20
FOREVER_S = 10**10


class FrameSink(asyncio.Transport):
    """A transport that keeps what is sent, in however many frames at once."""

    def __init__(self) -> None:
        super().__init__()
        self.replies: list[dict[str, Any]] = []
        self.updates: list[dict[str, Any]] = []
        self.news = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        for message in map(orjson.loads, payloads(bytes(data))):
            (self.replies if "re" in message else self.updates).append(message)
        self.news.set()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass  # it takes everything

    def get_write_buffer_size(self) -> int:
        return 0


Enter = Callable[[PlayerId], tuple[Session, FrameSink]]


async def _anybody(_: LobbyId, __: PlayerId | None) -> bool:
    return True


@pytest.fixture
async def enter(room: Room) -> AsyncIterator[Enter]:
    """Connect somebody to the room, through a real session on a socket that remembers."""
    clock = Clock()
    access = GameAccess(registry=room.registry, store=room.store, may_watch=_anybody, clock=clock)
    async with Tasks() as tasks:
        sessions = Sessions(clock=clock, tasks=tasks, rate=CommandRate(), events=LocalEventBus())
        commands = GameCommands(
            registry=room.registry,
            store=room.store,
            rulesets=find_rulesets(),
            access=access,
            subscriptions=Subscriptions(MemoryBroker()),
            clock=clock,
        )
        flusher = BufferFlusher(asyncio.get_running_loop(), TransportLimits())
        sessions.routes = {type_of(asked): route for asked, route in commands.routes().items()}

        def come(player_id: PlayerId) -> tuple[Session, FrameSink]:
            session, memory = sessions.create_session(), FrameSink()
            session.on_open(Socket(memory, flusher, remote="::1", on_gone=lambda _: None))
            who = UserId(player_id), player_id, SessionId(new_id()), "Ann", FOREVER_S
            sessions.greet(session, Identity(*who))
            return session, memory

        yield come


async def until(memory: FrameSink, seen: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not seen():
            memory.news.clear()
            await memory.news.wait()


def end(game: LiveGame) -> None:
    """Have the host of a relay end it; the writers have not seen it when this returns."""
    game.act(0, 1, {"type": "end"}, Asked())
    assert game.fold.table.completed
    assert game.committed < game.fold.next_index - 1


@pytest.mark.parametrize(
    ("went", "command"),
    [("player_disconnected", "game.resume"), ("player_left", "game.watch")],
)
async def test_whoever_returns_while_the_game_ends_sees_its_end(
    room: Room, enter: Enter, went: str, command: str
) -> None:
    ann, bob = await room.players(2)
    game = await room.game("relay", [None, None], [ann, bob])
    game.record_presence(went, 1)
    session, memory = enter(bob)
    end(game)
    asked = {"id": 1, "type": command, "game_id": game.game_id, "after": -1}
    session.on_message(orjson.dumps(asked))
    await until(memory, lambda: bool(memory.replies))
    assert memory.replies[0]["type"] == "ok"
    await until(memory, lambda: "game_completed" in [update["event"] for update in memory.updates])
    seen = [update["event_index"] for update in memory.updates]
    assert seen == list(range(game.fold.next_index))
