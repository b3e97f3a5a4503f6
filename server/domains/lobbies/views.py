"""Lobbies as the wire has them."""

from persistence.lobbies import Card, Lobby
from protocol import lobby as wire
from protocol.ids import PlayerId
from server.gateway.sessions import update_frame
from server.kernel.clock import wire_time, wire_time_or_none


def lobby_for(lobby: Lobby, player_id: PlayerId | None) -> wire.Lobby:
    """Write a lobby for one reader: only a member sees the join code."""
    is_member = lobby.member(player_id) is not None
    return _lobby(lobby, lobby.join_code if is_member else None)


def card(card: Card) -> wire.LobbyCard:
    """Write a lobby of a list."""
    return wire.LobbyCard(**card._asdict() | {"created_at": wire_time(card.created_at)})


def update(lobby: Lobby, change: wire.LobbyChange) -> bytes:
    """Write the frame that tells everybody of a change."""
    return update_frame(
        wire.LobbyUpdate(
            lobby_id=lobby.lobby_id,
            version=lobby.version,
            change=change,
            lobby=_lobby(lobby, None),
        )
    )


def listed(lobby: Lobby) -> bytes:
    """Write the frame that tells those who watch the public list."""
    is_there = lobby.is_public and lobby.status != "CLOSED"
    shown = card(_card(lobby)) if is_there else None
    return update_frame(
        wire.ListUpdate(lobby_id=lobby.lobby_id, version=lobby.version, lobby=shown)
    )


def _lobby(lobby: Lobby, join_code: str | None) -> wire.Lobby:
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
    )


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
    )
