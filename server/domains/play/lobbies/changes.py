"""How a lobby changes: locked, decided, stored, published; and how its game starts."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from persistence.games.model import LobbyChanged, NewGame
from persistence.lobbies.model import Lobby
from persistence.lobbies.store import LobbyStore
from protocol.errors import LobbyNotFound, Overloaded
from protocol.ids import GameId, LobbyId, PlayerId
from protocol.lobbies import ChangeKind, LobbyChange, Reason, Role
from server.core.keyed_lock import KeyedLock
from server.domains.play.lobbies import rules
from server.domains.play.lobbies.catalog import Catalog
from server.domains.play.lobbies.codes import add_with_code
from server.domains.play.lobbies.subscribers import LobbySubscribers

Decide = Callable[[Lobby], Lobby]


def found(lobby: Lobby | None) -> Lobby:
    """Refuse where there is no lobby."""
    if lobby is None:
        raise LobbyNotFound
    return lobby


class Changes:
    """Changes lobbies, one at a time each, and tells of it in the order of the versions."""

    def __init__(self, store: LobbyStore, subscribers: LobbySubscribers) -> None:
        self.turns = KeyedLock()
        self._store = store
        self._subscribers = subscribers

    async def open(self, draft: Lobby, host: PlayerId) -> Lobby:
        """Open a lobby for its host."""
        async with self._store.work() as work:
            joiner = await work.player(host)
            seated = rules.joined(draft, joiner, "player")
            lobby = await add_with_code(work, replace(seated, host_player_id=host))
        self.tell(lobby, "created", host)
        return lobby

    async def enter(self, lobby_id: LobbyId, player_id: PlayerId, role: Role) -> Lobby:
        """Let somebody into a lobby."""
        async with self.turns.of(lobby_id):
            async with self._store.work() as work:
                joiner = await work.player(player_id)
                before = found(await work.lobby(lobby_id))
                after = await work.save(before, rules.joined(before, joiner, role))
            self.tell_if_changed(before, after, "joined", player_id)
        return after

    async def apply(
        self,
        lobby_id: LobbyId,
        decide: Decide,
        kind: ChangeKind,
        player_id: PlayerId | None = None,
        *,
        reason: Reason | None = None,
    ) -> Lobby:
        """Carry out what a rule decides; a lobby that comes to be closed is told as `closed`."""
        async with self.turns.of(lobby_id):
            async with self._store.work() as work:
                before = found(await work.lobby(lobby_id))
                after = await work.save(before, decide(before))
            self.tell_if_changed(before, after, kind, player_id, reason=reason)
        return after

    def tell(
        self,
        lobby: Lobby,
        kind: ChangeKind,
        player_id: PlayerId | None = None,
        *,
        before: Lobby | None = None,
        reason: Reason | None = None,
    ) -> None:
        """Tell of a change that was stored; `before` is None for a lobby that is new."""
        change = LobbyChange(kind=kind, player_id=player_id, reason=reason)
        self._subscribers.tell(lobby, change, before=before)

    def tell_if_changed(
        self,
        before: Lobby,
        after: Lobby,
        kind: ChangeKind,
        player_id: PlayerId | None = None,
        *,
        reason: Reason | None = None,
    ) -> None:
        """Tell of a change, if it was one; that a lobby comes to be closed is told as that."""
        if after.version == before.version:
            return
        told: ChangeKind = "closed" if after.status == "CLOSED" else kind
        self.tell(after, told, player_id, before=before, reason=reason)


StartGame = Callable[[NewGame], Awaitable[GameId]]
Check = Callable[[Lobby], None]

TRIES: Final = 5


class Starter:
    """Starts games. What a lobby was read as is what its game is made of, or it is read again."""

    def __init__(
        self, *, store: LobbyStore, changes: Changes, catalog: Catalog, start_game: StartGame
    ) -> None:
        self._store = store
        self._changes = changes
        self._catalog = catalog
        self._start_game = start_game

    async def start(
        self, lobby_id: LobbyId, check: Check | None = None, host: PlayerId | None = None
    ) -> Lobby:
        """Start an open lobby's game, unless the check or the rules refuse."""
        async with self._changes.turns.of(lobby_id):
            for _ in range(TRIES):
                lobby = found(await self._store.read(lobby_id))
                if check is not None:
                    check(lobby)
                if await self._made(lobby):
                    started = found(await self._store.read(lobby_id))
                    self._changes.tell(started, "started", host, before=lobby)
                    return started
        raise Overloaded("The lobby is changing too often and nothing was started; try again.")

    async def _made(self, lobby: Lobby) -> bool:
        game = rules.new_game(lobby, self._catalog.ruleset(lobby.ruleset).seats)
        try:
            await self._start_game(game)
        except LobbyChanged:
            return False
        return True
