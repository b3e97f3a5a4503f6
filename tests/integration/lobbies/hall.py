"""A node with the rooms for lobbies and chat, and people on its connections.

Commands go in as the bytes of a frame and come out as one, through the real sessions;
only the socket under them is replaced by one that remembers. Games are made by the real
log, under its real fence, but nobody plays them.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from persistence.broker.memory import MemoryBroker, MemoryHub
from persistence.database import Database
from persistence.eventlog.hashchain import canonical_json, genesis_hash, link_hash
from persistence.eventlog.writer import EventLogWriter, EventRow
from persistence.games.model import GameRow, NewGame
from persistence.lobbies.store import LobbyStore
from persistence.presence.store import PresenceStore
from persistence.rls import RlsDatabase
from protocol.envelope import type_of
from protocol.ids import GameId, LobbyId, PlayerId, SessionId, UserId, new_id
from server.core.clock import Clock
from server.core.events import LocalEventBus, MemberKicked, PlayerConnected, PlayerDisconnected
from server.core.passwords import PasswordHasher
from server.core.shared_limits import SharedLimits
from server.core.subscriptions import Subscriptions
from server.core.tasks import Tasks
from server.domains.people.presence.connections import PlayerConnections
from server.domains.play.chat.commands import ChatCommands
from server.domains.play.lobbies.commands import LobbyCommands
from server.domains.play.lobbies.lobbies import Lobbies
from server.gamekit.fold import AnyRuleset
from server.gateway.session.identity import Identity
from server.gateway.session.sessions import CommandRate, Sessions
from server.rulesets import find_rulesets

Json = dict[str, Any]

WAIT_S = 20
FOREVER_S = 10**10
HEADER_BYTES = {126: 4, 127: 10}  # of a text frame, by its second byte; else 2


class MovableClock(Clock):
    """A clock that tests put forward."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_s = 0.0
        self.stopped_s: float | None = None

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.ahead_s)

    def monotonic(self) -> float:
        return (self.stopped_s or super().monotonic()) + self.ahead_s

    def stop(self) -> None:
        """Let monotonic time pass only by `ahead_s` from now on."""
        self.stopped_s = super().monotonic()


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, reply: Json) -> None:
        super().__init__(reply)
        self.reply = reply
        self.code = reply["code"]
        self.message = reply["message"]
        self.field = reply.get("field")


class Memory:
    """A socket that keeps what is sent."""

    def __init__(self) -> None:
        self.closing = False
        self.remote = "127.0.0.1"
        self.last_seen = 0.0
        self.replies: dict[int, Json] = {}
        self.updates: list[Json] = []
        self.news = asyncio.Event()

    def send(self, frame: bytes) -> None:
        message = orjson.loads(frame[HEADER_BYTES.get(frame[1], 2) :])
        if "re" in message:
            self.replies[message["re"]] = message
        else:
            self.updates.append(message)
        self.news.set()

    def close(self, _: object) -> None:
        self.closing = True


class Person:
    """Somebody with a connection to a node."""

    def __init__(self, hall: "Hall", player_id: PlayerId, name: str) -> None:
        self.hall = hall
        self.player_id = player_id
        self.name = name
        self._asked = 0
        self.connect()

    def connect(self) -> None:
        who = UserId(self.player_id), self.player_id, SessionId(new_id()), self.name, FOREVER_S
        self.memory = Memory()
        self.session = self.hall.sessions.create_session()
        self.session.on_open(self.memory)  # type: ignore[arg-type]  # all of a socket that is used
        self.hall.sessions.greet(self.session, Identity(*who))

    def disconnect(self) -> None:
        self.memory.closing = True
        self.session.on_close()

    async def ask(self, command: str, **fields: object) -> Json:
        """Send a command and give its reply; raise `Refused`."""
        asked = self.send(command, **fields)
        await self.until(lambda: asked in self.memory.replies)
        reply = self.memory.replies[asked]
        if reply["type"] == "error":
            raise Refused(reply)
        return reply

    def send(self, command: str, **fields: object) -> int:
        """Send a command and do not wait; give its id."""
        self._asked += 1
        self.session.on_message(orjson.dumps({"id": self._asked, "type": command, **fields}))
        return self._asked

    async def lobby(self, command: str, **fields: object) -> Json:
        """Send a command of lobbies and give the lobby in its reply."""
        found: Json = (await self.ask(f"lobby.{command}", **fields))["lobby"]
        return found

    async def refusal(self, command: str, **fields: object) -> str:
        """Send a command that must be refused, with a sentence, and give the code."""
        with pytest.raises(Refused) as refused:
            await self.ask(command, **fields)
        assert len(refused.value.message.split()) > 3
        return str(refused.value.code)

    def heard(self, kind: str = "lobby.update") -> list[Json]:
        """Give the updates of a type so far."""
        return [update for update in self.memory.updates if update["type"] == kind]

    def hears_of(self, lobby_id: str) -> bool:
        """Say whether this connection follows a lobby."""
        return self.session.follows(("lobby", lobby_id))

    def changes(self) -> list[str]:
        """Give the kinds of the lobby changes so far."""
        return [update["change"]["kind"] for update in self.heard()]

    async def hear(self, change: str) -> Json:
        """Wait for a lobby change and give the lobby after it."""
        await self.until(lambda: change in self.changes())
        update = next(u for u in self.heard() if u["change"]["kind"] == change)
        found: Json = update["lobby"]
        return found

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self.memory.news.clear()
                await self.memory.news.wait()


class Hall:
    """One node; several may work on one database."""

    def __init__(
        self,
        database: Database,
        rls: RlsDatabase,
        tasks: Tasks,
        rulesets: Mapping[str, AnyRuleset],
        passwords: PasswordHasher,
        hub: MemoryHub | None,
    ) -> None:
        self.database = database
        self.rls = rls
        self.clock = MovableClock()
        self.store = LobbyStore(database, rls)
        self.subscriptions = Subscriptions(MemoryBroker(hub))
        self.events = LocalEventBus()
        self.log = EventLogWriter(database, writers=1)
        self.sessions = Sessions(
            clock=self.clock, tasks=tasks, rate=CommandRate(), events=self.events
        )
        self.games: list[NewGame] = []
        self.games_here: dict[LobbyId, GameId] = {}
        self.meanwhile: Callable[[NewGame], Awaitable[None]] | None = None
        self.connections = PlayerConnections(
            PresenceStore(database, node := f"hall {id(self)}"),
            node=node,
            sessions=self.sessions,
            subscriptions=self.subscriptions,
            events=self.events,
        )
        self.room = Lobbies(
            store=self.store,
            subscriptions=self.subscriptions,
            presence=self.sessions,
            elsewhere=self.connections,
            rulesets=rulesets,
            start_game=self.start_game,
            passwords=passwords,
            shared_limits=SharedLimits(self.subscriptions, self.clock.monotonic),
            clock=self.clock,
            tasks=tasks,
            games_here=lambda: self.games_here,
            events=self.events,
        )
        self.chat = ChatCommands(
            lobby_chat=self.room.chat,
            game_chat=self.subscriptions.kind("game-chat"),
            clock=self.clock,
            may_speak_in_lobby=self.room.may_speak,
            may_speak_in_game=self._nobody_plays,
        )
        self.events.add_listeners(
            {
                PlayerConnected: lambda event: self.room.player_connected(event.player_id),
                PlayerDisconnected: lambda event: self.room.player_disconnected(event.player_id),
                MemberKicked: self.room.maintenance.announce_kick,
            }
        )
        tables = LobbyCommands(self.room).routes() | self.chat.routes()
        self.sessions.routes = {type_of(command): route for command, route in tables.items()}

    async def catch_up(self) -> None:
        """Look once for what other nodes did."""
        subscribers = self.room.members._subscribers
        for source, kind in (
            (subscribers, subscribers._lobbies),
            (subscribers.public_list, subscribers.public_list._kind),
        ):
            if topics := kind.topics():
                await source.deliver_missed(topics)

    def listeners(self, lobby_id: str) -> int:
        """Count who follows a lobby here."""
        subscribers = self.room.members._subscribers
        counts = {
            len(topic) if (topic := kind.get(lobby_id)) is not None else 0
            for kind in (subscribers._lobbies, subscribers.chat)
        }
        (count,) = counts
        return count

    async def person(self, name: str = "Ann") -> Person:
        player_id = PlayerId(new_id())
        await self.run(
            """
            WITH account AS (INSERT INTO auth.users (id) VALUES ($1)),
            profile AS (INSERT INTO profiles (id) VALUES ($1))
            INSERT INTO players (id, user_id, display_name, avatar_seed, color)
            VALUES ($1, $1::uuid::text, $2, '', '')
            """,
            player_id,
            name,
        )
        return Person(self, player_id, name)

    async def people(self, count: int) -> list[Person]:
        return [await self.person(f"Person {n}") for n in range(count)]

    async def start_game(self, new: NewGame) -> GameId:
        """Make a game with one event, as the room of games does, after what comes between."""
        if self.meanwhile is not None:
            await self.meanwhile(new)
        game_id, now = GameId(new_id()), self.clock.now()
        row = GameRow(
            id=game_id,
            ruleset=new.ruleset,
            ruleset_version=1,
            seed="seed",
            config=new.config,
            node="hall",
            created_at=now,
            lobby_id=new.lobby_id,
            lobby_version=new.lobby_version,
            is_public=new.is_public,
            join_code=new.join_code,
            seats=new.seats,
            taken=len(new.players),
        )
        payload = canonical_json({"_v": 1})
        chained = link_hash(genesis_hash(game_id), 0, "game_created", payload)
        await self.log.create_game(row, [EventRow(0, "game_created", payload, now, chained)])
        self.games.append(new)
        return game_id

    async def run(self, statement: str, *values: object) -> list[Any]:
        async with self.database.acquire() as connection:
            return list(await connection.fetch(statement, *values))

    async def _nobody_plays(self, *_: object) -> bool:
        return False


@asynccontextmanager
async def open_hall(
    database: Database,
    rls: RlsDatabase,
    rulesets: Mapping[str, AnyRuleset] | None = None,
    *,
    hub: MemoryHub | None = None,
) -> AsyncIterator[Hall]:
    passwords = PasswordHasher()
    async with Tasks() as tasks:
        tasks.start_loop(passwords.run(), name="password hashing")
        rulesets = find_rulesets() if rulesets is None else rulesets
        hall = Hall(database, rls, tasks, rulesets, passwords, hub)
        tasks.start_loop(hall.store.run(), name="committing lobbies")
        tasks.start_loop(hall.log.run(), name="log")
        if hub is not None:
            tasks.start_loop(hall.subscriptions.broker.run(), name="broker")
            tasks.start_loop(hall.subscriptions.run(), name="subscriptions")
        yield hall


def without_code(lobby: Json) -> Json:
    """Give a lobby as an update has it."""
    return lobby | {"join_code": None}
