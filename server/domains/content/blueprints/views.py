"""From what is stored to what is sent, and the cursors of lists. Pure."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson

from persistence.blueprints.store import NUMBER_MAX, STARTS, Key, Listed, Place, StoredBlueprint
from protocol.blueprints import Blueprint, BlueprintCard, BlueprintPath, Blueprints, Sort
from protocol.codec import validate
from protocol.errors import InvalidField
from server.core.clock import wire_time

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def blueprint(stored: StoredBlueprint) -> Blueprint:
    """Write a blueprint with its data."""
    return Blueprint(**_fields(stored), data=orjson.loads(stored.data))


def page(listed: Listed, sort: Sort) -> Blueprints:
    """Write a page of cards."""
    cards = [BlueprintCard(**_fields(stored)) for stored in listed.blueprints]
    last = listed.last
    return Blueprints(blueprints=cards, next=None if last is None else write_cursor(last, sort))


def write_cursor(place: Place, sort: Sort) -> str:
    """Write where a list goes on as text for a client to give back."""
    key = place.key
    number = (key - _EPOCH) // _MICROSECOND if isinstance(key, datetime) else key
    return urlsafe_b64encode(orjson.dumps([sort, number, place.blueprint_id])).decode()


def read_cursor(cursor: str | None, sort: Sort) -> Place:
    """Read what `write_cursor` wrote for a list sorted like this; None is the start."""
    if cursor is None:
        return STARTS[sort]
    try:
        of_sort, number, blueprint_id = orjson.loads(urlsafe_b64decode(cursor.encode("ascii")))
        path = validate(BlueprintPath, {"blueprint_id": blueprint_id})
        return Place(_key(number, sort, of_sort), path.blueprint_id)
    except (ValueError, TypeError, OverflowError, InvalidField):
        problem = f"cursor: send the `next` of the page before, of a list sorted by {sort}."
        raise InvalidField(problem, field="cursor") from None


def _key(number: object, sort: Sort, of_sort: object) -> Key:
    if of_sort != sort:
        raise ValueError
    if sort == "name" and isinstance(number, str):
        return number
    if type(number) is not int:
        raise ValueError
    if sort == "newest":
        return _EPOCH + number * _MICROSECOND
    if not 0 <= number <= NUMBER_MAX:
        raise ValueError
    return number


def _fields(stored: StoredBlueprint) -> dict[str, Any]:
    fields = stored._asdict()
    del fields["data"]
    return {**fields, "created_at": wire_time(stored.created_at)}
