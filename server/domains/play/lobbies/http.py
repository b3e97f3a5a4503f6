"""Lobbies over HTTP: the public list, one lobby, opening and joining, and access to its peers."""

from protocol import lobbies as wire
from protocol.errors import (
    InvalidField,
    Kicked,
    LobbyClosed,
    LobbyFull,
    LobbyNotFound,
    NotAMember,
    Overloaded,
    RateLimited,
    TooManyLobbies,
    UnknownRuleset,
    WrongPassword,
)
from protocol.lobbies import LobbyPath
from protocol.peer_lobbies import Access
from protocol.signaling import NoSignaling, PeerAccess
from server.domains.play.lobbies import views
from server.domains.play.lobbies.lobbies import Lobbies
from server.domains.play.lobbies.peers import PeerAccessControl
from server.gateway.http.endpoints import Endpoint, HttpRequest
from server.gateway.session.sessions import CommandRoute, Routes, Session

TAG = "lobbies"


class LobbyRoutes:
    """The addresses of lobbies. Live changes, and everything else, are on the websocket."""

    def __init__(self, lobbies: Lobbies) -> None:
        self._members = lobbies.members
        self._reader = lobbies.reader

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        return [*self._to_read(), *self._to_enter()]

    def _to_read(self) -> list[Endpoint]:
        return [
            Endpoint(
                "GET",
                "/v1/lobbies",
                "List public lobbies, newest first.",
                self._list,
                auth="none",
                query=wire.ListQuery,
                answer=wire.LobbyPage,
                errors=(InvalidField,),
                tag=TAG,
            ),
            Endpoint(
                "GET",
                "/v1/lobbies/{lobby_id}",
                "Read a lobby that you may see.",
                self._read,
                answer=wire.Lobby,
                errors=(LobbyNotFound, Kicked, InvalidField),
                tag=TAG,
            ),
        ]

    def _to_enter(self) -> list[Endpoint]:
        return [
            Endpoint(
                "POST",
                "/v1/lobbies",
                "Create a lobby and join it as its host.",
                self._create,
                auth="required",
                body=wire.NewLobby,
                answer=wire.Lobby,
                errors=(InvalidField, UnknownRuleset, TooManyLobbies, RateLimited, Overloaded),
                tag=TAG,
            ),
            Endpoint(
                "POST",
                "/v1/lobbies/join",
                "Join a lobby by code, or a public lobby by id.",
                self._join,
                auth="required",
                body=wire.Joining,
                answer=wire.Lobby,
                errors=(
                    InvalidField,
                    LobbyNotFound,
                    LobbyClosed,
                    LobbyFull,
                    WrongPassword,
                    Kicked,
                    TooManyLobbies,
                    RateLimited,
                    Overloaded,
                ),
                tag=TAG,
            ),
        ]

    async def _list(self, request: HttpRequest) -> wire.LobbyPage:
        return await self._reader.read_page(request.query)

    async def _read(self, request: HttpRequest) -> wire.Lobby:
        who = None if request.identity is None else request.identity.player_id
        path = request.parse_path(wire.LobbyPath)
        return views.lobby_for(await self._reader.read_lobby(path.lobby_id, who), who)

    async def _create(self, request: HttpRequest) -> wire.Lobby:
        who = request.who.player_id
        return views.lobby_for(
            await self._members.create(who, request.body, remote=request.remote), who
        )

    async def _join(self, request: HttpRequest) -> wire.Lobby:
        who = request.who.player_id
        return views.lobby_for(
            await self._members.join(who, request.body, remote=request.remote), who
        )


class PeerRoutes:
    """The ways in which members of peer lobbies ask; pages of other origins have the second."""

    def __init__(self, peers: PeerAccessControl) -> None:
        self._peers = peers

    def endpoints(self) -> list[Endpoint]:
        """List it."""
        return [
            Endpoint(
                "GET",
                "/v1/lobbies/{lobby_id}/peer-access",
                "Get a token and ICE servers for reaching the peers of your lobby.",
                self._issue,
                auth="required",
                answer=PeerAccess,
                errors=(NoSignaling, LobbyNotFound, Kicked, NotAMember, LobbyClosed, InvalidField),
                tag="lobbies",
            )
        ]

    def routes(self) -> Routes:
        """Say how the command is carried out."""
        return {Access: CommandRoute(awaited=self._access)}

    async def _access(self, session: "Session", command: Access) -> dict[str, object]:
        return (await self._peers.issue(session.who, command.lobby_id)).model_dump()

    async def _issue(self, request: HttpRequest) -> PeerAccess:
        path = request.parse_path(LobbyPath)
        return await self._peers.issue(request.who, path.lobby_id)
