"""Lobbies as they are about to be opened: nobody sits in them yet."""

from datetime import datetime

from persistence.lobbies.model import Fit, Lobby
from protocol.ids import LobbyId, new_id
from protocol.lobbies import SPECTATORS_MAX, NewLobby
from server.domains.play.lobbies.catalog import (
    PEER_SEATS,
    checked_config,
    checked_free_config,
    checked_seats,
    quick_play_seats,
)
from server.gamekit.fold import AnyRuleset


def drafted(new: NewLobby, ruleset: AnyRuleset, created_at: datetime) -> Lobby:
    """Draft what somebody wishes to host, or refuse; its password is not in it."""
    return Lobby(
        lobby_id=LobbyId(new_id()),
        name=new.name or ruleset.title,
        mode="server",
        ruleset=ruleset.name,
        region=new.region,
        config=checked_config(ruleset, new.config),
        seats=checked_seats(ruleset, new.seats),
        spectators_max=SPECTATORS_MAX,
        is_public=new.is_public,
        created_at=created_at,
        members=(),
    )


def peer_draft(new: NewLobby, created_at: datetime) -> Lobby:
    """Draft a lobby whose game runs on its host's machine, whatever that game is."""
    return Lobby(
        lobby_id=LobbyId(new_id()),
        name=new.name or new.ruleset,
        mode="peer",
        ruleset=new.ruleset,
        region=new.region,
        config=checked_free_config(new.config),
        seats=PEER_SEATS if new.seats is None else new.seats,
        spectators_max=SPECTATORS_MAX,
        is_public=new.is_public,
        created_at=created_at,
        members=(),
    )


def quick_draft(fit: Fit, ruleset: AnyRuleset, *, created_at: datetime, fill_at: datetime) -> Lobby:
    """Draft a quick-play lobby that fits; nobody will be its host."""
    return Lobby(
        lobby_id=LobbyId(new_id()),
        name=ruleset.title,
        mode="server",
        ruleset=fit.ruleset,
        config=fit.config,
        seats=fit.seats or quick_play_seats(ruleset),
        spectators_max=SPECTATORS_MAX,
        is_public=True,
        quick_play=True,
        created_at=created_at,
        fill_at=fill_at,
        members=(),
    )
