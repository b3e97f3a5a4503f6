"""The one way in which a lobby changes: locked, decided, stored, told."""

from collections.abc import Callable
from dataclasses import replace

from persistence.lobbies import Lobby, LobbyStore
from protocol.errors import LobbyNotFound
from protocol.ids import LobbyId, PlayerId
from protocol.lobby import ChangeKind, LobbyChange, Role
from server.domains.lobbies import rules
from server.domains.lobbies.audience import Audience
from server.domains.lobbies.codes import add_with_code
from server.domains.lobbies.turns import Turns

Decide = Callable[[Lobby], Lobby]


def found(lobby: Lobby | None) -> Lobby:
    """Refuse where there is no lobby."""
    if lobby is None:
        raise LobbyNotFound
    return lobby


class Changes:
    """Changes lobbies, one at a time each, and tells of it in the order of the versions."""

    def __init__(self, store: LobbyStore, audience: Audience) -> None:
        self.turns = Turns()
        self._store = store
        self._audience = audience

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
            self._tell_if_changed(before, after, "joined", player_id)
        return after

    async def apply(
        self, lobby_id: LobbyId, decide: Decide, kind: ChangeKind, player_id: PlayerId | None = None
    ) -> Lobby:
        """Carry out what a rule decides; a lobby that comes to be closed is told as `closed`."""
        async with self.turns.of(lobby_id):
            async with self._store.work() as work:
                before = found(await work.lobby(lobby_id))
                after = await work.save(before, decide(before))
            self._tell_if_changed(before, after, kind, player_id)
        return after

    def tell(self, lobby: Lobby, kind: ChangeKind, player_id: PlayerId | None = None) -> None:
        """Tell of a change that was stored."""
        self._audience.tell(lobby, LobbyChange(kind=kind, player_id=player_id))

    def _tell_if_changed(
        self, before: Lobby, after: Lobby, kind: ChangeKind, player_id: PlayerId | None
    ) -> None:
        if after.version == before.version:
            return
        change = LobbyChange(
            kind="closed" if after.status == "CLOSED" else kind, player_id=player_id
        )
        self._audience.tell(after, change, was_public=before.is_public)
