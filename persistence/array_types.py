"""Arrays of PostgreSQL's own types, which the driver would otherwise look up on each connection.

Looking one up takes a recursive query: on a new connection it costs the server about as much
processor time as connecting does. The numbers below 10,000 are fixed in PostgreSQL's source.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import asyncpg

# An array's number: its name and the number of its elements' type.
BUILT_IN: Final[Mapping[int, tuple[str, int]]] = {
    1000: ("_bool", 16),
    1001: ("_bytea", 17),
    1005: ("_int2", 21),
    1007: ("_int4", 23),
    1016: ("_int8", 20),
    1185: ("_timestamptz", 1184),
    1231: ("_numeric", 1700),
    2951: ("_uuid", 2950),
    3807: ("_jsonb", 3802),
}


class Connection(asyncpg.Connection):
    """A connection that knows them; it asks the server about all other types."""

    async def _introspect_types(self, typeoids: Iterable[int], timeout: float | None) -> Any:  # noqa: ASYNC109
        numbers = set(typeoids)
        if numbers <= BUILT_IN.keys():
            return [_described(number) for number in numbers], _Unasked
        return await super()._introspect_types(numbers, timeout)  # type: ignore[misc]


class _Unasked:
    """Stands for the statement of a query that was not needed: no other one was replaced by it."""

    name: Final = "none"


def _described(number: int) -> dict[str, object]:
    """Describe a type as the driver's query does, in the columns that it reads of an array."""
    name, element = BUILT_IN[number]
    return {
        "oid": number,
        "ns": "pg_catalog",
        "name": name,
        "kind": b"b",
        "basetype": None,
        "elemtype": element,
        "elemdelim": b",",
        "range_subtype": None,
        "attrtypoids": None,
        "attrnames": None,
        "basetype_name": None,
        "range_subtype_name": None,
    }
