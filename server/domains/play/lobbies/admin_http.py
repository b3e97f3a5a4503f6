"""`/v1/admin/lobbies`: all lobbies, private ones too, and closing one."""

from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from persistence.lobbies.model import LobbyListPosition
from protocol import operations as wire
from protocol.errors import Forbidden, InvalidField, LobbyClosed, LobbyNotFound
from protocol.lobbies import Lobby, LobbyPath
from server.core.clock import wire_fields
from server.core.cursors import CursorCodec
from server.domains.play.lobbies import views
from server.domains.play.lobbies.lobbies import Lobbies
from server.gateway.http.endpoints import Endpoint, HttpRequest

_CURSOR: Final = CursorCodec("admin-lobbies", LobbyListPosition, datetime, UUID)


class LobbyAdminRoutes:
    """The addresses for moderators and admins."""

    def __init__(self, lobbies: Lobbies) -> None:
        self._members = lobbies.members
        self._reader = lobbies.reader

    def endpoints(self) -> list[Endpoint]:
        """List them."""
        make = partial(Endpoint, auth="required", scope="moderator", tag="operations")
        return [
            make(
                "GET",
                "/v1/admin/lobbies",
                "List lobbies, public or not, newest first.",
                self._list,
                query=wire.AdminLobbiesQuery,
                answer=wire.AdminLobbies,
                errors=(Forbidden, InvalidField),
            ),
            make(
                "POST",
                "/v1/admin/lobbies/{lobby_id}/close",
                "Close a lobby whose game is not running on the server.",
                self._close,
                body=wire.ReasonRequest,
                answer=Lobby,
                errors=(Forbidden, LobbyNotFound, LobbyClosed, InvalidField),
            ),
        ]

    async def _list(self, request: HttpRequest) -> wire.AdminLobbies:
        query: wire.AdminLobbiesQuery = request.query
        lobbies = await self._reader.list_for_operators(
            status=query.status,
            text=query.text.strip(),
            after=None if query.cursor is None else _CURSOR.read(query.cursor),
            limit=query.limit,
        )
        return wire.AdminLobbies(
            lobbies=[wire.AdminLobby(**wire_fields(lobby)) for lobby in lobbies],
            next=_CURSOR.after_page(
                lobbies, query.limit, lambda last: LobbyListPosition(last.created_at, last.lobby_id)
            ),
        )

    async def _close(self, request: HttpRequest) -> Lobby:
        lobby_id = request.parse_path(LobbyPath).lobby_id
        closed = await self._members.close_by_operator(
            lobby_id, request.body.reason, actor=request.who.user_id
        )
        return views.lobby_for(closed, None)
