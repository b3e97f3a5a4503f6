"""From what is stored to what is sent, and the cursors of lists. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import orjson

from persistence.blueprints.store import (
    NUMBER_MAX,
    STARTS,
    BlueprintPage,
    PagePosition,
    StoredBlueprint,
)
from protocol.blueprints import Blueprint, BlueprintCard, Blueprints, Sort
from server.core.clock import wire_fields
from server.core.cursors import CursorCodec

_KINDS: Final[Mapping[Sort, type]] = {
    "newest": datetime,
    "name": str,
    "version": int,
    "forks": int,
}
_CURSORS: Final[Mapping[Sort, CursorCodec[PagePosition]]] = {
    sort: CursorCodec(f"blueprints by {sort}", PagePosition, kind, UUID, int_max=NUMBER_MAX)
    for sort, kind in _KINDS.items()
}


def blueprint(stored: StoredBlueprint) -> Blueprint:
    """Write a blueprint with its data."""
    return Blueprint(**_fields(stored), data=orjson.loads(stored.data))


def page(listed: BlueprintPage, sort: Sort) -> Blueprints:
    """Write a page of cards."""
    cards = [BlueprintCard(**_fields(stored)) for stored in listed.blueprints]
    last = listed.last
    return Blueprints(blueprints=cards, next=last and _CURSORS[sort].write(last))


def read_cursor(cursor: str | None, sort: Sort) -> PagePosition:
    """Read where a list sorted like this goes on; None is the start."""
    return STARTS[sort] if cursor is None else _CURSORS[sort].read(cursor)


def _fields(stored: StoredBlueprint) -> dict[str, Any]:
    fields = wire_fields(stored)
    del fields["data"]
    return fields
