"""What is exposed: read at the start, each minute, and when a name is not in it."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
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
    takes_whole_body,
)

log = logging.getLogger(__name__)

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
# The tables of the schema that people change themselves, as the applications that it comes from do.
# What is done to the others is checked by the server, beyond what policies can say.
CHANGED_BY_PEOPLE: Final = (
    "comments",
    "creations",
    "follows",
    "likes",
    "luminor_conversations",
    "luminor_messages",
    "luminor_relationships",
    "notifications",
    "profiles",
)
RELOAD_EVERY_S: Final = 60.0
LOOK_AGAIN_S: Final = 5.0
_VIEWS_DEEP_MAX: Final = 10


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

    async def start(self) -> None:
        """Read it for the first time, and warn of schemas of which nothing is exposed."""
        rows = await self._read()
        shown = {row["schema"] for row in (*rows.tables, *rows.functions)}
        for schema in self._schemas:
            if schema not in shown:
                log.warning(
                    "PLAYHALL_REST_SCHEMAS: nothing of %s is exposed: there is no such schema, or "
                    "anon and authenticated have no rights in it",
                    schema,
                )

    async def reload(self) -> None:
        """Read it again."""
        await self._read()

    async def reload_if_old(self) -> bool:
        """Read it again for a name that is not in it, unless that was just done."""
        if self._now() - self._read_at < LOOK_AGAIN_S:
            return False
        await self.reload()
        return True

    async def run(self) -> None:
        """Read it each minute, until cancelled."""
        await repeat_every(RELOAD_EVERY_S, self.reload, "reading the catalogue")

    async def _read(self) -> CatalogueRows:
        self._read_at = self._now()
        rows = await self._store.read_catalogue(self._schemas, self._functions)
        self.current = build_catalogue(self._schemas, rows)
        return rows


def build_catalogue(schemas: Sequence[str], rows: CatalogueRows) -> Catalogue:
    """Make a catalogue of what was read."""
    plain = {name: columns for name, columns, _, _ in map(_table_parts, rows.tables)}
    functions = [_function(row, plain) for row in rows.functions]
    computed: dict[TableName, dict[str, Function]] = {}
    for row, function in zip(rows.functions, functions, strict=True):
        if row["of_table"] is not None and len(function.arguments) == 1:
            schema, _, name = row["of_table"].partition(".")
            computed.setdefault(TableName(schema, name), {})[function.name.name] = function
    tables = [
        Table(name, columns, key, computed.get(name, {}), is_view)
        for name, columns, key, is_view in map(_table_parts, rows.tables)
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
    callable_ones = [each for each in functions if _can_be_called(each)]
    return Catalogue(schemas, tables, [*keys, *_view_keys(keys, rows)], callable_ones, types)


def _can_be_called(function: Function) -> bool:
    """Say whether arguments can be given to a function: by name, or one that is the whole body."""
    names = [each.name for each in function.arguments]
    return "" not in names or takes_whole_body(function)


def _view_keys(keys: Sequence[ForeignKey], rows: CatalogueRows) -> list[ForeignKey]:
    """Give views the foreign keys of the columns that they show."""
    shown: dict[TableName, dict[str, tuple[TableName, str]]] = {}
    for row in rows.view_columns:
        view = TableName(row["schema"], row["name"])
        base = TableName(row["base_schema"], row["base_name"]), row["base_column"]
        shown.setdefault(view, {})[row["column_name"]] = base
    # By table: what shows its columns, as a map from those to the view's own. A view of a view
    # shows what that one shows.
    showing: dict[TableName, list[tuple[TableName, dict[str, str]]]] = {}
    for view, columns in shown.items():
        by_base: dict[TableName, dict[str, str]] = {}
        for column in columns:
            origin = columns[column]
            for _ in range(_VIEWS_DEEP_MAX):
                if origin[0] not in shown:
                    break
                origin = shown[origin[0]].get(origin[1], origin)
            by_base.setdefault(origin[0], {}).setdefault(origin[1], column)
        for base_table, renamed in by_base.items():
            showing.setdefault(base_table, []).append((view, renamed))
    return [made for key in keys for made in _shown_keys(key, showing)]


def _shown_keys(
    key: ForeignKey, showing: dict[TableName, list[tuple[TableName, dict[str, str]]]]
) -> Iterator[ForeignKey]:
    own = dict.fromkeys(key.columns), dict.fromkeys(key.target_columns)
    plain = [(key.table, {each: each for each in own[0]})]
    target = [(key.target, {each: each for each in own[1]})]
    for table, names in [*plain, *showing.get(key.table, ())]:
        for other, other_names in [*target, *showing.get(key.target, ())]:
            is_whole = all(each in names for each in key.columns) and all(
                each in other_names for each in key.target_columns
            )
            if is_whole and (table, other) != (key.table, key.target):
                yield key._replace(
                    table=table,
                    columns=tuple(names[each] for each in key.columns),
                    target=other,
                    target_columns=tuple(other_names[each] for each in key.target_columns),
                )


def _table_parts(
    row: asyncpg.Record,
) -> tuple[TableName, dict[str, Column], tuple[str, ...], bool]:
    columns = [
        Column(name, type_name, base, default, frozenset(readers))
        for name, type_name, base, default, readers in orjson.loads(row["columns"] or b"[]")
    ]
    name = TableName(row["schema"], row["name"])
    return name, {each.name: each for each in columns}, tuple(row["key"]), row["is_view"]


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
