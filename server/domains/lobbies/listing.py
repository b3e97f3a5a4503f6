"""Pages of the public list: an opaque cursor says where the next one begins."""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from persistence.lobbyrows import Card, Lobby, Place
from protocol.errors import InvalidField
from protocol.ids import LobbyId
from protocol.lobby import ListFilter, LobbyPage
from server.domains.lobbies import views

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_PLACE: Final = struct.Struct("!q16s")  # microseconds since 1970, lobby id


def page(cards: list[Card], limit: int) -> LobbyPage:
    """Make a page; where it is full, another may follow."""
    more = cursor_at(cards[-1]) if len(cards) == limit else None
    return LobbyPage(lobbies=[views.card(card) for card in cards], next=more)


def is_listed(lobby: Lobby, look_for: ListFilter) -> bool:
    """Say whether a lobby is in the public list, as somebody looks at it."""
    wanted = (
        (look_for.ruleset, lobby.ruleset),
        (look_for.mode, lobby.mode),
        (look_for.region, lobby.region),
    )
    return (
        lobby.is_public
        and lobby.status != "CLOSED"
        and all(wish is None or wish == is_so for wish, is_so in wanted)
        and lobby.seats - len(lobby.players) >= look_for.free_seats
        and look_for.text.lower() in lobby.name.lower()
    )


def cursor_at(card: Card) -> str:
    """Write a cursor for the page that follows a lobby."""
    at_us = (card.created_at - _EPOCH) // timedelta(microseconds=1)
    return urlsafe_b64encode(_PLACE.pack(at_us, UUID(card.lobby_id).bytes)).decode()


def place_of(cursor: str | None) -> Place | None:
    """Read a cursor, or refuse one that is not ours."""
    if cursor is None:
        return None
    try:
        at_us, lobby_id = _PLACE.unpack(urlsafe_b64decode(cursor.encode("ascii")))
        created_at = _EPOCH + timedelta(microseconds=at_us)
    except (ValueError, struct.error, OverflowError):
        problem = "cursor: use the `next` of the page before, or leave it out."
        raise InvalidField(problem, field="cursor") from None
    return Place(created_at, LobbyId(str(UUID(bytes=lobby_id))))
