"""From what is stored to what is sent, and the cursors of lists. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from persistence.blueprints.store import NUMBER_MAX, STARTS, Listed, Place, StoredBlueprint
from protocol.blueprints import Blueprint, BlueprintCard, Blueprints, Sort
from protocol.ids import BlueprintId
from server.core.clock import wire_fields
from server.core.cursors import CursorCodec

_KINDS: Final[Mapping[Sort, type]] = {
    "newest": datetime,
    "name": str,
    "version": int,
    "forks": int,
}
_CURSORS: Final[Mapping[Sort, CursorCodec]] = {
    sort: CursorCodec(f"blueprints by {sort}", kind, UUID, int_max=NUMBER_MAX)
    for sort, kind in _KINDS.items()
}


def blueprint(stored: StoredBlueprint) -> Blueprint:
    """Write a blueprint with its data."""
    return Blueprint(**_fields(stored), data=orjson.loads(stored.data))


def page(listed: Listed, sort: Sort) -> Blueprints:
    """Write a page of cards."""
    cards = [BlueprintCard(**_fields(stored)) for stored in listed.blueprints]
    last = listed.last
    return Blueprints(blueprints=cards, next=None if last is None else write_cursor(last, sort))


def write_cursor(place: Place, sort: Sort) -> str:
    """Write where a list goes on."""
    return _CURSORS[sort].write(place.key, place.blueprint_id)


def read_cursor(cursor: str | None, sort: Sort) -> Place:
    """Read what `write_cursor` wrote for a list sorted like this; None is the start."""
    if cursor is None:
        return STARTS[sort]
    key, blueprint_id = _CURSORS[sort].read(cursor)
    return Place(key, BlueprintId(blueprint_id))


def _fields(stored: StoredBlueprint) -> dict[str, Any]:
    fields = wire_fields(stored)
    del fields["data"]
    return fields
