"""The catalogue of what is exposed: read at the start, each minute, and when a name is not in it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import asyncpg
import orjson

from persistence.rest.store import ROLES, CatalogueRows, RestStore
from server.core.periodic import repeat_every
from server.gateway.rest.catalogue import (
    Argument,
    Catalogue,
    Column,
    ForeignKey,
    Function,
    Table,
    TableName,
)

# The functions of the schema that are meant to be called from outside. Its others are there for
# policies, triggers and the server, although policies need a right to call them.
FUNCTIONS: Final = (
    "add_key_memory",
    "add_message_to_conversation",
    "archive_creation",
    "check_bond_level_up",
    "follow_user",
    "get_or_create_conversation",
    "get_user_feed",
    "get_user_stats",
    "increment_creation_views",
    "mark_all_notifications_read",
    "mark_notification_read",
    "own_profile",
    "publish_creation",
    "search_creations",
    "toggle_like",
    "unfollow_user",
    "update_last_active",
)
RELOAD_EVERY_S: Final = 60.0
LOOK_AGAIN_S: Final = 5.0


class ExposedCatalogue:
    """The catalogue as it was read last."""

    def __init__(
        self,
        store: RestStore,
        *,
        schemas: Sequence[str],
        functions: Iterable[str],
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._schemas = list(schemas)
        self._functions = [*FUNCTIONS, *functions]
        self._now = now
        self._read_at = float("-inf")
        self.current = Catalogue(schemas, [], [], [], {})

    async def reload(self) -> None:
        """Read it again."""
        self._read_at = self._now()
        rows = await self._store.read_catalogue(self._schemas, self._functions)
        self.current = build_catalogue(self._schemas, rows)

    async def reload_if_old(self) -> bool:
        """Read it again for a name that is not in it, unless that was just done."""
        if self._now() - self._read_at < LOOK_AGAIN_S:
            return False
        await self.reload()
        return True

    async def run(self) -> None:
        """Read it each minute, until cancelled."""
        await repeat_every(RELOAD_EVERY_S, self.reload, "reading the catalogue")


def build_catalogue(schemas: Sequence[str], rows: CatalogueRows) -> Catalogue:
    """Make a catalogue of what was read."""
    plain = {name: columns for name, columns, _ in map(_table_parts, rows.tables)}
    functions = [_function(row, plain) for row in rows.functions]
    computed: dict[TableName, dict[str, Function]] = {}
    for row, function in zip(rows.functions, functions, strict=True):
        if row["of_table"] is not None and len(function.arguments) == 1:
            schema, _, name = row["of_table"].partition(".")
            computed.setdefault(TableName(schema, name), {})[function.name.name] = function
    tables = [
        Table(name, columns, key, computed.get(name, {}))
        for name, columns, key in map(_table_parts, rows.tables)
    ]
    keys = [
        ForeignKey(
            row["name"],
            TableName(row["schema"], row["table_name"]),
            tuple(row["columns"]),
            TableName(row["target_schema"], row["target_name"]),
            tuple(row["target_columns"]),
            row["is_unique"],
        )
        for row in rows.keys
    ]
    types = {row["name"]: row["written"] for row in rows.types}
    return Catalogue(schemas, tables, keys, functions, types)


def _table_parts(row: asyncpg.Record) -> tuple[TableName, dict[str, Column], tuple[str, ...]]:
    columns = [
        Column(name, type_name, base, default, frozenset(readers))
        for name, type_name, base, default, readers in orjson.loads(row["columns"] or b"[]")
    ]
    name = TableName(row["schema"], row["name"])
    return name, {each.name: each for each in columns}, tuple(row["key"])


def _function(row: asyncpg.Record, tables: dict[TableName, dict[str, Column]]) -> Function:
    listed: list[Any] = orjson.loads(row["arguments"])
    arguments = tuple(Argument(*each) for each in listed)
    table = None
    if row["table_name"] is not None:
        table = TableName(row["table_schema"], row["table_name"])
    columns = tuple(
        Column(name, type_name, type_name, None, frozenset(ROLES))
        for name, type_name in orjson.loads(row["out_columns"])
    )
    if table is not None and table not in tables:
        table = None
    return Function(
        name=TableName(row["schema"], row["name"]),
        arguments=arguments,
        returns=row["returns"],
        is_set=row["is_set"],
        is_volatile=row["is_volatile"],
        table=table,
        columns=columns,
        rows_one=row["rows_one"],
    )
