"""`lobby.*`: the websocket commands of lobbies and of peer lobbies."""

from persistence.lobbies.model import Lobby
from protocol import lobbies as wire
from protocol import peer_lobbies as peer_wire
from protocol.envelope import Command
from protocol.lobbies import LobbyReply
from server.domains.play.lobbies import views
from server.domains.play.lobbies.lobbies import Lobbies
from server.domains.play.lobbies.peers import PeerLobbyService
from server.gateway.session.sessions import CommandRoute, Routes, Session

# What takes a search, or a password to be hashed, takes more from the rate limit.
SEARCH_COST = 2.0
ENTRY_COST = 5.0


class LobbyCommands:
    """The commands of lobbies, for whoever is on the connection."""

    def __init__(self, lobbies: Lobbies) -> None:
        self._members = lobbies.members
        self._reader = lobbies.reader
        self._peers = PeerCommands(lobbies.peers)

    def routes(self) -> Routes:
        """Say how each command is carried out."""
        return {
            wire.List: CommandRoute(awaited=self._list, cost=SEARCH_COST),
            wire.Watch: CommandRoute(awaited=self._watch, cost=SEARCH_COST),
            wire.Unwatch: CommandRoute(awaited=self._unwatch),
            wire.Create: CommandRoute(awaited=self._create, cost=ENTRY_COST),
            wire.Join: CommandRoute(awaited=self._join, cost=ENTRY_COST),
            wire.QuickPlay: CommandRoute(awaited=self._quick_play, cost=ENTRY_COST),
            wire.Leave: CommandRoute(awaited=self._leave),
            wire.Ready: CommandRoute(awaited=self._ready),
            wire.Kick: CommandRoute(awaited=self._kick),
            wire.AddBot: CommandRoute(awaited=self._add_bot),
            wire.RemoveBot: CommandRoute(awaited=self._remove_bot),
            wire.Configure: CommandRoute(awaited=self._configure),
            wire.Start: CommandRoute(awaited=self._start),
            wire.Close: CommandRoute(awaited=self._close),
            **self._peers.routes(),
        }

    async def _list(self, _: "Session", command: wire.List) -> wire.LobbyListReply:
        page = await self._reader.read_page(command)
        return wire.LobbyListReply(re=command.id, lobbies=page.lobbies, next=page.next)

    async def _watch(self, session: "Session", command: wire.Watch) -> wire.WatchReply:
        if command.lobby_id is None:
            page = await self._reader.watch_list(session, _filter(command))
            return wire.WatchReply(re=command.id, lobby=None, lobbies=page.lobbies)
        lobby = await self._reader.watch(session, command.lobby_id)
        shown = views.lobby_for(lobby, session.who.player_id)
        return wire.WatchReply(re=command.id, lobby=shown, lobbies=None)

    async def _unwatch(self, session: "Session", command: wire.Unwatch) -> None:
        self._reader.unwatch(session, command.lobby_id)

    async def _create(self, session: "Session", command: wire.Create) -> wire.LobbyReply:
        lobby = await self._members.create(
            session.who.player_id, command, remote=session.socket.remote
        )
        return _reply(session, command, lobby)

    async def _join(self, session: "Session", command: wire.Join) -> wire.LobbyReply:
        lobby = await self._members.join(
            session.who.player_id, command, remote=session.socket.remote
        )
        return _reply(session, command, lobby)

    async def _quick_play(self, session: "Session", command: wire.QuickPlay) -> wire.LobbyReply:
        lobby = await self._members.quick_play(session.who.player_id, command)
        return _reply(session, command, lobby)

    async def _leave(self, session: "Session", command: wire.Leave) -> None:
        await self._members.leave(session.who.player_id, command.lobby_id)

    async def _ready(self, session: "Session", command: wire.Ready) -> wire.LobbyReply:
        who = session.who.player_id
        lobby = await self._members.ready(who, command.lobby_id, command.ready)
        return _reply(session, command, lobby)

    async def _kick(self, session: "Session", command: wire.Kick) -> wire.LobbyReply:
        lobby = await self._members.kick(session.who.player_id, command)
        return _reply(session, command, lobby)

    async def _add_bot(self, session: "Session", command: wire.AddBot) -> wire.LobbyReply:
        lobby = await self._members.add_bot(session.who.player_id, command)
        return _reply(session, command, lobby)

    async def _remove_bot(self, session: "Session", command: wire.RemoveBot) -> wire.LobbyReply:
        lobby = await self._members.remove_bot(session.who.player_id, command)
        return _reply(session, command, lobby)

    async def _configure(self, session: "Session", command: wire.Configure) -> wire.LobbyReply:
        lobby = await self._members.configure(session.who.player_id, command)
        return _reply(session, command, lobby)

    async def _start(self, session: "Session", command: wire.Start) -> wire.LobbyReply:
        lobby = await self._members.start(session.who.player_id, command)
        return _reply(session, command, lobby)

    async def _close(self, session: "Session", command: wire.Close) -> None:
        await self._members.close(session.who, command.lobby_id)


def _filter(command: wire.Watch) -> wire.ListFilter:
    """Take the filter alone from a command."""
    return wire.ListFilter(**command.model_dump(include=set(wire.ListFilter.model_fields)))


def _reply(session: "Session", command: Command, lobby: Lobby) -> wire.LobbyReply:
    shown = views.lobby_for(lobby, session.who.player_id)
    return wire.LobbyReply(re=command.id, lobby=shown)


class PeerCommands:
    """The commands of peer lobbies, for whoever is on the connection."""

    def __init__(self, peers: PeerLobbyService) -> None:
        self._peers = peers

    def routes(self) -> Routes:
        """Say how each command is carried out."""
        return {
            peer_wire.RegisterPeer: CommandRoute(awaited=self._register),
            peer_wire.Heartbeat: CommandRoute(awaited=self._heartbeat),
            peer_wire.Report: CommandRoute(awaited=self._report),
            peer_wire.Fallback: CommandRoute(awaited=self._fall_back),
        }

    async def _register(self, session: "Session", command: peer_wire.RegisterPeer) -> LobbyReply:
        who = session.who.player_id
        lobby = await self._peers.register(who, command.lobby_id, command.peer_id)
        return LobbyReply(re=command.id, lobby=views.lobby_for(lobby, who))

    async def _heartbeat(self, session: "Session", command: peer_wire.Heartbeat) -> None:
        await self._peers.heartbeat(session.who.player_id, command.lobby_id)

    async def _report(self, session: "Session", command: peer_wire.Report) -> peer_wire.ReportReply:
        who = session.who.player_id
        shown = views.lobby_for(await self._peers.report(who, command), who)
        return peer_wire.ReportReply(re=command.id, match_id=command.match_id, lobby=shown)

    async def _fall_back(self, session: "Session", command: peer_wire.Fallback) -> LobbyReply:
        who = session.who.player_id
        lobby = await self._peers.fall_back(who, command.lobby_id)
        return LobbyReply(re=command.id, lobby=views.lobby_for(lobby, who))
