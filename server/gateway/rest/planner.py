"""From what a client wrote to what the database has. Pure.

Every name is looked up in the catalogue. What goes on from here are the catalogue's own columns,
tables, functions and types; names that a client invents are only ever keys of the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from server.gateway.rest.catalogue import (
    Catalogue,
    Column,
    Function,
    Relationship,
    Table,
    TableName,
    takes_whole_body,
)
from server.gateway.rest.errors import RestError, too_complex
from server.gateway.rest.preferences import Media, Preferences
from server.gateway.rest.query import (
    Condition,
    Field,
    Filter,
    JsonStep,
    Logic,
    Path,
    Query,
    SelectField,
    SelectItem,
    SelectRelation,
    Term,
)

NODES_MAX: Final = 50  # embedded resources of a request
ROWS_SENT_MAX: Final = 10_000  # of one change

# ------------------------------------------------------------------ the plan


class Value(NamedTuple):
    """Something of a row: a column, or a function of the row, and the way into its JSON."""

    source: Column | Function
    path: tuple[JsonStep, ...] = ()

    @property
    def base(self) -> str:
        """The type that it has, or that its text is compared as."""
        if self.path:
            return "text" if self.path[-1].as_text else "jsonb"
        return self.source.base if isinstance(self.source, Column) else "text"


class Output(NamedTuple):
    """A key of the answer; `value` is None for the number of rows, and for all that there is."""

    key: str
    value: Value | None
    cast: str | None = None
    aggregate: str | None = None
    aggregate_cast: str | None = None


class Everything(NamedTuple):
    """All columns, whatever they are: for functions, and to have the database refuse a table."""


class ValueFilter(NamedTuple):
    """A condition on a value."""

    value: Value
    condition: Condition


class EmbedFilter(NamedTuple):
    """Whether there is anything in an embedded resource."""

    embed: "Embed"
    is_empty: bool


class LogicPlan(NamedTuple):
    """Conditions that are combined."""

    operator: Literal["and", "or"]
    is_negated: bool
    terms: tuple["TermPlan", ...]


TermPlan: TypeAlias = ValueFilter | EmbedFilter | LogicPlan


class OrderPlan(NamedTuple):
    """What to sort by; with `embed`, a value of its one row."""

    value: Value
    embed: "Embed | None"
    is_descending: bool | None
    nulls_first: bool | None


@dataclass(slots=True, eq=False)
class Read:
    """Rows of one table, and what is embedded in them. Without a table they are a function's."""

    table: Table | None
    outputs: list["Output | Everything | Embed"] = field(default_factory=list)
    embeds: list["Embed"] = field(default_factory=list)
    terms: list[TermPlan] = field(default_factory=list)
    order: list[OrderPlan] = field(default_factory=list)
    limit: int | None = None
    offset: int = 0

    @property
    def is_aggregated(self) -> bool:
        """Whether rows are put together."""
        return any(isinstance(each, Output) and each.aggregate for each in self.outputs)


@dataclass(slots=True, eq=False)
class Embed:
    """What is embedded in each row; with `is_shown` False it only chooses rows."""

    key: str
    name: str
    relationship: Relationship
    read: Read
    is_inner: bool
    is_spread: bool
    is_shown: bool


@dataclass(frozen=True, slots=True)
class Insert:
    """New rows from a JSON body."""

    table: Table
    columns: tuple[Column, ...]
    body: str
    is_object: bool
    conflict: tuple[Column, ...]
    resolution: str | None
    uses_defaults: bool


@dataclass(frozen=True, slots=True)
class Update:
    """Changed rows."""

    table: Table
    columns: tuple[Column, ...]
    body: str
    is_object: bool
    terms: tuple[TermPlan, ...]


@dataclass(frozen=True, slots=True)
class Delete:
    """Rows that go."""

    table: Table
    terms: tuple[TermPlan, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function. Its arguments are in a JSON body, or each a text of its own."""

    function: Function
    given: tuple[str, ...]
    body: str | None = None
    texts: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def takes_whole_body(self) -> bool:
        """Whether the body is the one argument."""
        return takes_whole_body(self.function)


Source: TypeAlias = Insert | Update | Delete | Call


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole request. `source` changes or calls something; what it gives is then read."""

    read: Read
    source: Source | None
    media: Media
    is_counted: bool
    returns_rows: bool
    is_read_only: bool
    at_most: int | None = None
    is_rehearsal: bool = False

    @property
    def exactly(self) -> int | None:
        """How many rows there must be, or all is undone."""
        is_change = self.source is not None and self.returns_rows
        return 1 if is_change and self.media.kind == "object" and not self.is_scalar else None

    @property
    def is_scalar(self) -> bool:
        """Whether the answer is a value, not rows."""
        return isinstance(self.source, Call) and self.source.function.returns != "row"


class Limits(NamedTuple):
    """What a role may have: its name, how many rows at once, and the tables that it may change.

    `changes` names tables of the first schema; None is whatever its rights allow.
    """

    role: str
    rows_max: int
    changes: frozenset[str] | None = None


# ------------------------------------------------------------------ planning


class Planner:
    """Plans the requests of a role."""

    def __init__(self, catalogue: Catalogue, limits: Limits) -> None:
        self._catalogue = catalogue
        self._limits = limits
        self._nodes = 0

    def read(self, name: TableName, query: Query, media: Media, prefer: Preferences) -> Plan:
        """Plan `GET /table`."""
        table = self._catalogue.find_table(name)
        read = self._read(table, query, is_filtered=True)
        return Plan(read, None, media, prefer.counted is not None, True, True)

    def insert(
        self, name: TableName, query: Query, body: "Body", media: Media, prefer: Preferences
    ) -> Plan:
        """Plan `POST /table`."""
        table = self._changeable(name)
        columns = self._written(table, query, body)
        resolution, conflict = prefer.resolution, query.on_conflict
        if resolution is not None:
            keys = conflict if conflict is not None else table.key
            on = tuple(self._catalogue.find_column(table, key) for key in keys)
        else:
            on = ()
        source = Insert(
            table,
            columns,
            body.text,
            body.is_object,
            on,
            resolution if on else None,
            prefer.missing == "default",
        )
        return self._change(table, query, source, media, prefer)

    def update(
        self, name: TableName, query: Query, body: "Body", media: Media, prefer: Preferences
    ) -> Plan:
        """Plan `PATCH /table`."""
        table = self._changeable(name)
        if not body.is_object and len(body.rows) > 1:
            raise RestError(400, "PGRST102", "A PATCH takes one object, not an array")
        columns = self._written(table, query, body)
        terms = self._changed_terms(table, query, "UPDATE")
        source = Update(table, columns, body.text, body.is_object, terms)
        return self._change(table, query, source, media, prefer)

    def put(
        self, name: TableName, query: Query, body: "Body", media: Media, prefer: Preferences
    ) -> Plan:
        """Plan `PUT /table`: one row, which its primary key names in the query and in the body."""
        table = self._changeable(name)
        if query.limits or query.offsets:
            raise RestError(
                400,
                "PGRST114",
                "limit/offset querystring parameters are not allowed for PUT",
            )
        filters = query.terms.get((), [])
        named = {
            term.field.name: term.condition.value
            for term in filters
            if isinstance(term, Filter)
            and term.condition.operator == "eq"
            and not (term.condition.is_negated or term.field.path)
        }
        if not table.key or set(named) != set(table.key) or len(named) != len(filters):
            raise RestError(
                405,
                "PGRST105",
                "Filters must include all and only primary key columns with 'eq' operators",
            )
        if len(body.rows) != 1 or any(
            _as_text(body.rows[0].get(key)) != value for key, value in named.items()
        ):
            raise RestError(
                400, "PGRST115", "Payload values do not match URL in primary key column(s)"
            )
        columns = self._written(table, query, body)
        on = tuple(table.columns[key] for key in table.key)
        source = Insert(table, columns, body.text, body.is_object, on, "merge-duplicates", False)
        return self._change(table, query, source, media, prefer)

    def delete(self, name: TableName, query: Query, media: Media, prefer: Preferences) -> Plan:
        """Plan `DELETE /table`."""
        table = self._changeable(name)
        source = Delete(table, self._changed_terms(table, query, "DELETE"))
        return self._change(table, query, source, media, prefer)

    def call(
        self, name: TableName, query: Query, body: "Body | None", media: Media, prefer: Preferences
    ) -> Plan:
        """Plan `/rpc/function`; without a body, its arguments are in the query."""
        if body is None:
            texts: dict[str, list[str]] = {}
            for key, value in query.arguments:
                texts.setdefault(key, []).append(value)
            given = tuple(texts)
        else:
            texts = {}
            given = tuple(body.rows[0]) if body.is_object and body.rows else ()
        function = self._catalogue.find_function(name, given, is_posted=body is not None)
        source = Call(
            function,
            given,
            None if body is None else body.text,
            tuple((key, tuple(values)) for key, values in texts.items()),
        )
        if body is not None and not body.is_object and not source.takes_whole_body:
            raise RestError(400, "PGRST102", "Arguments of a function are an object by name")
        if prefer.max_affected is not None and not function.is_set:
            raise RestError(
                400,
                "PGRST128",
                "Function must return SETOF or TABLE when max-affected preference is used with "
                "handling=strict",
            )
        table = self._catalogue.tables.get(function.table) if function.table else None
        if table is None and function.columns:
            table = Table(function.name, {each.name: each for each in function.columns}, ())
        if function.returns == "row" and table is not None:
            # What a function gives was its own to decide: no right to a column is asked for.
            whole = table if function.table is None else _unguarded(table, self._limits.role)
            read = self._read(whole, query, is_filtered=True)
        else:
            read = Read(None, outputs=[Everything()], limit=self._limits.rows_max)
            read.limit, read.offset = self._range(query, ())
        return Plan(
            read,
            source,
            media,
            prefer.counted is not None,
            function.returns != "void",
            body is None,
            prefer.max_affected,
            prefer.is_rehearsal,
        )

    # ------------------------------------------------------------------ changes

    def _changeable(self, name: TableName) -> Table:
        table = self._catalogue.find_table(name)
        changes = self._limits.changes
        is_own = name.schema != self._catalogue.schemas[0]
        if changes is None or is_own or name.name in changes:
            return table
        raise RestError(
            401 if self._limits.role == "anon" else 403,
            "42501",
            f"permission denied for table {name.name}",
            hint="Use the addresses under /v1, which check what policies cannot.",
        )

    def _change(
        self, table: Table, query: Query, source: Source, media: Media, prefer: Preferences
    ) -> Plan:
        returns_rows = prefer.returns == "representation"
        read = self._read(table, query, is_filtered=False) if returns_rows else Read(table)
        is_limited = not isinstance(source, Insert)
        return Plan(
            read,
            source,
            media,
            prefer.counted is not None,
            returns_rows,
            False,
            prefer.max_affected if is_limited else None,
            prefer.is_rehearsal,
        )

    def _written(self, table: Table, query: Query, body: "Body") -> tuple[Column, ...]:
        if query.columns is not None:
            names: Sequence[str] = query.columns
        else:
            names = tuple(body.rows[0]) if body.rows else ()
            wanted = set(names)
            if any(set(row) != wanted for row in body.rows):
                raise RestError(400, "PGRST102", "All object keys must match")
        return tuple(self._catalogue.find_column(table, name) for name in names)

    def _changed_terms(self, table: Table, query: Query, verb: str) -> tuple[TermPlan, ...]:
        terms = query.terms.get((), [])
        if not terms:
            raise RestError(400, "21000", f"{verb} requires a WHERE clause")
        return tuple(self._term(each, table, []) for each in terms)

    # ------------------------------------------------------------------ reading

    def _read(self, table: Table, query: Query, *, is_filtered: bool) -> Read:
        read = self._node(table, query.select or (SelectField(Field("*")),))
        self._place(read, query, is_filtered=is_filtered)
        return read

    def _node(self, table: Table, items: Sequence[SelectItem]) -> Read:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise too_complex("embedded resources", NODES_MAX)
        read = Read(table)
        for item in items:
            if isinstance(item, SelectRelation):
                embed = self._embed(table, item)
                read.embeds.append(embed)
                read.outputs.append(embed)
            elif item.field.name == "*" and item.aggregate is None:
                columns = table.readable(self._limits.role)
                # Without a right to any column, the database itself says that it is refused.
                read.outputs += [Output(each.name, Value(each)) for each in columns] or [
                    Everything()
                ]
            else:
                read.outputs.append(self._output(table, item))
        return read

    def _output(self, table: Table, item: SelectField) -> Output:
        aggregate_cast = self._type(item.aggregate_cast)
        if item.field.name == "*":
            return Output(item.alias or "count", None, None, "count", aggregate_cast)
        is_count = item.field == Field("count") and item.aggregate is None
        if is_count and "count" not in table.columns and "count" not in table.computed:
            return Output(item.alias or "count", None, None, "count", self._type(item.cast))
        value = self.value(table, item.field)
        cast = self._type(item.cast)
        if item.aggregate is not None:
            key = item.alias or item.aggregate
            return Output(key, value, cast, item.aggregate, aggregate_cast)
        return Output(item.alias or _key_of(item.field), value, cast)

    def _type(self, name: str | None) -> str | None:
        return None if name is None else self._catalogue.find_type(name)

    def _embed(self, table: Table, item: SelectRelation) -> Embed:
        relationship = self._catalogue.find_relationship(table.name, item.name, item.hint)
        target = self._catalogue.find_table(relationship.target)
        read = self._node(target, item.items)
        return Embed(
            key=item.shown_as,
            name=item.name,
            relationship=relationship,
            read=read,
            is_inner=item.join == "inner",
            is_spread=item.is_spread,
            is_shown=bool(item.items),
        )

    def value(self, table: Table, wanted: Field) -> Value:
        """Find a column or a computed one; raise what the database would say."""
        if (column := table.columns.get(wanted.name)) is not None:
            return Value(column, wanted.path)
        if (function := table.computed.get(wanted.name)) is not None:
            return Value(function, wanted.path)
        raise RestError(400, "42703", f"column {table.name.name}.{wanted.name[:63]} does not exist")

    # ------------------------------------------------------------------ filters, order, ranges

    def _place(self, root: Read, query: Query, *, is_filtered: bool) -> None:
        """Put filters, orders and ranges where their paths lead."""
        for path, terms in query.terms.items():
            if path or is_filtered:
                read = _find(root, path)
                assert read.table is not None
                read.terms += [self._term(term, read.table, read.embeds) for term in terms]
        for path, order in query.order.items():
            read = _find(root, path)
            assert read.table is not None
            for each in order:
                embed = None
                table = read.table
                if each.relation is not None:
                    embed = _find_embed(read, each.relation)
                    table = _to_one_table(read, embed)
                read.order.append(
                    OrderPlan(
                        self.value(table, each.field), embed, each.is_descending, each.nulls_first
                    )
                )
        for path in {*query.limits, *query.offsets}:
            read = _find(root, path)
            read.limit, read.offset = self._range(query, path)
        self._bound(root)

    def _range(self, query: Query, path: Path) -> tuple[int, int]:
        limit, offset = query.limits.get(path), query.offsets.get(path, 0)
        if limit is not None and limit < 0:
            raise RestError(
                416,
                "PGRST103",
                "Requested range not satisfiable",
                details="Limit should be greater than or equal to zero.",
            )
        rows_max = self._limits.rows_max
        return rows_max if limit is None else min(limit, rows_max), max(offset, 0)

    def _bound(self, read: Read) -> None:
        if read.limit is None:
            read.limit = self._limits.rows_max
        for embed in read.embeds:
            self._bound(embed.read)

    def _term(self, term: Term, table: Table, embeds: Sequence[Embed]) -> TermPlan:
        if isinstance(term, Logic):
            inner = tuple(self._term(each, table, embeds) for each in term.terms)
            return LogicPlan(term.operator, term.is_negated, inner)
        if not term.field.path:
            for embed in embeds:
                if embed.key == term.field.name and term.field.name not in table.columns:
                    return _embed_filter(embed, term.condition)
        return ValueFilter(self.value(table, term.field), term.condition)


def _embed_filter(embed: Embed, condition: Condition) -> EmbedFilter:
    if condition.operator != "is" or condition.value not in ("null", "not_null"):
        raise RestError(
            400,
            "PGRST120",
            f"Bad operator on the '{embed.key[:63]}' embedded resource",
            details="Only is null or not is null filters are allowed on embedded resources",
        )
    return EmbedFilter(embed, (condition.value == "null") != condition.is_negated)


def _find(root: Read, path: Path) -> Read:
    read = root
    for name in path:
        read = _find_embed(read, name).read
    return read


def _find_embed(read: Read, name: str) -> Embed:
    for embed in read.embeds:
        if embed.key == name:
            return embed
    for embed in read.embeds:
        if embed.name == name:
            raise RestError(
                400,
                "PGRST108",
                f"'{name[:63]}' is not an embedded resource in this request",
                details="Target names are not allowed in filters if they have an alias",
                hint=f"Change '{name[:63]}' to '{embed.key[:63]}' in filters, orders or limits.",
            )
    raise RestError(
        400,
        "PGRST108",
        f"'{name[:63]}' is not an embedded resource in this request",
        hint=f"Verify that '{name[:63]}' is included in the 'select' query parameter.",
    )


def _to_one_table(read: Read, embed: Embed) -> Table:
    assert read.table is not None
    assert embed.read.table is not None
    if not embed.relationship.is_to_one:
        origin, target = read.table.name.name, embed.key[:63]
        raise RestError(
            400,
            "PGRST118",
            f"A related order on '{target}' is not possible",
            details=(
                f"'{origin}' and '{target}' do not form a many-to-one or one-to-one relationship"
            ),
        )
    return embed.read.table


def _key_of(selected: Field) -> str:
    """Name a value in the answer: its last key, or its column."""
    keys = [step.key for step in selected.path if not step.is_index]
    return keys[-1] if keys else selected.name


def _unguarded(table: Table, role: str) -> Table:
    readers = frozenset({role})
    columns = {name: each._replace(readers=readers) for name, each in table.columns.items()}
    return Table(table.name, columns, table.key, table.computed, table.is_view)


# ------------------------------------------------------------------ bodies


class Body(NamedTuple):
    """A JSON body: as it came, and its objects."""

    text: str
    is_object: bool
    rows: Sequence[dict[str, Any]]


def check_body(text: str, data: Any, *, is_call: bool = False) -> Body:
    """Make a body of what was parsed; raise `RestError` for what is no object or array of them."""
    if isinstance(data, dict):
        return Body(text, True, [data])
    if is_call:
        return Body(text, False, [])
    if isinstance(data, list) and all(isinstance(row, dict) for row in data):
        if len(data) > ROWS_SENT_MAX:
            raise too_complex("rows in one request", ROWS_SENT_MAX)
        return Body(text, False, data)
    raise RestError(400, "PGRST102", "The body must be an object or an array of objects")


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
