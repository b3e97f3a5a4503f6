"""Who may see a lobby, watch its game, or come in at all: pure."""

from persistence.lobbyrows import Lobby
from protocol.errors import Kicked, LobbyClosed, LobbyNotFound
from protocol.ids import PlayerId


def may_see(lobby: Lobby, player_id: PlayerId | None) -> bool:
    """Say whether somebody may see a lobby."""
    is_member = lobby.member(player_id) is not None
    return (lobby.is_public or is_member) and player_id not in lobby.bans


def may_watch_game(lobby: Lobby, player_id: PlayerId | None) -> bool:
    """Say whether somebody may watch a lobby's game."""
    is_open_to_all = lobby.is_public and lobby.password_hash is None
    is_member = lobby.member(player_id) is not None
    return (is_open_to_all or is_member) and player_id not in lobby.bans


def seen(lobby: Lobby | None, player_id: PlayerId | None) -> Lobby:
    """Give the lobby to somebody who may see it; to others a private one is not there."""
    if lobby is None or not (lobby.is_public or lobby.member(player_id)):
        raise LobbyNotFound
    if player_id in lobby.bans:
        raise Kicked
    return lobby


def require_welcome(lobby: Lobby, player_id: PlayerId) -> None:
    """Refuse somebody who cannot enter, whatever the password and the seats."""
    if player_id in lobby.bans:
        raise Kicked
    if lobby.status == "CLOSED":
        raise LobbyClosed("The lobby is closed; find another, or open one.")
