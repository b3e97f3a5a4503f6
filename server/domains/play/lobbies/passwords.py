"""Passwords of lobbies: limited before they are hashed."""

from collections.abc import Callable
from typing import Final

from persistence.lobbies.model import Lobby
from protocol.errors import WrongPassword
from protocol.ids import PlayerId
from server.core.passwords import Asker, Passwords
from server.core.rate_limits import Rate, RateLimiter, network_of

# A party may come from one network, and all of it into one lobby.
FROM_NETWORK: Final = Rate(per_minute=60, burst=60)
OF_PLAYER: Final = Rate(per_minute=10, burst=10)
INTO_LOBBY_FROM_NETWORK: Final = Rate(per_minute=10, burst=20)
INTO_LOBBY: Final = Rate(per_minute=60, burst=120)


class LobbyPasswords:
    """Hashes and checks passwords of lobbies; `now` gives monotonic seconds."""

    def __init__(self, passwords: Passwords, *, now: Callable[[], float]) -> None:
        self._passwords = passwords
        self._now = now
        self._networks = RateLimiter(FROM_NETWORK, "Too many lobby passwords from your network")
        self._players = RateLimiter(OF_PLAYER, "You sent too many lobby passwords")
        self._pairs = RateLimiter(
            INTO_LOBBY_FROM_NETWORK, "Too many passwords for this lobby from your network"
        )
        self._lobbies = RateLimiter(INTO_LOBBY, "Too many passwords for this lobby")

    async def hashed(self, password: str, *, host: PlayerId, remote: str) -> str:
        """Hash the password of a new lobby; raise `RateLimited` or `Overloaded`."""
        self._count(host, remote)
        return await self._passwords.hash(password, Asker.of("lobby", remote))

    async def require(
        self, lobby: Lobby, password: str | None, *, player_id: PlayerId, remote: str
    ) -> None:
        """Raise `WrongPassword` unless it is the lobby's, `RateLimited` or `Overloaded`."""
        if lobby.password_hash is None:
            return
        if password is None:
            raise WrongPassword("This lobby has a password; send it as `password`.")
        self._count(player_id, remote)
        self._pairs.require((lobby.lobby_id, network_of(remote)), self._now())
        self._lobbies.require(lobby.lobby_id, self._now())
        asker = Asker.of("lobby", remote)
        if not await self._passwords.fits(lobby.password_hash, password, asker):
            raise WrongPassword

    def _count(self, player_id: PlayerId, remote: str) -> None:
        self._networks.require(network_of(remote), self._now())
        self._players.require(player_id, self._now())
