"""What the host of a peer lobby asks: an address, sessions and their results, the way back."""

from functools import partial

from persistence.lobbies import LobbyStore
from persistence.lobbyrows import Lobby
from protocol.ids import LobbyId, MatchId, PlayerId, new_id
from protocol.peerlobby import Report
from server.domains.lobbies import peerrules, rules
from server.domains.lobbies.catalog import Catalog, checked_config
from server.domains.lobbies.changes import Changes, found
from server.domains.lobbies.starting import Starter
from server.kernel.clock import Clock


class Peers:
    """Carries out the wishes of peer lobbies' hosts."""

    def __init__(
        self,
        store: LobbyStore,
        changes: Changes,
        *,
        starter: Starter,
        catalog: Catalog,
        clock: Clock,
    ) -> None:
        self._store = store
        self._changes = changes
        self._starter = starter
        self._catalog = catalog
        self._clock = clock

    async def register(self, host: PlayerId, lobby_id: LobbyId, peer_id: str) -> Lobby:
        """Note where the members reach the host."""
        decide = partial(peerrules.with_peer, host=host, peer_id=peer_id)
        lobby = await self._changes.apply(lobby_id, decide, "peer_registered", host)
        await self._store.host_beat(lobby_id, host)
        return lobby

    async def heartbeat(self, host: PlayerId, lobby_id: LobbyId) -> None:
        """Show that the host's machine still runs the lobby."""
        if not await self._store.host_beat(lobby_id, host):
            peerrules.require_peer_host(found(await self._store.read(lobby_id)), host)

    async def start(self, host: PlayerId, lobby_id: LobbyId) -> Lobby:
        """Begin a session."""
        match_id, now = MatchId(new_id()), self._clock.now()
        decide = partial(peerrules.begun, host=host, match_id=match_id, started_at=now)
        return await self._changes.apply(lobby_id, decide, "started", host)

    async def report(self, host: PlayerId, report: Report) -> Lobby:
        """Put a session's result on record, once; the lobby is open again."""
        async with self._changes.turns.of(report.lobby_id):
            async with self._store.work() as work:
                before = found(await work.lobby(report.lobby_id))
                rules.member_of(before, host)
                if await work.has_match(report.lobby_id, report.match_id):
                    return before
                after, match = peerrules.ended(before, host, report, self._clock.now())
                await work.add_match(match)
                after = await work.save(before, after)
            self._changes.tell_if_changed(before, after, "reported", host)
        return after

    async def may_upload_replay(self, match_id: MatchId, player_id: PlayerId) -> bool:
        """Say whether a match between peers is on record as this player reported it."""
        return await self._store.is_reporter(match_id, player_id)

    async def fall_back(self, host: PlayerId, lobby_id: LobbyId) -> Lobby:
        """Play on the server, under the same lobby."""
        config = checked_config(self._catalog.ruleset(peerrules.RELAY), {})
        decide = partial(peerrules.fallen_back, host=host, config=config)
        lobby = await self._changes.apply(lobby_id, decide, "fell_back", host)
        if lobby.status == "PLAYING":
            return lobby
        check = partial(rules.require_all_ready, host=host)
        return await self._starter.start(lobby_id, check, host)
