"""What is shown of creations."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from persistence.creations.store import CreationPlace, decoded_json
from protocol.creations import Attribution, Creation, OwnCreationCard
from server.core.clock import wire_time
from server.core.cursors import CursorCodec

CURSOR = CursorCodec("own creations", CreationPlace, datetime, UUID)


def creation(record: Any) -> Creation:
    """Write a creation with all that is stored about it."""
    fields = _on_the_wire(decoded_json(record))
    original = {
        name: fields.pop(f"original_{column}")
        for name, column in (
            ("creation_id", "id"),
            ("user_id", "user_id"),
            ("username", "username"),
            ("display_name", "display_name"),
            ("title", "title"),
            ("license", "license"),
        )
    }
    is_shown = original["creation_id"] is not None
    return Creation(**fields, original=Attribution(**original) if is_shown else None)


def own_card(record: Any) -> OwnCreationCard:
    """Write one of somebody's own creations in a list."""
    return OwnCreationCard(**_on_the_wire(record))


def _on_the_wire(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: wire_time(value) if isinstance(value, datetime) else value
        for name, value in record.items()
    }
