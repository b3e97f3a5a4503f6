"""Lobbies as they are sent, and pages of the public list."""

from dataclasses import replace
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from persistence.lobbies.model import Lobby, LobbyCard, LobbyListPosition, Member
from protocol import lobbies as wire
from protocol.codec import encode
from protocol.ids import PlayerId
from protocol.lobbies import ListFilter, LobbyPage
from server.core.clock import wire_fields, wire_time, wire_time_or_none
from server.core.cursors import CursorCodec
from server.gateway.session.sessions import update_frame

_CURSOR: Final = CursorCodec("lobbies", LobbyListPosition, datetime, UUID)


def lobby_page(cards: list[LobbyCard], limit: int) -> LobbyPage:
    """Make a page; where it is full, another may follow."""
    older = _CURSOR.after_page(
        cards, limit, lambda last: LobbyListPosition(last.created_at, last.lobby_id)
    )
    return LobbyPage(lobbies=[lobby_card(card) for card in cards], next=older)


class FilterFields(NamedTuple):
    """What filters of the public list look at; `is_open` says whether it has the lobby at all."""

    is_open: bool
    ruleset: str
    mode: str
    region: str | None
    free_seats: int
    name: str


def filter_fields(lobby: Lobby) -> FilterFields:
    """Give what filters look at."""
    return FilterFields(
        is_open=lobby.is_public and lobby.status != "CLOSED",
        ruleset=lobby.ruleset,
        mode=lobby.mode,
        region=lobby.region,
        free_seats=lobby.tables * lobby.seats - len(lobby.players),
        name=lobby.name,
    )


def is_listed(lobby: FilterFields, look_for: ListFilter) -> bool:
    """Say whether a lobby is in the public list, as somebody looks at it."""
    wanted = (
        (look_for.ruleset, lobby.ruleset),
        (look_for.mode, lobby.mode),
        (look_for.region, lobby.region),
    )
    return (
        lobby.is_open
        and all(wish is None or wish == is_so for wish, is_so in wanted)
        and lobby.free_seats >= look_for.free_seats
        and look_for.text.lower() in lobby.name.lower()
    )


def read_list_cursor(cursor: str | None) -> LobbyListPosition | None:
    """Read a cursor, or refuse one that is not ours."""
    return None if cursor is None else _CURSOR.read(cursor)


def lobby_for(lobby: Lobby, player_id: PlayerId | None) -> wire.Lobby:
    """Write a lobby for one reader: only a member sees its join code and its host's peer id."""
    is_member = lobby.find_member(player_id) is not None
    code, peer_id = (lobby.join_code, lobby.host_peer_id) if is_member else (None, None)
    return _lobby(lobby, join_code=code, host_peer_id=peer_id)


def lobby_card(card: LobbyCard) -> wire.LobbyCard:
    """Write a lobby of a list."""
    fields = wire_fields(card)
    return wire.LobbyCard(**fields | {"tables": card.tables if card.tables > 1 else None})


def lobby_update_frame(
    lobby: Lobby, change: wire.LobbyChange, *, to_members: bool = False
) -> bytes:
    """Write the frame that sends everybody, or members alone, a change."""
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
    """Write the frame that sends somebody the change that hides a lobby from them."""
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
        tables=1,
        table_games=(),
    )
    return lobby_update_frame(hidden, change)


def list_update_frame(lobby: Lobby) -> bytes:
    """Write, as JSON, what those get who watch the public list."""
    return _list_update(lobby, lobby_card(_card(lobby)))


def list_removal_frame(lobby: Lobby) -> bytes:
    """Write, as JSON, that it is there no longer."""
    return _list_update(lobby, None)


def _list_update(lobby: Lobby, shown: wire.LobbyCard | None) -> bytes:
    return encode(wire.ListUpdate(lobby_id=lobby.lobby_id, version=lobby.version, lobby=shown))


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
        members=[_member(lobby, member) for member in lobby.members],
        created_at=wire_time(lobby.created_at),
        region=lobby.region,
        host_peer_id=host_peer_id,
        needs_peer=_needs_peer(lobby),
        heartbeat_s=wire.HEARTBEAT_S if lobby.mode == "peer" else None,
        match_id=lobby.match_id,
        started_at=wire_time_or_none(lobby.started_at),
        tables=[_table(lobby, table) for table in range(lobby.tables)]
        if lobby.has_tables
        else None,
    )


def _member(lobby: Lobby, member: Member) -> wire.Member:
    is_at_table = lobby.has_tables and member.role == "player"
    return wire.Member(**member._asdict() | {"table": member.table if is_at_table else None})


def _table(lobby: Lobby, table: int) -> wire.TableState:
    """Write a table. Until its game has started, nothing is played there for anybody to see."""
    game = lobby.game_at(table)
    if game is None or game.game_id is None:
        return wire.TableState(game_id=None, lobby_id=None)
    return wire.TableState(game_id=game.game_id, lobby_id=game.lobby_id)


def _needs_peer(lobby: Lobby) -> bool:
    is_there = lobby.mode == "peer" and lobby.status != "CLOSED"
    return is_there and lobby.host_peer_id is None


def _card(lobby: Lobby) -> LobbyCard:
    return LobbyCard(
        lobby_id=lobby.lobby_id,
        version=lobby.version,
        name=lobby.name,
        mode=lobby.mode,
        status=lobby.status,
        ruleset=lobby.ruleset,
        seats=lobby.tables * lobby.seats,
        taken=len(lobby.players),
        has_password=lobby.password_hash is not None,
        game_id=lobby.game_id,
        created_at=lobby.created_at,
        region=lobby.region,
        tables=lobby.tables,
    )
