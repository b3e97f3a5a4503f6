"""Lobbies as the wire has them."""

from dataclasses import replace

from persistence.lobbyrows import Card, Lobby
from protocol import lobby as wire
from protocol.ids import PlayerId
from server.gateway.sessions import update_frame
from server.kernel.clock import wire_time, wire_time_or_none


def lobby_for(lobby: Lobby, player_id: PlayerId | None) -> wire.Lobby:
    """Write a lobby for one reader: only a member sees its join code and its host's peer id."""
    is_member = lobby.member(player_id) is not None
    code, peer_id = (lobby.join_code, lobby.host_peer_id) if is_member else (None, None)
    return _lobby(lobby, join_code=code, host_peer_id=peer_id)


def card(card: Card) -> wire.LobbyCard:
    """Write a lobby of a list."""
    return wire.LobbyCard(**card._asdict() | {"created_at": wire_time(card.created_at)})


def update(lobby: Lobby, change: wire.LobbyChange, *, to_members: bool = False) -> bytes:
    """Write the frame that tells everybody, or members alone, of a change."""
    peer_id = lobby.host_peer_id if to_members else None
    return update_frame(
        wire.LobbyUpdate(
            lobby_id=lobby.lobby_id,
            version=lobby.version,
            change=change,
            lobby=_lobby(lobby, join_code=None, host_peer_id=peer_id),
        )
    )


def update_of_hidden(lobby: Lobby, change: wire.LobbyChange) -> bytes:
    """Write the frame that tells somebody of the change that hides a lobby from them."""
    hidden = replace(
        lobby,
        name="",
        config={},
        seats=0,
        region=None,
        members=(),
        host_player_id=None,
        host_peer_id=None,
        game_id=None,
        match_id=None,
        started_at=None,
        fill_at=None,
    )
    return update(hidden, change)


def listed(lobby: Lobby) -> bytes:
    """Write the frame that tells those who watch the public list."""
    return _list_frame(lobby, card(_card(lobby)))


def unlisted(lobby: Lobby) -> bytes:
    """Write the frame that tells them that it is there no longer."""
    return _list_frame(lobby, None)


def _list_frame(lobby: Lobby, shown: wire.LobbyCard | None) -> bytes:
    return update_frame(
        wire.ListUpdate(lobby_id=lobby.lobby_id, version=lobby.version, lobby=shown)
    )


def _lobby(lobby: Lobby, *, join_code: str | None, host_peer_id: str | None) -> wire.Lobby:
    return wire.Lobby(
        lobby_id=lobby.lobby_id,
        version=lobby.version,
        name=lobby.name,
        mode=lobby.mode,
        status=lobby.status,
        ruleset=lobby.ruleset,
        config=lobby.config,
        seats=lobby.seats,
        is_public=lobby.is_public,
        has_password=lobby.password_hash is not None,
        quick_play=lobby.quick_play,
        join_code=join_code,
        host_player_id=lobby.host_player_id,
        game_id=lobby.game_id,
        fill_at=wire_time_or_none(lobby.fill_at),
        members=[wire.Member(**member._asdict()) for member in lobby.members],
        created_at=wire_time(lobby.created_at),
        region=lobby.region,
        host_peer_id=host_peer_id,
        needs_peer=_needs_peer(lobby),
        heartbeat_s=wire.HEARTBEAT_S if lobby.mode == "peer" else None,
        match_id=lobby.match_id,
        started_at=wire_time_or_none(lobby.started_at),
    )


def _needs_peer(lobby: Lobby) -> bool:
    is_there = lobby.mode == "peer" and lobby.status != "CLOSED"
    return is_there and lobby.host_peer_id is None


def _card(lobby: Lobby) -> Card:
    return Card(
        lobby_id=lobby.lobby_id,
        version=lobby.version,
        name=lobby.name,
        mode=lobby.mode,
        status=lobby.status,
        ruleset=lobby.ruleset,
        seats=lobby.seats,
        taken=len(lobby.players),
        has_password=lobby.password_hash is not None,
        game_id=lobby.game_id,
        created_at=lobby.created_at,
        region=lobby.region,
    )
