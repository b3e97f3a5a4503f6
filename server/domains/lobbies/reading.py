"""What anybody may look at: lobbies, the public list, and both live."""

from persistence.lobbies import LobbyStore
from persistence.lobbyrows import Lobby
from protocol.ids import LobbyId, PlayerId
from protocol.lobby import ListFilter, ListQuery, LobbyPage
from server.domains.lobbies.access import seen
from server.domains.lobbies.audience import Audience, Follower
from server.domains.lobbies.listing import page, place_of


class Reader:
    """Reads lobbies. Following comes before reading, so that no change is missed between."""

    def __init__(self, store: LobbyStore, audience: Audience) -> None:
        self._store = store
        self._audience = audience

    async def lobby(self, lobby_id: LobbyId, player_id: PlayerId | None) -> Lobby:
        """Read a lobby that somebody may see."""
        return seen(await self._store.read(lobby_id), player_id)

    async def page(self, query: ListQuery) -> LobbyPage:
        """Read a page of the public list."""
        return page(await self._store.cards(query, place_of(query.cursor)), query.limit)

    async def watch(self, follower: Follower, lobby_id: LobbyId) -> Lobby:
        """Follow a lobby that the follower's player may see, and read it."""
        self._audience.require_room(follower)
        await self.lobby(lobby_id, follower.who.player_id)
        self._audience.follow(follower, lobby_id)
        try:
            lobby = await self.lobby(lobby_id, follower.who.player_id)
        except BaseException:
            self._audience.unfollow(follower, lobby_id)
            raise
        self._audience.read(lobby)
        if lobby.status == "CLOSED":  # there is nothing more to come
            self._audience.unfollow(follower, lobby_id)
        return lobby

    async def watch_list(self, follower: Follower, look_for: ListFilter) -> LobbyPage:
        """Follow the public list, and read the newest of what is looked for."""
        self._audience.follow_list(follower, look_for)
        return await self.page(ListQuery(**look_for.model_dump()))

    def unwatch(self, follower: Follower, lobby_id: LobbyId | None) -> None:
        """Stop following a lobby, or the list."""
        if lobby_id is None:
            self._audience.unfollow_list(follower)
        else:
            self._audience.unfollow(follower, lobby_id)
