"""`/v1/lobbies/{lobby_id}/peer-access`: what a member needs to signal."""

from protocol.codec import validate
from protocol.errors import InvalidField, Kicked, LobbyClosed, LobbyNotFound, NotAMember
from protocol.lobby import LobbyPath
from protocol.peeraccess import PeerAccess
from protocol.peererrors import NoSignaling
from server.domains.lobbies.peeraccess import PeerDoor
from server.gateway.http import Endpoint, HttpRequest


class PeerRoutes:
    """The address that members of peer lobbies ask."""

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

    async def _give(self, request: HttpRequest) -> PeerAccess:
        path = validate(LobbyPath, dict(request.path))
        return await self._door.give(request.who, path.lobby_id)
