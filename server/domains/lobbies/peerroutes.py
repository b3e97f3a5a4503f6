"""`peer-access`, as an address and as a command: what a member needs to signal."""

from typing import TYPE_CHECKING

from protocol.codec import validate
from protocol.errors import InvalidField, Kicked, LobbyClosed, LobbyNotFound, NotAMember
from protocol.lobby import LobbyPath
from protocol.peeraccess import PeerAccess
from protocol.peererrors import NoSignaling
from protocol.peerlobby import Access
from server.domains.lobbies.peeraccess import PeerDoor
from server.gateway.dispatch import Route, Routes
from server.gateway.http import Endpoint, HttpRequest

if TYPE_CHECKING:
    from server.gateway.session import Session


class PeerRoutes:
    """The ways in which members of peer lobbies ask; pages of other origins have the second."""

    def __init__(self, door: PeerDoor) -> None:
        self._door = door

    def endpoints(self) -> list[Endpoint]:
        """List it."""
        return [
            Endpoint(
                "GET",
                "/v1/lobbies/{lobby_id}/peer-access",
                "Get a token and ICE servers to reach the peers of your lobby.",
                self._give,
                auth="required",
                answer=PeerAccess,
                errors=(NoSignaling, LobbyNotFound, Kicked, NotAMember, LobbyClosed, InvalidField),
                tag="lobbies",
            )
        ]

    def routes(self) -> Routes:
        """Say how the command is carried out."""
        return {Access: Route(awaited=self._tell)}

    async def _tell(self, session: "Session", command: Access) -> dict[str, object]:
        return (await self._door.give(session.who, command.lobby_id)).model_dump()

    async def _give(self, request: HttpRequest) -> PeerAccess:
        path = validate(LobbyPath, dict(request.path))
        return await self._door.give(request.who, path.lobby_id)
