"""How a lobby changes: locked, decided, stored, published; and how its game starts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from secrets import choice
from typing import Final

from persistence.games.model import LobbyChanged, NewGame
from persistence.lobbies.model import Lobby
from persistence.lobbies.store import LobbyStore, LobbyTransaction
from protocol.errors import LobbyNotFound, Overloaded
from protocol.ids import GameId, LobbyId, PlayerId
from protocol.lobbies import ChangeKind, LobbyChange, Reason, Role
from server.domains.play.lobbies import rules
from server.domains.play.lobbies.catalog import RulesetCatalog
from server.domains.play.lobbies.subscribers import LobbySubscribers

Decide = Callable[[Lobby], Lobby]


def require_found(lobby: Lobby | None) -> Lobby:
    """Refuse where there is no lobby."""
    if lobby is None:
        raise LobbyNotFound
    return lobby


# Join codes are read out to friends: without 0 and O, 1 and I, which look alike.
ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
CODE_CHARS: Final = 6
DRAWS_MAX: Final = 8


def draw_join_code() -> str:
    """Draw a code that nobody can guess."""
    return "".join(choice(ALPHABET) for _ in range(CODE_CHARS))


async def add_with_code(transaction: LobbyTransaction, lobby: Lobby) -> Lobby:
    """Add a lobby under a code that no other lobby has until it is closed."""
    for _ in range(DRAWS_MAX):
        coded = replace(lobby, join_code=draw_join_code())
        if await transaction.add(coded):
            return coded
    raise Overloaded


WAITING_MAX: Final = 500  # for one thing


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class KeyedLock:
    """Lets this node do one thing at a time to each of many things.

    The database keeps changes apart by itself. Taking turns here as well lets updates go
    out in the order of their versions, and lets a crowd at one lobby wait without holding
    a connection each.
    """

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Wait for one's turn; refuse where too many wait already."""
        turn = self._turns.setdefault(key, _Turn())
        if turn.waiting >= WAITING_MAX:
            raise Overloaded
        turn.waiting += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[key]


class LobbyChanges:
    """Changes lobbies, one at a time each, and publishes that in the order of the versions."""

    def __init__(self, store: LobbyStore, subscribers: LobbySubscribers) -> None:
        self.turns = KeyedLock()
        self._store = store
        self._subscribers = subscribers

    async def open_lobby(self, draft: Lobby, host: PlayerId) -> Lobby:
        """Open a lobby for its host."""
        async with self._store.transaction() as transaction:
            joiner = await transaction.lock_player(host)
            seated = rules.join_lobby(draft, joiner, "player")
            lobby = await add_with_code(transaction, replace(seated, host_player_id=host))
        self.publish(lobby, "created", host)
        return lobby

    async def enter_lobby(
        self, lobby_id: LobbyId, player_id: PlayerId, role: Role, table: int | None = None
    ) -> Lobby:
        """Let somebody into a lobby, to any of its tables if None."""
        async with self.turns.hold(lobby_id):
            async with self._store.transaction() as transaction:
                joiner = await transaction.lock_player(player_id)
                before = require_found(await transaction.lock_lobby(lobby_id))
                decided = rules.join_lobby(before, joiner, role, table)
                after = await transaction.save(before, decided)
            self.publish_if_changed(before, after, "joined", player_id)
        return after

    async def apply_rule(
        self,
        lobby_id: LobbyId,
        decide: Decide,
        kind: ChangeKind,
        player_id: PlayerId | None = None,
        *,
        reason: Reason | None = None,
    ) -> Lobby:
        """Carry out what a rule decides; a lobby that is closed by it is published as `closed`."""
        async with self.turns.hold(lobby_id):
            async with self._store.transaction() as transaction:
                before = require_found(await transaction.lock_lobby(lobby_id))
                after = await transaction.save(before, decide(before))
            self.publish_if_changed(before, after, kind, player_id, reason=reason)
        return after

    async def publish_table(
        self, of_table: Lobby, kind: ChangeKind, player_id: PlayerId | None = None
    ) -> None:
        """Publish that a table's game started or ended, to who is in the lobby with the tables.

        `of_table` is the lobby of that game. What it means for the other one is stored already.
        """
        if of_table.table_of is None:
            return
        async with self.turns.hold(of_table.table_of):
            lobby = require_found(await self._store.read(of_table.table_of))
            if lobby.status != "CLOSED":
                change = LobbyChange(kind=kind, player_id=player_id, table=of_table.table_no)
                self._subscribers.publish(lobby, change, before=lobby)

    def publish(
        self,
        lobby: Lobby,
        kind: ChangeKind,
        player_id: PlayerId | None = None,
        *,
        before: Lobby | None = None,
        reason: Reason | None = None,
    ) -> None:
        """Publish a change that was stored; `before` is None for a lobby that is new."""
        change = LobbyChange(kind=kind, player_id=player_id, reason=reason)
        self._subscribers.publish(lobby, change, before=before)

    def publish_if_changed(
        self,
        before: Lobby,
        after: Lobby,
        kind: ChangeKind,
        player_id: PlayerId | None = None,
        *,
        reason: Reason | None = None,
    ) -> None:
        """Publish a change, if it was one; of a lobby that is closed by it, as `closed`."""
        if after.version == before.version:
            return
        published: ChangeKind = "closed" if after.status == "CLOSED" else kind
        self.publish(after, published, player_id, before=before, reason=reason)


StartGame = Callable[[NewGame], Awaitable[GameId]]
Check = Callable[[Lobby], None]

TRIES: Final = 5


class LobbyGameStarter:
    """Starts games. What a lobby was read as is what its game is made of, or it is read again."""

    def __init__(
        self,
        *,
        store: LobbyStore,
        changes: LobbyChanges,
        catalog: RulesetCatalog,
        start_game: StartGame,
    ) -> None:
        self._store = store
        self._changes = changes
        self._catalog = catalog
        self._start_game = start_game

    async def start(
        self, lobby_id: LobbyId, check: Check | None = None, host: PlayerId | None = None
    ) -> Lobby:
        """Start an open lobby's game, unless the check or the rules refuse."""
        async with self._changes.turns.hold(lobby_id):
            for _ in range(TRIES):
                lobby = require_found(await self._store.read(lobby_id))
                if check is not None:
                    check(lobby)
                if await self._made(lobby):
                    started = require_found(await self._store.read(lobby_id))
                    self._changes.publish(started, "started", host, before=lobby)
                    break
            else:
                raise Overloaded(
                    "The lobby is changing too often and nothing was started; try again."
                )
        await self._changes.publish_table(started, "started", host)
        return started

    async def _made(self, lobby: Lobby) -> bool:
        game = rules.build_new_game(lobby, self._catalog.ruleset(lobby.ruleset).seats)
        try:
            await self._start_game(game)
        except LobbyChanged:
            return False
        return True
