"""Composes the statement of a plan. Pure; the one place where SQL is written outside `.sql` files.

What goes into the text is of three kinds: identifiers of the catalogue and keys of the answer, both
by way of `quoted`, types and defaults of the catalogue (as PostgreSQL wrote them), and words of
this file. Everything that a client sent is an argument: element n of the array that the statement
has, read as text and cast to the type that the catalogue says.

Aliases are numbered, t… for tables and e… for what is embedded, so that no name of a table or a
column can be taken for one of them.

The shape is PostgREST's: the rows to be shown are a subselect `r`, and of it a JSON array is made.

    WITH src AS (<insert, update, delete or call>)
    SELECT json_agg(r)::text AS body, count(*) AS page, <count> AS total, …
    FROM (SELECT t0."a" AS "a", row_to_json(e1) AS "b" FROM … LEFT JOIN LATERAL (…) e1 ON TRUE …) r
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from server.gateway.rest.catalogue import Argument, Column, Function, Relationship, TableName
from server.gateway.rest.errors import RestError, too_complex
from server.gateway.rest.planner import (
    Call,
    Delete,
    Embed,
    EmbedFilter,
    Everything,
    Insert,
    LogicPlan,
    OrderPlan,
    Output,
    Plan,
    Read,
    TermPlan,
    Update,
    Value,
    ValueFilter,
)
from server.gateway.rest.query import Condition, JsonStep

ARGUMENTS_MAX: Final = 5_000
_SOURCE: Final = "src"

_OPERATORS: Final = {
    "eq": "=",
    "neq": "<>",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "like": "LIKE",
    "ilike": "ILIKE",
    "match": "~",
    "imatch": "~*",
    "cs": "@>",
    "cd": "<@",
    "ov": "&&",
    "sl": "<<",
    "sr": ">>",
    "nxr": "&<",
    "nxl": "&>",
    "adj": "-|-",
    "isdistinct": "IS DISTINCT FROM",
}
_OF_TEXT: Final = frozenset({"like", "ilike", "match", "imatch"})
_SEARCHES: Final = {
    "fts": "to_tsquery",
    "plfts": "plainto_tsquery",
    "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}
_IS: Final = {
    "null": "NULL",
    "not_null": "NOT NULL",
    "true": "TRUE",
    "false": "FALSE",
    "unknown": "UNKNOWN",
}
_TEXTS: Final = frozenset({"text", "character varying", "bpchar", "citext", "name"})
_JSONS: Final = frozenset({"json", "jsonb"})
_AGGREGATES: Final = {"sum": "sum", "avg": "avg", "count": "count", "max": "max", "min": "min"}
# Counts the rows that an upsert inserted: each adds one, and takes it away again if it was there.
_INSERTED: Final = "nullif(current_setting('playhall.inserted', true), '')::int"


class Statement(NamedTuple):
    """A statement with one argument, which is an array of text."""

    text: str
    arguments: list[str]


def quoted(name: str) -> str:
    """Quote an identifier."""
    escaped = name.replace('"', '""').replace("\0", "")
    return f'"{escaped}"'


def _qualified(name: TableName) -> str:
    return f"{quoted(name.schema)}.{quoted(name.name)}"


def compose(plan: Plan) -> Statement:
    """Write the statement of a plan."""
    return _Composer(plan).compose()


class _Composer:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._arguments: list[str] = []
        self._places: dict[str, int] = {}
        self._number = 0
        self._aliases: dict[int, str] = {}  # of embeds, by their identity
        # What a change has to give back for the rows to be read from it.
        self._needed: dict[str, str] = {}

    # ------------------------------------------------------------------ parts

    def _argument(self, text: str, type_name: str = "") -> str:
        """Add an argument; the same text is passed once."""
        place = self._places.get(text)
        if place is None:
            if len(self._arguments) == ARGUMENTS_MAX:
                raise too_complex("values", ARGUMENTS_MAX)
            self._arguments.append(text)
            place = self._places[text] = len(self._arguments)
        cast = f"::{type_name}" if type_name else ""
        return f"($1)[{place}]{cast}"

    def _alias(self, prefix: str) -> str:
        alias = f"{prefix}{self._number}"
        self._number += 1
        return alias

    # ------------------------------------------------------------------ the whole

    def compose(self) -> Statement:
        plan = self._plan
        alias = self._alias("t")
        is_sourced = plan.source is not None
        if not plan.returns_rows:
            rows = f"SELECT 1 FROM {_SOURCE}" if is_sourced else "SELECT 1"
        else:
            rows = self._select(plan.read, alias, from_source=is_sourced)
        total = self._total(alias)
        source = self._source()
        with_source = f"WITH {_SOURCE} AS ({source}) " if source else ""
        inserted = _INSERTED if self._is_merging else "NULL::bigint"
        text = (
            f"{with_source}SELECT {self._body()} AS body, count(*) AS page, "
            f"{total} AS total, {inserted} AS inserted FROM ({rows}) r"
        )
        return Statement(text, self._arguments)

    @property
    def _is_merging(self) -> bool:
        source = self._plan.source
        return isinstance(source, Insert) and source.resolution == "merge-duplicates"

    def _body(self) -> str:
        plan = self._plan
        if not plan.returns_rows:
            return "NULL::text"
        row = "json_strip_nulls(row_to_json(r))" if plan.media.is_stripped else "r"
        if plan.is_scalar:
            assert isinstance(plan.source, Call)
            if plan.source.function.is_set:
                return "coalesce(json_agg(r.value), '[]')::text"
            return "coalesce((json_agg(r.value) -> 0)::text, 'null')"
        if plan.media.kind == "csv":
            return _CSV
        is_one = (
            isinstance(plan.source, Call) and not plan.source.function.is_set
        ) or plan.media.kind == "object"
        if is_one:
            return f"coalesce((json_agg({row}) -> 0)::text, 'null')"
        return f"coalesce(json_agg({row}), '[]')::text"

    def _total(self, alias: str) -> str:
        plan = self._plan
        if not plan.is_counted:
            return "NULL::bigint"
        if plan.source is not None and not isinstance(plan.source, Call):
            return "count(*)"
        return f"(SELECT count(*) FROM ({self._count(plan.read, alias, is_root=True)}) c)"

    def _count(self, read: Read, alias: str, *, is_root: bool, joined: Sequence[str] = ()) -> str:
        """Write what counts the rows of a table that a request is about."""
        is_sourced = is_root and self._plan.source is not None
        where = [*joined, *(self._counted_term(term, alias) for term in read.terms)]
        where += [self._exists(each, alias) for each in read.embeds if each.is_inner]
        source = _SOURCE if is_sourced else self._from_table(read)
        condition = f" WHERE {' AND '.join(where)}" if where else ""
        return f"SELECT 1 FROM {source} {alias}{condition}"

    def _exists(self, embed: Embed, parent: str) -> str:
        alias = self._alias("t")
        source, conditions = self._joined(embed.relationship, parent, alias)
        where = [*conditions, *(self._counted_term(term, alias) for term in embed.read.terms)]
        where += [self._exists(each, alias) for each in embed.read.embeds if each.is_inner]
        condition = f" WHERE {' AND '.join(where)}" if where else ""
        return f"EXISTS (SELECT 1 FROM {source}{condition})"

    def _counted_term(self, term: TermPlan, alias: str) -> str:
        if isinstance(term, EmbedFilter):
            return f"{'NOT ' if term.is_empty else ''}{self._exists(term.embed, alias)}"
        if isinstance(term, LogicPlan):
            inner = f" {term.operator.upper()} ".join(
                self._counted_term(each, alias) for each in term.terms
            )
            return f"{'NOT ' if term.is_negated else ''}({inner})"
        return self._filter(term, alias)

    # ------------------------------------------------------------------ reading

    def _from_table(self, read: Read) -> str:
        assert read.table is not None
        return _qualified(read.table.name)

    def _select(
        self,
        read: Read,
        alias: str,
        *,
        from_source: bool = False,
        source: str | None = None,
        conditions: Sequence[str] = (),
        hidden: Sequence[str] = (),
    ) -> str:
        """Write the subselect of a level; `source` and `conditions` connect it with its parent."""
        joins = [self._join(embed, alias, read) for embed in read.embeds]
        outputs: list[str] = []
        groups: list[str] = []
        for each in read.outputs:
            if isinstance(each, Embed):
                self._embedded(each, outputs, groups, is_grouped=read.is_aggregated)
            elif isinstance(each, Everything):
                outputs.append(f"{alias}.*" if self._is_of_rows(from_source) else f"{alias}.value")
            else:
                written = self._output(each, alias)
                outputs.append(f"{written} AS {quoted(each.key)}")
                if each.aggregate is None:
                    groups.append(written)
        outputs += hidden
        if not outputs:
            outputs = ["1"]
        where = [*conditions, *(self._term(term, alias) for term in read.terms)]
        order = [self._order(each, alias) for each in read.order]
        if source is None:
            source = f"{_SOURCE if from_source else self._from_table(read)} {alias}"
        parts = [f"SELECT {', '.join(outputs)} FROM {source}", *joins]
        if where:
            parts.append(f"WHERE {' AND '.join(where)}")
        if read.is_aggregated and groups:
            parts.append(f"GROUP BY {', '.join(groups)}")
        if order:
            parts.append(f"ORDER BY {', '.join(order)}")
        if read.limit is not None:
            parts.append(f"LIMIT {read.limit:d}")
        if read.offset:
            parts.append(f"OFFSET {read.offset:d}")
        return " ".join(parts)

    def _is_of_rows(self, from_source: bool) -> bool:
        return not (from_source and self._plan.is_scalar)

    def _output(self, output: Output, alias: str) -> str:
        if output.value is None:
            written = "count(*)"
        else:
            written = self._value(output.value, alias)
            if output.cast is not None:
                written = f"CAST({written} AS {output.cast})"
            if output.aggregate is not None:
                written = f"{_AGGREGATES[output.aggregate]}({written})"
        if output.aggregate_cast is not None:
            written = f"CAST({written} AS {output.aggregate_cast})"
        return written

    def _value(self, value: Value, alias: str) -> str:
        source = value.source
        if isinstance(source, Column):
            written = self._column(source.name, alias)
        else:
            written = self._computed(source, alias)
        if value.path:
            base = source.base if isinstance(source, Column) else ""
            if base not in _JSONS:
                written = f"to_jsonb({written})"
            written = f"({written}{''.join(map(self._step, value.path))})"
        return written

    def _column(self, name: str, alias: str) -> str:
        if alias == "t0" and self._plan.source is not None:
            self._needed[name] = f"x.{quoted(name)}"
        return f"{alias}.{quoted(name)}"

    def _computed(self, function: Function, alias: str) -> str:
        name = function.name.name
        source = self._plan.source
        if alias == "t0" and isinstance(source, Insert | Update | Delete):
            # What a change gives back is no row of its table any more, so it is worked out there.
            self._needed[name] = f"{_qualified(function.name)}(x) AS {quoted(name)}"
            return f"{alias}.{quoted(name)}"
        row_type = function.arguments[0].type
        return f"{_qualified(function.name)}({alias}::{row_type})"

    def _step(self, step: JsonStep) -> str:
        arrow = "->>" if step.as_text else "->"
        return f"{arrow}{self._argument(step.key, 'int' if step.is_index else 'text')}"

    def _order(self, order: OrderPlan, alias: str) -> str:
        if order.embed is not None:
            place = self._hidden_of(order.embed).index(order)
            written = f"{self._aliases[id(order.embed)]}.o{place}"
        else:
            written = self._value(order.value, alias)
        if order.is_descending is not None:
            written += " DESC" if order.is_descending else " ASC"
        if order.nulls_first is not None:
            written += " NULLS FIRST" if order.nulls_first else " NULLS LAST"
        return written

    def _hidden_of(self, embed: Embed) -> list[OrderPlan]:
        return [each for each in self._ordering if each.embed is embed]

    _ordering: Sequence[OrderPlan] = ()

    # ------------------------------------------------------------------ embedding

    def _join(self, embed: Embed, parent: str, read: Read) -> str:
        """Write the lateral join that has a row's embedded rows."""
        child, joined = self._alias("t"), self._alias("e")
        self._aliases[id(embed)] = joined
        self._ordering = [*self._ordering, *(each for each in read.order if each.embed is embed)]
        source, conditions = self._joined(embed.relationship, parent, child)
        hidden = [
            f"{self._value(each.value, child)} AS o{place}"
            for place, each in enumerate(self._hidden_of(embed))
        ]
        rows = self._select(embed.read, child, source=source, conditions=conditions, hidden=hidden)
        kind = "JOIN" if embed.is_inner else "LEFT JOIN"
        if embed.relationship.is_to_one:
            return f"{kind} LATERAL ({rows}) {joined} ON TRUE"
        if embed.is_spread:
            keys = [each.key for each in embed.read.outputs if isinstance(each, Output | Embed)]
            listed = ", ".join(f"json_agg(s.{quoted(key)}) AS {quoted(key)}" for key in keys)
            listed = f", {listed}" if listed else ""
            rows = f"SELECT nullif(count(*), 0) AS j{listed} FROM ({rows}) s"
        else:
            rows = f"SELECT json_agg(s) AS j FROM ({rows}) s"
        condition = f"{joined}.j IS NOT NULL" if embed.is_inner else "TRUE"
        return f"{kind} LATERAL ({rows}) {joined} ON {condition}"

    def _embedded(
        self, embed: Embed, outputs: list[str], groups: list[str], *, is_grouped: bool
    ) -> None:
        joined = self._aliases[id(embed)]
        if not embed.is_shown:
            return
        if embed.is_spread:
            for each in embed.read.outputs:
                if isinstance(each, Everything):
                    continue
                written = f"{joined}.{quoted(each.key)}"
                if not embed.relationship.is_to_one:
                    written = f"coalesce({written}, '[]')"
                outputs.append(f"{written} AS {quoted(each.key)}")
                groups.append(written)
            return
        if embed.relationship.is_to_one:
            hidden = len(self._hidden_of(embed))
            written = f"row_to_json({joined})"
            if hidden:
                keys = ", ".join(f"'o{place}'" for place in range(hidden))
                written = f"(to_jsonb({joined}) - ARRAY[{keys}])"
        else:
            written = f"coalesce({joined}.j, '[]')"
        if is_grouped:
            written = f"({written})::jsonb"
            groups.append(written)
        outputs.append(f"{written} AS {quoted(embed.key)}")

    def _joined(self, relationship: Relationship, parent: str, child: str) -> tuple[str, list[str]]:
        """Write what a level selects from, and what connects it with a row above."""
        target = f"{_qualified(relationship.target)} {child}"
        if relationship.function is not None:
            row_type = relationship.function.arguments[0].type
            name = _qualified(relationship.function.name)
            if parent == "t0" and isinstance(self._plan.source, Insert | Update | Delete):
                raise RestError(
                    400,
                    "PGRST127",
                    "Feature not implemented",
                    details="A computed relationship cannot be embedded in what a change returns",
                )
            return f"{name}({parent}::{row_type}) {child}", []
        if relationship.junction is not None:
            junction = relationship.junction
            between = self._alias("j")
            first, second = junction.first, junction.second
            conditions = [
                f"{between}.{quoted(own)} = {self._column(theirs, parent)}"
                for own, theirs in zip(first.columns, first.target_columns, strict=True)
            ] + [
                f"{between}.{quoted(own)} = {child}.{quoted(theirs)}"
                for own, theirs in zip(second.columns, second.target_columns, strict=True)
            ]
            return f"{target}, {_qualified(junction.table)} {between}", conditions
        return target, [
            f"{child}.{quoted(theirs)} = {self._column(own, parent)}"
            for own, theirs in relationship.pairs
        ]

    # ------------------------------------------------------------------ conditions

    def _term(self, term: TermPlan, alias: str) -> str:
        if isinstance(term, EmbedFilter):
            joined = self._aliases[id(term.embed)]
            found = joined if term.embed.relationship.is_to_one else f"{joined}.j"
            return f"{found} IS {'NOT ' if term.is_empty else ''}DISTINCT FROM NULL"
        if isinstance(term, LogicPlan):
            inner = f" {term.operator.upper()} ".join(
                self._term(each, alias) for each in term.terms
            )
            return f"{'NOT ' if term.is_negated else ''}({inner})"
        return self._filter(term, alias)

    def _filter(self, term: ValueFilter, alias: str) -> str:
        condition = term.condition
        written = self._condition(condition, term.value, self._value(term.value, alias))
        return f"NOT ({written})" if condition.is_negated else written

    def _condition(self, condition: Condition, value: Value, written: str) -> str:
        operator, given, base = condition.operator, condition.value, value.base
        if operator == "in":
            assert isinstance(given, tuple)
            listed = "{}" if given == ("",) else _array_literal(given)
            return f"{written} = ANY ({self._argument(listed, f'{base}[]')})"
        assert isinstance(given, str)
        if operator == "is":
            return f"{written} IS {_IS[given]}"
        if operator in _SEARCHES:
            return self._search(condition, given, written, base)
        if operator in _OF_TEXT:
            if base not in _TEXTS:
                written = f"{written}::text"
            base = "text"
            if operator in ("like", "ilike"):
                given = given.replace("*", "%")
        symbol = _OPERATORS[operator]
        if condition.quantifier is not None:
            argument = self._argument(given, f"{base}[]")
            return f"{written} {symbol} {condition.quantifier.upper()} ({argument})"
        return f"{written} {symbol} {self._argument(given, base)}"

    def _search(self, condition: Condition, given: str, written: str, base: str) -> str:
        language = ""
        if condition.option is not None:
            language = f"{self._argument(condition.option, 'regconfig')}, "
        if base != "tsvector":
            written = f"to_tsvector({language}{written})"
        return f"{written} @@ {_SEARCHES[condition.operator]}({language}{self._argument(given)})"

    # ------------------------------------------------------------------ changes and calls

    def _source(self) -> str:
        source = self._plan.source
        if isinstance(source, Insert):
            return self._insert(source)
        if isinstance(source, Update):
            return self._update(source)
        if isinstance(source, Delete):
            where = self._where(source.terms)
            return f"DELETE FROM {_qualified(source.table.name)} x{where}{self._returning()}"
        if isinstance(source, Call):
            return self._call(source)
        return ""

    def _returning(self) -> str:
        if not self._needed:
            read = self._plan.read
            if any(isinstance(each, Everything) for each in read.outputs):
                return " RETURNING x.*"
            return " RETURNING 1"
        return f" RETURNING {', '.join(self._needed.values())}"

    def _where(self, terms: Sequence[TermPlan]) -> str:
        return f" WHERE {' AND '.join(self._term(each, 'x') for each in terms)}"

    def _insert(self, source: Insert) -> str:
        columns = ", ".join(quoted(each.name) for each in source.columns)
        into = f"INSERT INTO {_qualified(source.table.name)} AS x"
        if columns:
            into += f" ({columns})"
        chosen = ", ".join(f"p.{quoted(each.name)}" for each in source.columns)
        rows = f"SELECT {chosen} FROM {self._payload(source)}"
        conflict = ""
        if source.conflict:
            keys = ", ".join(quoted(each.name) for each in source.conflict)
            if source.resolution == "ignore-duplicates" or not source.columns:
                conflict = f" ON CONFLICT ({keys}) DO NOTHING"
            else:
                rows += f" WHERE {_counted('+', 0)}"
                setting = ", ".join(
                    f"{quoted(each.name)} = EXCLUDED.{quoted(each.name)}" for each in source.columns
                )
                conflict = (
                    f" ON CONFLICT ({keys}) DO UPDATE SET {setting} WHERE {_counted('-', -1)}"
                )
        return f"{into} {rows}{conflict}{self._returning()}"

    def _payload(self, source: Insert) -> str:
        body = self._argument(source.body)
        if not source.columns:
            if source.is_object:
                return "(VALUES (1)) p"
            return f"json_array_elements({body}::json) p"
        typed = _typed(source.columns)
        if not source.uses_defaults:
            function = "json_to_record" if source.is_object else "json_to_recordset"
            return f"{function}({body}::json) AS p({typed})"
        defaults = ", ".join(
            f"{_literal(each.name)}, {each.default}" for each in source.columns if each.default
        )
        elements = (
            f"(SELECT {body}::jsonb AS value) d"
            if source.is_object
            else f"jsonb_array_elements({body}::jsonb) d"
        )
        return (
            f"{elements}, LATERAL jsonb_to_record(jsonb_build_object({defaults}) || d.value) "
            f"AS p({typed})"
        )

    def _update(self, source: Update) -> str:
        table = _qualified(source.table.name)
        if not source.columns:
            return f"SELECT x.* FROM {table} x WHERE FALSE"
        setting = ", ".join(
            f"{quoted(each.name)} = p.{quoted(each.name)}" for each in source.columns
        )
        body = self._argument(source.body)
        element = f"{body}::json" if source.is_object else f"({body}::json -> 0)"
        payload = f"json_to_record({element}) AS p({_typed(source.columns)})"
        where = self._where(source.terms)
        return f"UPDATE {table} x SET {setting} FROM {payload}{where}{self._returning()}"

    def _call(self, source: Call) -> str:
        function = source.function
        name = _qualified(function.name)
        payload = ""
        if source.takes_whole_body and source.body is not None:
            arguments = self._argument(source.body, function.arguments[0].type)
        elif source.body is not None:
            given = [each for each in function.arguments if each.name in source.given]
            arguments = ", ".join(f"{_prefix(each)}p.{quoted(each.name)}" for each in given)
            if given:
                typed = ", ".join(f"{quoted(each.name)} {each.type}" for each in given)
                body = self._argument(source.body)
                payload = f"json_to_record({body}::json) AS p({typed}), LATERAL "
        else:
            arguments = self._text_arguments(source)
        call = f"{name}({arguments})"
        if function.returns == "row":
            return f"SELECT f.* FROM {payload}{call} f"
        return f"SELECT f.value FROM {payload}(SELECT {call} AS value) f"

    def _text_arguments(self, source: Call) -> str:
        texts = dict(source.texts)
        written = []
        for each in source.function.arguments:
            if each.name not in texts:
                continue
            values = texts[each.name]
            if each.is_variadic:
                value = self._argument(_array_literal(values), each.type)
            else:
                value = self._argument(values[-1], each.type)
            written.append(f"{_prefix(each)}{value}")
        return ", ".join(written)


_CSV: Final = (
    "coalesce((SELECT string_agg(k.key, ',') FROM "
    "json_object_keys((json_agg(r) -> 0)) AS k(key)), '') || E'\\n' || "
    "coalesce(string_agg(substring(r::text, 2, length(r::text) - 2), E'\\n'), '')"
)


def _prefix(argument: Argument) -> str:
    """Write what comes before the value of an argument; one without a name is called by place."""
    name = f"{quoted(argument.name)} := " if argument.name else ""
    return f"VARIADIC {name}" if argument.is_variadic else name


def _counted(sign: str, other: int) -> str:
    return (
        f"set_config('playhall.inserted', (coalesce({_INSERTED}, 0) {sign} 1)::text, true) "
        f"<> '{other}'"
    )


def _typed(columns: Sequence[Column]) -> str:
    return ", ".join(f"{quoted(each.name)} {each.type}" for each in columns)


def _literal(name: str) -> str:
    """Quote the name of a column of the catalogue as text."""
    escaped = name.replace("'", "''")
    return f"'{escaped}'"


def _array_literal(values: Sequence[str]) -> str:
    """Write an array as PostgreSQL reads it, each element quoted."""
    listed = ",".join(
        '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values
    )
    return f"{{{listed}}}"
