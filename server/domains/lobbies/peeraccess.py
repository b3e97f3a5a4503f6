"""Who may signal for a peer lobby, and where: its members get tokens, and are asked about later."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

from persistence.lobbies import LobbyStore
from protocol.errors import BadToken, InvalidField, LobbyClosed, NotAMember
from protocol.ids import LobbyId
from protocol.peeraccess import Admission, PeerAccess
from protocol.peererrors import NoSignaling
from server.domains.lobbies.access import seen
from server.domains.lobbies.ice import Ice
from server.gateway.identity import Identity
from server.kernel.clock import Clock


class Pass(Protocol):
    """A signed token."""

    @property
    def token(self) -> str:
        """The token."""

    @property
    def expires_at(self) -> str:
        """Until when it is good."""


Write = Callable[[Mapping[str, str]], Pass]
Read = Callable[[str], Awaitable[Mapping[str, str]]]


class PeerDoor:
    """Gives members of peer lobbies what they need to signal.

    `key` is which PeerJS key, `server` says where clients reach this node.
    """

    def __init__(
        self,
        store: LobbyStore,
        *,
        key: str,
        ice: Ice,
        write: Write,
        read: Read,
        clock: Clock,
        server: Callable[[], str],
    ) -> None:
        self._store = store
        self._key = key
        self._ice = ice
        self._write = write
        self._read = read
        self._clock = clock
        self._server = server

    async def give(self, who: Identity, lobby_id: LobbyId) -> PeerAccess:
        """Write a token for a member of a peer lobby that is not closed."""
        if not self._key:
            raise NoSignaling
        await self._require_member(who, lobby_id)
        claims = {"lobby": lobby_id, "pid": who.player_id, "sid": who.session_id}
        written = self._write(claims)
        return PeerAccess(
            url=await self._store.peers_meet_at(lobby_id) or self._server(),
            key=self._key,
            token=written.token,
            expires_at=written.expires_at,
            ice_servers=self._ice.servers(who.player_id, self._clock.now()),
        )

    async def admission(self, token: str) -> Admission | None:
        """Read a token; None for one that is not good, or whose owner is no member any more."""
        try:
            claims = await self._read(token)
            admission = Admission(claims["lobby"], claims["pid"], claims["sid"])
        except (BadToken, KeyError):
            return None
        return admission if await self.still([admission]) else None

    async def still(self, admissions: Collection[Admission]) -> set[Admission]:
        """Say which of these are still members of an open peer lobby, by a session of theirs."""
        return {Admission(*found) for found in await self._store.peer_members(admissions)}

    async def _require_member(self, who: Identity, lobby_id: LobbyId) -> None:
        lobby = seen(await self._store.read(lobby_id), who.player_id)
        if lobby.member(who.player_id) is None:
            raise NotAMember
        if lobby.status == "CLOSED":
            raise LobbyClosed("The lobby is closed; find another, or open one.")
        if lobby.mode != "peer":
            problem = "lobby_id: this lobby's game runs on the server, so there are no peers in it."
            raise InvalidField(problem, field="lobby_id")
