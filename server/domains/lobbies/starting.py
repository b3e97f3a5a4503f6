"""From an open lobby to its game."""

from collections.abc import Awaitable, Callable
from typing import Final

from persistence.lobbies import LobbyStore
from persistence.lobbyrows import Lobby
from persistence.newgame import LobbyChanged, NewGame
from protocol.errors import Overloaded
from protocol.ids import GameId, LobbyId, PlayerId
from server.domains.lobbies import rules
from server.domains.lobbies.catalog import Catalog
from server.domains.lobbies.changes import Changes, found

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
        raise Overloaded("The lobby keeps changing; nothing was started, send it again.")

    async def _made(self, lobby: Lobby) -> bool:
        game = rules.new_game(lobby, self._catalog.ruleset(lobby.ruleset).seats)
        try:
            await self._start_game(game)
        except LobbyChanged:
            return False
        return True
