"""What a client wants to hear of a table: events, filters on columns, and the columns. Pure.

A filter is `column=operator.value`, several of them `a=eq.1,b=in.(x,y)`; all must hold. Values are
compared as JSON has them: what a filter names was written by PostgreSQL like the values of rows.
Numbers compare as numbers, and everything else as text, by code points.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

FILTER_CHARS_MAX: Final = 2000
CONDITIONS_MAX: Final = 10
VALUES_MAX: Final = 100
EVENTS: Final = frozenset({"INSERT", "UPDATE", "DELETE", "*"})

_COMPARING: Final = frozenset({"eq", "neq", "lt", "lte", "gt", "gte", "isdistinct"})
_PATTERNS: Final = frozenset({"like", "ilike"})
_IS: Final = {"null": None, "unknown": None, "true": True, "false": False}


class InvalidFilter(ValueError):
    """What a client subscribes to cannot be; the message says why, and `binding_id` where."""

    binding_id: int | None = None


class Condition(NamedTuple):
    """A column, an operator and what it is compared with."""

    column: str
    operator: str
    is_negated: bool
    values: tuple[Any, ...]

    def holds(self, row: Mapping[str, Any]) -> bool:
        """Say whether a row is meant; as in SQL, what is null is neither equal nor different."""
        value = row.get(self.column)
        operator = self.operator
        if operator == "is":
            return (value is self.values[0]) is not self.is_negated
        if operator == "isdistinct":
            return (value != self.values[0]) is not self.is_negated
        if value is None:
            return False
        return self._compares(value) is not self.is_negated

    def _compares(self, value: Any) -> bool:
        if self.operator in ("eq", "in"):
            return value in self.values
        wanted = self.values[0]
        if self.operator in _PATTERNS:
            return isinstance(value, str) and _is_like(self.operator, value, wanted)
        if self.operator == "neq":
            return bool(value != wanted)
        if isinstance(value, str) is not isinstance(wanted, str):  # a number, and `NaN`
            return False
        match self.operator:
            case "lt":
                return bool(value < wanted)
            case "lte":
                return bool(value <= wanted)
            case "gt":
                return bool(value > wanted)
            case _:
                return bool(value >= wanted)


class Binding(NamedTuple):
    """What a client asks for; `table` is None for every published table of the schema."""

    event: str
    schema: str
    table: str | None
    conditions: tuple[Condition, ...]
    select: frozenset[str] | None

    def wants(self, operation: str) -> bool:
        """Say whether an operation is one of those asked for."""
        return self.event in ("*", operation)


def parse_binding(given: Mapping[str, Any]) -> Binding:
    """Read what a client asks for; the values of conditions are as they came."""
    event, schema = given.get("event", "*"), given.get("schema", "public")
    table, written, select = given.get("table"), given.get("filter"), given.get("select")
    if not isinstance(event, str) or event.upper() not in EVENTS:
        raise InvalidFilter("event must be INSERT, UPDATE, DELETE or *")
    if not isinstance(schema, str) or not isinstance(table, str | None):
        raise InvalidFilter("schema and table must be names")
    if not isinstance(written, str | None):
        raise InvalidFilter("filter must be a string such as id=eq.1")
    if select is not None and not (
        isinstance(select, list) and select and all(isinstance(each, str) for each in select)
    ):
        raise InvalidFilter("select must be a list of columns")
    table = None if table in (None, "", "*") else table
    conditions = tuple(parse_filter(written)) if written else ()
    if table is None and (conditions or select):
        raise InvalidFilter("a filter needs a table")
    columns = None if select is None else frozenset(select)
    return Binding(event.upper(), schema, table, conditions, columns)


def parse_filter(written: str) -> Iterator[Condition]:
    """Read the conditions of a filter; raise `InvalidFilter`."""
    if len(written) > FILTER_CHARS_MAX:
        raise InvalidFilter(f"a filter can have at most {FILTER_CHARS_MAX} characters")
    parts = _split(written)
    if len(parts) > CONDITIONS_MAX:
        raise InvalidFilter(f"a filter can have at most {CONDITIONS_MAX} conditions")
    for part in parts:
        column, equals, rest = part.partition("=")
        is_negated = rest.startswith("not.")
        operator, dot, value = rest.removeprefix("not.").partition(".")
        if not (column and equals and dot):
            raise InvalidFilter(f"{part[:80]!r} is not of the form column=operator.value")
        yield Condition(column.strip(), operator, is_negated, tuple(_values(operator, value)))


def _values(operator: str, value: str) -> Sequence[Any]:
    if operator == "in":
        if not (value.startswith("(") and value.endswith(")")):
            raise InvalidFilter("in takes a list: in.(a,b)")
        listed = [_unquoted(each) for each in _split(value[1:-1])]
        if not 1 <= len(listed) <= VALUES_MAX:
            raise InvalidFilter(f"in takes 1 to {VALUES_MAX} values")
        return listed
    if operator == "is":
        if value not in _IS:
            raise InvalidFilter("is takes null, true, false or unknown")
        return [_IS[value]]
    if operator in _PATTERNS:
        pattern = _unquoted(value)
        if _segments(pattern) is None:
            raise InvalidFilter("a pattern can have % for any characters; write \\_ for _")
        return [pattern]
    if operator not in _COMPARING:
        raise InvalidFilter(
            f"{operator[:20]!r} is not one of eq, neq, lt, lte, gt, gte, in, is, isdistinct, like "
            "and ilike"
        )
    if operator == "isdistinct" and value == "null":
        return [None]
    return [_unquoted(value)]


@lru_cache(1000)
def _segments(pattern: str) -> tuple[str, ...] | None:
    """Take a pattern apart at its `%`; None for one that has more than those.

    That leaves patterns which are compared in one pass, whatever they are compared with.
    """
    segments, is_escaped = [""], False
    for char in pattern:
        if is_escaped or char not in "\\%_":
            segments[-1] += char
            is_escaped = False
        elif char == "\\":
            is_escaped = True
        elif char == "%":
            segments.append("")
        else:
            return None
    return None if is_escaped else tuple(segments)


def _is_like(operator: str, value: str, pattern: str) -> bool:
    if operator == "ilike":
        value, pattern = value.lower(), pattern.lower()
    segments = _segments(pattern)
    assert segments is not None
    first, *middle = segments
    if not middle:
        return value == first
    if not value.startswith(first):
        return False
    at = len(first)
    for segment in middle[:-1]:
        found = value.find(segment, at)
        if found < 0:
            return False
        at = found + len(segment)
    return len(value) - at >= len(middle[-1]) and value.endswith(middle[-1])


def _split(text: str) -> list[str]:
    """Split at commas that are neither quoted nor in parentheses."""
    parts, start, depth, at, is_quoted = [], 0, 0, 0, False
    while at < len(text):
        char = text[at]
        if char == "\\" and is_quoted:
            at += 1
        elif char == '"':
            is_quoted = not is_quoted
        elif not is_quoted:
            depth += (char == "(") - (char == ")")
            if char == "," and depth == 0:
                parts.append(text[start:at])
                start = at + 1
        at += 1
    return [*parts, text[start:]]


def _unquoted(value: str) -> str:
    value = value.strip()
    if len(value) < 2 or not (value[0] == value[-1] == '"'):
        return value
    out, is_escaped = [], False
    for char in value[1:-1]:
        if char == "\\" and not is_escaped:
            is_escaped = True
            continue
        out.append(char)
        is_escaped = False
    return "".join(out)


class Subscription(NamedTuple):
    """A binding of a channel to one table; `who` hears of it, by its `binding_id`."""

    who: Any
    binding_id: int
    binding: Binding


class SubscriptionIndex:
    """Which subscriptions a change may concern.

    Most filters name one value (`user_id=eq.…`), so those are found by it, and not by trying all.
    """

    def __init__(self) -> None:
        self._by_value: dict[tuple[int, str], dict[Any, dict[int, Subscription]]] = {}
        self._others: dict[int, dict[int, Subscription]] = {}
        self._columns: dict[int, dict[str, int]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, relation: int, subscription: Subscription) -> None:
        """Add a subscription to a table's changes."""
        self._count += 1
        key = _key(subscription)
        if key is None:
            self._others.setdefault(relation, {})[id(subscription)] = subscription
            return
        column, value = key
        columns = self._columns.setdefault(relation, {})
        columns[column] = columns.get(column, 0) + 1
        of_column = self._by_value.setdefault((relation, column), {})
        of_column.setdefault(value, {})[id(subscription)] = subscription

    def remove(self, relation: int, subscription: Subscription) -> None:
        """Remove a subscription that was added."""
        self._count -= 1
        key = _key(subscription)
        if key is None:
            del self._others[relation][id(subscription)]
            return
        column, value = key
        columns, of_column = self._columns[relation], self._by_value[relation, column]
        del of_column[value][id(subscription)]
        if not of_column[value]:
            del of_column[value]
        columns[column] -= 1
        if not columns[column]:
            del columns[column], self._by_value[relation, column]

    def find(self, relation: int, operation: str, row: Mapping[str, Any]) -> list[Subscription]:
        """List the subscriptions that a change of a row is for, whoever may read it."""
        found = list(self._others.get(relation, {}).values())
        for column in self._columns.get(relation, ()):
            value = row.get(column)
            if isinstance(value, str | int | float):
                found += self._by_value[relation, column].get(value, {}).values()
        return [
            each
            for each in found
            if each.binding.wants(operation)
            and all(condition.holds(row) for condition in each.binding.conditions)
        ]


def _key(subscription: Subscription) -> tuple[str, Any] | None:
    for condition in subscription.binding.conditions:
        if condition.operator == "eq" and not condition.is_negated:
            return condition.column, condition.values[0]
    return None
