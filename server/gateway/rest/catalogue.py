"""What the database offers: tables, their relationships, and functions. Pure.

Everything here was read from PostgreSQL's own catalogue. A name that a client writes is looked up
here, and what goes into a statement is the name that was found.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final, Literal, NamedTuple

from server.gateway.rest.errors import RestError

Cardinality = Literal["many-to-one", "one-to-many", "one-to-one", "many-to-many"]


class TableName(NamedTuple):
    """A table, view or function, with its schema."""

    schema: str
    name: str


class Column(NamedTuple):
    """A column: `type` as declared, `base` without its length, as values are cast to."""

    name: str
    type: str
    base: str
    default: str | None
    readers: frozenset[str]


class ForeignKey(NamedTuple):
    """A constraint: `columns` of `table` refer to `target_columns` of `target`."""

    name: str
    table: TableName
    columns: tuple[str, ...]
    target: TableName
    target_columns: tuple[str, ...]
    is_unique: bool


class Junction(NamedTuple):
    """The table in the middle of a many-to-many relationship."""

    table: TableName
    first: ForeignKey
    second: ForeignKey


class Relationship(NamedTuple):
    """How rows of one table find those of another: pairs of columns, or a junction or function."""

    table: TableName
    target: TableName
    cardinality: Cardinality
    pairs: tuple[tuple[str, str], ...]
    constraint: str
    junction: Junction | None = None
    function: "Function | None" = None

    @property
    def is_to_one(self) -> bool:
        """Whether a row has at most one."""
        return self.cardinality in ("many-to-one", "one-to-one")

    def is_called(self, hint: str) -> bool:
        """Say whether a client's hint means this one: its constraint, column or junction."""
        if self.junction is not None:
            return hint == self.junction.table.name
        if hint == self.constraint:
            return True
        return len(self.pairs) == 1 and hint in (self.own_column, self.their_column)

    @property
    def own_column(self) -> str | None:
        """The one column that holds the key, where it is this table's."""
        is_own = self.cardinality == "many-to-one" or self.cardinality == "one-to-one"
        return self.pairs[0][0] if is_own and len(self.pairs) == 1 else None

    @property
    def their_column(self) -> str | None:
        """The one column that holds the key, where it is the other table's."""
        is_theirs = self.cardinality in ("one-to-many", "one-to-one")
        return self.pairs[0][1] if is_theirs and len(self.pairs) == 1 else None


class Argument(NamedTuple):
    """An argument of a function; one without a name is called by its place."""

    name: str
    type: str
    has_default: bool
    is_variadic: bool


@dataclass(frozen=True, slots=True)
class Function:
    """A function. `returns` says what comes back; rows of a known table have its name."""

    name: TableName
    arguments: tuple[Argument, ...]
    returns: Literal["void", "scalar", "row"]
    is_set: bool
    is_volatile: bool
    table: TableName | None
    columns: tuple[Column, ...]
    rows_one: bool = False

    @property
    def takes_json_body(self) -> bool:
        """Whether its one argument is JSON."""
        return len(self.arguments) == 1 and self.arguments[0].type in ("json", "jsonb")

    @property
    def signature(self) -> str:
        """Write it as errors name it."""
        listed = ", ".join(f"{each.name} => {each.type}" for each in self.arguments)
        return f"{self.name.schema}.{self.name.name}({listed})"


@dataclass(frozen=True, slots=True)
class Table:
    """A table or a view."""

    name: TableName
    columns: Mapping[str, Column]
    key: tuple[str, ...]
    # Functions of one row of this table: columns that are computed.
    computed: Mapping[str, Function] = field(default_factory=dict)
    is_view: bool = False

    def readable(self, role: str) -> list[Column]:
        """List the columns that a role may read."""
        return [each for each in self.columns.values() if role in each.readers]


# Types that a client may cast to besides those of the exposed schemas.
TYPES: Final = frozenset(
    name.strip()
    for name in [
        "bigint",
        " bit",
        " bit varying",
        " bool",
        " boolean",
        " box",
        " bpchar",
        " bytea",
        " char",
        " character",
        " character varying",
        " cidr",
        " circle",
        " citext",
        " date",
        " daterange",
        " decimal",
        " double precision",
        " float",
        " float4",
        " float8",
        " inet",
        " int",
        " int2",
        " int4",
        " int4range",
        " int8",
        " int8range",
        " integer",
        " interval",
        " json",
        " jsonb",
        " line",
        " lseg",
        " macaddr",
        " money",
        " name",
        " numeric",
        " numrange",
        " path",
        " point",
        " polygon",
        " real",
        " smallint",
        " text",
        " time",
        " time with time zone",
        " time without time zone",
        " timestamp",
        " timestamp with time zone",
        " timestamp without time zone",
        " timestamptz",
        " timetz",
        " tsquery",
        " tsrange",
        " tstzrange",
        " tsvector",
        " uuid",
        " varchar",
        " xml",
    ]
)


# What an argument without a name can be, to be given the whole body.
_WHOLE: Final = frozenset({"json", "jsonb", "text"})


class Catalogue:
    """Everything that is exposed, as it was when it was read."""

    def __init__(
        self,
        schemas: Sequence[str],
        tables: Sequence[Table],
        keys: Sequence[ForeignKey],
        functions: Sequence[Function],
        types: Mapping[str, str],
    ) -> None:
        self.schemas = tuple(schemas)
        self.tables = {table.name: table for table in tables}
        self.functions: dict[TableName, list[Function]] = defaultdict(list)
        for function in functions:
            self.functions[function.name].append(function)
        self._types = dict(types)
        self._relationships: dict[TableName, list[Relationship]] = defaultdict(list)
        keys = [key for key in keys if key.table in self.tables and key.target in self.tables]
        for key in keys:
            self._add_key(key)
        self._add_junctions(keys)
        self._add_computed()

    def _add_key(self, key: ForeignKey) -> None:
        pairs = tuple(zip(key.columns, key.target_columns, strict=True))
        swapped = tuple((theirs, own) for own, theirs in pairs)
        forth: Cardinality = "one-to-one" if key.is_unique else "many-to-one"
        back: Cardinality = "one-to-one" if key.is_unique else "one-to-many"
        self._relationships[key.table].append(
            Relationship(key.table, key.target, forth, pairs, key.name)
        )
        self._relationships[key.target].append(
            Relationship(key.target, key.table, back, swapped, key.name)
        )

    def _add_junctions(self, keys: Sequence[ForeignKey]) -> None:
        """Connect tables through others whose primary key is made of both foreign keys."""
        by_table: dict[TableName, list[ForeignKey]] = defaultdict(list)
        for key in keys:
            by_table[key.table].append(key)
        for table, of_table in by_table.items():
            primary = set(self.tables[table].key)
            in_key = [key for key in of_table if primary.issuperset(key.columns)]
            for first in in_key:
                for second in in_key:
                    if first is second:
                        continue
                    self._relationships[first.target].append(
                        Relationship(
                            first.target,
                            second.target,
                            "many-to-many",
                            (),
                            first.name,
                            junction=Junction(table, first, second),
                        )
                    )

    def _add_computed(self) -> None:
        """A function from a row of one table to rows of another is a relationship, too."""
        for table in self.tables.values():
            for function in table.computed.values():
                if function.table is None:
                    continue
                is_one = not function.is_set or function.rows_one
                self._relationships[table.name].append(
                    Relationship(
                        table.name,
                        function.table,
                        "one-to-one" if is_one else "one-to-many",
                        (),
                        function.name.name,
                        function=function,
                    )
                )

    # ------------------------------------------------------------------ look-ups

    def find_schema(self, name: str | None) -> str:
        """Give an exposed schema; the first one where none is named."""
        if name is None:
            return self.schemas[0]
        if name not in self.schemas:
            raise RestError(
                406,
                "PGRST106",
                f"Invalid schema: {name[:63]}",
                hint=f"Only the following schemas are exposed: {', '.join(self.schemas)}",
            )
        return name

    def find_table(self, name: TableName) -> Table:
        """Find a table; raise the error that says which one there is instead."""
        if (table := self.tables.get(name)) is not None:
            return table
        known = [each.name for each in self.tables if each.schema == name.schema]
        close = get_close_matches(name.name[:63], known, n=1, cutoff=0.75)
        raise RestError(
            404,
            "PGRST205",
            f"Could not find the table '{name.schema}.{name.name[:63]}' in the schema cache",
            hint=f"Perhaps you meant the table '{name.schema}.{close[0]}'" if close else None,
        )

    def find_column(self, table: Table, name: str) -> Column:
        """Find a column that a change names."""
        if (column := table.columns.get(name)) is not None:
            return column
        raise RestError(
            400,
            "PGRST204",
            f"Could not find the '{name[:63]}' column of '{table.name.name}' in the schema cache",
        )

    def find_type(self, name: str) -> str:
        """Find a type to cast to, written as it goes into a statement."""
        wanted = " ".join(name.lower().split())
        if wanted in TYPES:
            return wanted
        if name in self._types:
            return self._types[name]
        raise RestError(400, "42704", f'type "{name[:63]}" does not exist')

    def find_relationship(self, table: TableName, target: str, hint: str | None) -> Relationship:
        """Find how a table is connected with what a client embeds."""
        found = list(self._matching(table, target, hint))
        if not found:
            raise self._not_related(table, target, hint)
        if len(found) == 1:
            return found[0]
        computed = [each for each in found if each.function is not None]
        if len(computed) == 1:
            return computed[0]
        # Of a table that refers to itself, its name means those rows that refer to this one.
        if len(found) == 2 and all(each.table == each.target for each in found):
            for each in found:
                if each.cardinality == "one-to-many":
                    return each
        raise _ambiguous(table, target, found)

    def _matching(self, table: TableName, target: str, hint: str | None) -> Iterator[Relationship]:
        for each in self._relationships.get(table, ()):
            if each.function is not None:
                if hint is None and each.function.name.name == target:
                    yield each
            elif hint is not None:
                if each.table == each.target and each.junction is None:
                    # Of a table that refers to itself, a column means the rows that refer here.
                    is_meant = each.cardinality == "one-to-many" and each.their_column == hint
                else:
                    is_meant = each.is_called(hint)
                if is_meant and each.target.name == target:
                    yield each
            elif each.target.name == target or (
                each.junction is None
                and not self.tables[each.target].is_view
                and target in (each.constraint, each.own_column)
            ):
                yield each

    def _not_related(self, table: TableName, target: str, hint: str | None) -> RestError:
        using = f" using the hint '{hint[:63]}'" if hint is not None else ""
        known = sorted({each.target.name for each in self._relationships.get(table, ())})
        close = get_close_matches(target[:63], known, n=1, cutoff=0.5)
        suggestion = close[0] if close and close[0] != target else None
        return RestError(
            400,
            "PGRST200",
            f"Could not find a relationship between '{table.name}' and '{target[:63]}' in the "
            "schema cache",
            details=(
                f"Searched for a foreign key relationship between '{table.name}' and "
                f"'{target[:63]}'{using} in the schema '{table.schema}', but no matches were found."
            ),
            hint=(
                f"Perhaps you meant '{suggestion}' instead of '{target[:63]}'."
                if suggestion
                else None
            ),
        )

    def find_function(self, name: TableName, given: Sequence[str], *, is_posted: bool) -> Function:
        """Choose a function by the names of its arguments."""
        candidates = sorted(self.functions.get(name, []), key=_types_of)
        fitting = [each for each in candidates if _takes(each, given)]
        if len(fitting) == 1:
            return fitting[0]
        if is_posted and not fitting:
            whole = [each for each in candidates if takes_whole_body(each) and each.takes_json_body]
            if len(whole) == 1:
                return whole[0]
        if not fitting:
            raise self._no_function(name, given, candidates, is_posted=is_posted)
        raise RestError(
            300,
            "PGRST203",
            "Could not choose the best candidate function between: "
            + ", ".join(each.signature for each in fitting),
            hint=(
                "Try renaming the parameters or the function itself in the database so function "
                "overloading can be resolved"
            ),
        )

    def _no_function(
        self,
        name: TableName,
        given: Sequence[str],
        candidates: Sequence[Function],
        *,
        is_posted: bool,
    ) -> RestError:
        shown = f"{name.schema}.{name.name[:63]}"
        names = ", ".join(each[:63] for each in given[:50])
        with_names = f"({names})" if given else " without parameters"
        plural = "s" if len(given) > 1 else ""
        searched = f" with parameter{plural} {names}" if given else " without parameters"
        whole = " or with a single unnamed json/jsonb parameter" if is_posted else ""
        hint = None
        if candidates:
            listed = ", ".join(each.name for each in candidates[0].arguments)
            hint = f"Perhaps you meant to call the function {shown}({listed})"
        else:
            known = [each.name for each in self.functions if each.schema == name.schema]
            if close := get_close_matches(name.name[:63], known, n=1, cutoff=0.75):
                hint = f"Perhaps you meant to call the function {name.schema}.{close[0]}"
        return RestError(
            404,
            "PGRST202",
            f"Could not find the function {shown}{with_names} in the schema cache",
            details=(
                f"Searched for the function {shown}{searched}{whole}, but no matches were found "
                "in the schema cache."
            ),
            hint=hint,
        )


def _types_of(function: Function) -> list[str]:
    return [each.type for each in function.arguments]


def _takes(function: Function, given: Sequence[str]) -> bool:
    names = {each.name for each in function.arguments}
    required = {
        each.name for each in function.arguments if not (each.has_default or each.is_variadic)
    }
    return required <= set(given) <= names


def takes_whole_body(function: Function) -> bool:
    """Say whether a function's one argument has no name: it gets the whole body."""
    arguments = function.arguments
    return len(arguments) == 1 and not arguments[0].name and arguments[0].type in _WHOLE


def _ambiguous(table: TableName, target: str, found: Sequence[Relationship]) -> RestError:
    hints = ", ".join(
        f"'{each.target.name}!"
        f"{each.junction.table.name if each.junction is not None else each.constraint}'"
        for each in found
    )
    return RestError(
        300,
        "PGRST201",
        "Could not embed because more than one relationship was found for "
        f"'{table.name}' and '{target[:63]}'",
        details=[_described(each) for each in found],
        hint=(
            f"Try changing '{target[:63]}' to one of the following: {hints}. Find the desired "
            "relationship in the 'details' key."
        ),
    )


def _described(each: Relationship) -> dict[str, Any]:
    if each.junction is not None:
        first, second = each.junction.first, each.junction.second
        how = (
            f"{each.junction.table.name} using {first.name}({', '.join(first.columns)}) and "
            f"{second.name}({', '.join(second.columns)})"
        )
    else:
        own = ", ".join(pair[0] for pair in each.pairs)
        theirs = ", ".join(pair[1] for pair in each.pairs)
        how = f"{each.constraint} using {each.table.name}({own}) and {each.target.name}({theirs})"
    return {
        "cardinality": each.cardinality,
        "embedding": f"{each.table.name} with {each.target.name}",
        "relationship": how,
    }
