"""`lobby.register_peer`, `.heartbeat`, `.report` and `.fallback`: commands of peer lobbies."""

from typing import TYPE_CHECKING

from protocol import peerlobby as wire
from protocol.lobby import LobbyReply
from server.domains.lobbies import views
from server.domains.lobbies.peers import Peers
from server.gateway.dispatch import Route, Routes

if TYPE_CHECKING:
    from server.gateway.session import Session


class PeerCommands:
    """The commands of peer lobbies, for whoever is on the connection."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    def routes(self) -> Routes:
        """Say how each command is carried out."""
        return {
            wire.RegisterPeer: Route(awaited=self._register),
            wire.Heartbeat: Route(awaited=self._heartbeat),
            wire.Report: Route(awaited=self._report),
            wire.Fallback: Route(awaited=self._fall_back),
        }

    async def _register(self, session: "Session", command: wire.RegisterPeer) -> LobbyReply:
        who = session.who.player_id
        lobby = await self._peers.register(who, command.lobby_id, command.peer_id)
        return LobbyReply(re=command.id, lobby=views.lobby_for(lobby, who))

    async def _heartbeat(self, session: "Session", command: wire.Heartbeat) -> None:
        await self._peers.heartbeat(session.who.player_id, command.lobby_id)

    async def _report(self, session: "Session", command: wire.Report) -> wire.ReportReply:
        who = session.who.player_id
        shown = views.lobby_for(await self._peers.report(who, command), who)
        return wire.ReportReply(re=command.id, match_id=command.match_id, lobby=shown)

    async def _fall_back(self, session: "Session", command: wire.Fallback) -> LobbyReply:
        who = session.who.player_id
        lobby = await self._peers.fall_back(who, command.lobby_id)
        return LobbyReply(re=command.id, lobby=views.lobby_for(lobby, who))
