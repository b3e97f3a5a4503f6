"""Reads PostgREST's query strings. Pure: any bytes give a `Query` or a `RestError`.

The grammar is PostgREST's, with its small freedoms: names may be quoted, blanks may stand around
commas, and a value reaches to the end of its parameter or, in parentheses, to the next comma.
Every list and every nesting is bounded, so that the work grows with the length of the text alone.
"""

import re
from collections.abc import Callable
from typing import Final, Literal, TypeVar
from urllib.parse import unquote_to_bytes

from server.gateway.rest.errors import RestError, not_parsed, too_complex
from server.gateway.rest.query import (
    Condition,
    Field,
    Filter,
    Join,
    JsonStep,
    Logic,
    Order,
    Path,
    Quantifier,
    Query,
    SelectField,
    SelectItem,
    SelectRelation,
    Term,
)

PARAMETERS_MAX: Final = 200
ITEMS_MAX: Final = 1000  # of a select list, a list of values, or the terms of `and` and `or`
DEPTH_MAX: Final = 12  # of embedded resources, and of `and` and `or` in each other
STEPS_MAX: Final = 20  # into JSON
LIMIT_MAX: Final = 2**31 - 1

# The longer ones first where one begins like another.
_SIMPLE: Final = ("neq", "cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj")
_QUANTIFIED: Final = ("eq", "gte", "gt", "lte", "lt", "like", "ilike", "match", "imatch")
_SEARCHES: Final = ("fts", "plfts", "phfts", "wfts")
_IS_VALUES: Final = ("null", "not_null", "true", "false", "unknown")
_AGGREGATES: Final = ("sum", "avg", "count", "max", "min")
_OPERATORS: Final = 'operator "not" or operator (eq, gt, ...)'
_NAME: Final = "field name (* or [a..z0..9_$])"

# A dash is part of a name, an arrow is not.
_NAMED: Final = re.compile(r"[\w$ ]+(?:-[\w$ ]+)*")
# Most of a select list: a column by its name.
_PLAIN_ITEM: Final = re.compile(r"([\w$]+)(?=[,)]|$)")

T = TypeVar("T")


class _NoMatch(Exception):
    """This way of reading the text does not fit; another one may."""


class _Text:
    """A parameter that is read from left to right."""

    __slots__ = ("at", "text", "what")

    def __init__(self, what: str, text: str) -> None:
        self.what = what
        self.text = text
        self.at = 0

    @property
    def is_over(self) -> bool:
        return self.at >= len(self.text)

    @property
    def next(self) -> str:
        """The next character; empty at the end."""
        return self.text[self.at : self.at + 1]

    def error(self, expected: str) -> RestError:
        return not_parsed(self.what, self.text, self.at, found=self.next, expected=expected)

    def take(self, token: str) -> bool:
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def require(self, token: str, expected: str | None = None) -> None:
        if not self.take(token):
            raise self.error(expected or f'"{token}"')

    def skip_blanks(self) -> None:
        self.take_while(_is_blank)

    def take_while(self, is_wanted: Callable[[str], bool]) -> str:
        start = self.at
        text, length = self.text, len(self.text)
        at = start
        while at < length and is_wanted(text[at]):
            at += 1
        self.at = at
        return text[start:at]

    def attempt(self, read: Callable[[], T]) -> T | None:
        """Read something that may not be there; leaves the text as it was if it is not."""
        start = self.at
        try:
            return read()
        except (_NoMatch, RestError) as error:
            if isinstance(error, RestError) and error.code != "PGRST100":
                raise
            self.at = start
            return None

    # ------------------------------------------------------------------ parts

    def quoted(self) -> str:
        """Read `"…"`, in which a backslash takes the next character as it is."""
        self.require('"')
        text, at, read = self.text, self.at, list[str]()
        while at < len(text) and text[at] != '"':
            at += text[at] == "\\"
            read.append(text[at : at + 1])
            at += 1
        if at >= len(text):
            self.at = len(text)
            raise self.error("any character")
        self.at = at + 1
        return "".join(read)

    def name(self) -> str:
        """Read the name of a column, a relation or an alias."""
        if self.next == '"':
            return self.quoted()
        found = _NAMED.match(self.text, self.at)
        name = found[0].strip() if found is not None else ""
        if found is None or not name:
            raise self.error(_NAME)
        self.at = found.end()
        return name

    def identifier(self) -> str:
        """Read the name of a type or a language: letters, digits, `_`, `$` and blanks."""
        name = self.take_while(_is_of_name).strip()
        if not name:
            raise self.error("letter or digit")
        return name

    def json_path(self) -> tuple[JsonStep, ...]:
        steps: list[JsonStep] = []
        while self.text.startswith("->", self.at):
            as_text = self.take("->>") or not self.take("->")
            if len(steps) == STEPS_MAX:
                raise too_complex("steps into JSON", STEPS_MAX)
            index = self.attempt(self._json_index)
            if index is not None:
                steps.append(JsonStep(index, is_index=True, as_text=as_text))
            else:
                steps.append(JsonStep(self._json_key(), is_index=False, as_text=as_text))
        return tuple(steps)

    def _json_index(self) -> str:
        sign = "-" if self.take("-") else ""
        digits = self.take_while(_is_digit)
        ends = self.is_over or self.next in (".", ",", ")") or self.text.startswith("::", self.at)
        if not digits or len(digits) > 9 or not (ends or self.text.startswith("->", self.at)):
            raise _NoMatch
        return sign + digits

    def _json_key(self) -> str:
        if self.next == '"':
            return self.quoted()
        start = self.at
        self.take_while(_is_of_json_key)
        while self.next == "-" and not self.text.startswith("->", self.at):
            self.at += 1
            self.take_while(_is_of_json_key)
        key = self.text[start : self.at].strip()
        if not key:
            raise self.error("any non reserved character different from: .,>()")
        return key

    def field(self) -> Field:
        self.skip_blanks()
        name = self.name()
        path = self.json_path()
        self.skip_blanks()
        return Field(name, path)

    def alias(self) -> str:
        name = self.name()
        if not self.take(":") or self.next == ":":
            raise _NoMatch
        return name


def _is_of_name(character: str) -> bool:
    return character.isalnum() or character in "_ $"


def _is_of_json_key(character: str) -> bool:
    return character not in "(-:.,>)"


def _is_blank(character: str) -> bool:
    return character in " \t"


def _is_digit(character: str) -> bool:
    return character in "0123456789"


# ------------------------------------------------------------------ the query string


def split_query(raw: bytes) -> list[tuple[str, str]]:
    """Decode a query string; what is not UTF-8 becomes the replacement character."""
    pairs: list[tuple[str, str]] = []
    for part in raw.split(b"&"):
        if not part:
            continue
        key, has_value, value = part.partition(b"=")
        if has_value:
            pairs.append((_decoded(key), _decoded(value)))
        if len(pairs) > PARAMETERS_MAX:
            raise too_complex("parameters", PARAMETERS_MAX)
    return pairs


def _decoded(part: bytes) -> str:
    return unquote_to_bytes(part.replace(b"+", b" ")).decode("utf-8", "replace")


def parse_query(raw: bytes, *, has_arguments: bool = False) -> Query:
    """Read a query string; with `has_arguments`, as of a function that is called by GET."""
    query = Query()
    given: dict[str, object] = {}
    arguments: list[tuple[str, str]] = []
    for key, value in split_query(raw):
        ending = key.rpartition(".")[2]
        if key == "select":
            given.setdefault("select", parse_select(value))
        elif key == "columns":
            given.setdefault("columns", _names("columns parameter", value))
        elif key == "on_conflict":
            given.setdefault("on_conflict", _names("on_conflict parameter", value))
        elif ending == "order":
            query.order[_path_before(key)] = _parse_order(value)
        elif ending == "limit":
            _note(query.limits, _path_before(key), value)
        elif ending == "offset":
            _note(query.offsets, _path_before(key), value)
        elif ending in ("and", "or"):
            path, term = _parse_logic(key, value)
            query.terms.setdefault(path, []).append(term)
        else:
            found = _parse_filter(key, value, may_be_argument=has_arguments)
            if found is None:
                arguments.append((key, value))
            else:
                query.terms.setdefault(found[0], []).append(found[1])
    return Query(
        **{  # type: ignore[arg-type]  # each is of its field's type
            "terms": query.terms,
            "order": query.order,
            "limits": query.limits,
            "offsets": query.offsets,
            "arguments": tuple(arguments),
            **given,
        }
    )


def _note(numbers: dict[Path, int], path: Path, value: str) -> None:
    """Note a limit or an offset; what is no number is as if it were not there, as in PostgREST."""
    digits = value.removeprefix("-")
    if digits.isascii() and digits.isdecimal():
        numbers[path] = max(-1, min(int(value[:20]), LIMIT_MAX))


def _names(what: str, value: str) -> tuple[str, ...]:
    text = _Text(what, value)
    names: list[str] = []
    while True:
        text.skip_blanks()
        names.append(text.name())
        text.skip_blanks()
        if text.is_over:
            return tuple(dict.fromkeys(names))
        if len(names) == ITEMS_MAX:
            raise too_complex("names", ITEMS_MAX)
        text.require(",")


def _tree_path(key: str) -> tuple[Path, Field]:
    """Read `relation.relation.column->path`."""
    text = _Text("tree path", key)
    names = [text.name()]
    while text.take("."):
        names.append(text.name())
        if len(names) > DEPTH_MAX:
            raise too_complex("embedded resources in each other", DEPTH_MAX)
    path = text.json_path()
    if not text.is_over:
        raise text.error('"." or end of input')
    return tuple(names[:-1]), Field(names[-1], path)


def _path_before(key: str) -> Path:
    return _tree_path(key)[0]


# ------------------------------------------------------------------ select


def parse_select(value: str) -> tuple[SelectItem, ...]:
    """Read a select list."""
    text = _Text("select parameter", value)
    items = _select_items(text, 0)
    if not text.is_over:
        raise text.error('"," or end of input')
    return items


def _select_items(text: _Text, depth: int) -> tuple[SelectItem, ...]:
    if depth > DEPTH_MAX:
        raise too_complex("embedded resources in each other", DEPTH_MAX)
    items: list[SelectItem] = []
    text.skip_blanks()
    if text.is_over or text.next == ")":
        return ()
    while True:
        items.append(_select_item(text, depth))
        if len(items) > ITEMS_MAX:
            raise too_complex("selected items", ITEMS_MAX)
        text.skip_blanks()
        if not text.take(","):
            return tuple(items)
        text.skip_blanks()


def _select_item(text: _Text, depth: int) -> SelectItem:
    if (plain := _PLAIN_ITEM.match(text.text, text.at)) is not None:
        text.at = plain.end()
        return SelectField(Field(plain[1]))
    text.skip_blanks()
    relation = text.attempt(lambda: _relation_head(text))
    if relation is None:
        return _select_field(text)
    text.require("(")
    items = _select_items(text, depth + 1)
    text.skip_blanks()
    text.require(")")
    return relation._replace(items=items)


def _relation_head(text: _Text) -> SelectRelation:
    is_spread = text.take("...")
    alias = None if is_spread else text.attempt(text.alias)
    name = text.name()
    if name == "count":  # an aggregate
        raise _NoMatch
    hint: str | None = None
    join: Join | None = None
    for _ in range(2):
        if not text.take("!"):
            break
        given = text.name()
        if given in ("left", "inner") and join is None:
            join = "inner" if given == "inner" else "left"
        elif hint is None:
            hint = given
        else:
            raise _NoMatch
    if text.next != "(":
        raise _NoMatch
    return SelectRelation(name, alias, hint, join, is_spread, ())


def _select_field(text: _Text) -> SelectField:
    if text.next == "*":
        text.at += 1
        _require_item_end(text)
        return SelectField(Field("*"))
    alias = text.attempt(text.alias)
    if text.take("count()"):
        cast = text.identifier() if text.take("::") else None
        _require_item_end(text)
        return SelectField(Field("*"), alias, aggregate="count", aggregate_cast=cast)
    found = text.field()
    cast = text.identifier() if text.take("::") else None
    aggregate = text.attempt(lambda: _aggregate(text))
    aggregate_cast = text.identifier() if aggregate is not None and text.take("::") else None
    _require_item_end(text)
    return SelectField(found, alias, cast, aggregate, aggregate_cast)


def _aggregate(text: _Text) -> str:
    if not text.take("."):
        raise _NoMatch
    for name in _AGGREGATES:
        if text.take(f"{name}()"):
            return name
    raise _NoMatch


def _require_item_end(text: _Text) -> None:
    text.skip_blanks()
    if not text.is_over and text.next not in (",", ")"):
        raise text.error('"->>", "->", "::", ".", ")", "," or end of input')


# ------------------------------------------------------------------ order


def _parse_order(value: str) -> tuple[Order, ...]:
    text = _Text("order", value)
    terms: list[Order] = []
    while True:
        text.skip_blanks()
        related = text.attempt(lambda: _related_field(text))
        relation, by = related if related is not None else (None, text.field())
        is_descending: bool | None = None
        nulls_first: bool | None = None
        if text.take(".asc"):
            is_descending = False
        elif text.take(".desc"):
            is_descending = True
        if text.take(".nullsfirst"):
            nulls_first = True
        elif text.take(".nullslast"):
            nulls_first = False
        text.skip_blanks()
        terms.append(Order(by, relation, is_descending, nulls_first))
        if text.is_over:
            return tuple(terms)
        if len(terms) == ITEMS_MAX:
            raise too_complex("terms to order by", ITEMS_MAX)
        if not text.take(","):
            if text.take("."):
                raise text.error('"asc", "desc", "nullsfirst" or "nullslast"')
            raise text.error('delimiter (.), "," or end of input')


def _related_field(text: _Text) -> tuple[str, Field]:
    relation = text.name()
    text.require("(")
    found = text.field()
    text.require(")")
    return relation, found


# ------------------------------------------------------------------ filters


def _parse_filter(key: str, value: str, *, may_be_argument: bool) -> tuple[Path, Filter] | None:
    """Read a filter; None for an argument of a function, which is anything that is no filter."""
    if may_be_argument:
        try:
            condition = _condition_of(value)
        except RestError:
            return None
        path, found = _tree_path(key)
        return path, Filter(found, condition)
    path, found = _tree_path(key)
    return path, Filter(found, _condition_of(value))


def _condition_of(value: str) -> Condition:
    text = _Text("filter", value)
    condition = _condition(text, lambda: _rest(text))
    if not text.is_over:
        raise text.error("end of input")
    return condition


def _rest(text: _Text) -> str:
    value = text.text[text.at :]
    text.at = len(text.text)
    return value


def _condition(text: _Text, read_value: Callable[[], str]) -> Condition:
    is_negated = text.take("not.")
    if text.take("in."):
        return Condition("in", _list(text), is_negated)
    if text.take("isdistinct."):
        return Condition("isdistinct", read_value(), is_negated)
    if text.take("is."):
        return Condition("is", _is_value(text), is_negated)
    for name in _SEARCHES:
        if text.take(name):
            return _search(text, name, read_value, is_negated=is_negated)
    for name in _SIMPLE:
        if text.take(f"{name}."):
            return Condition(name, read_value(), is_negated)
    for name in _QUANTIFIED:
        start = text.at
        if not text.take(name):
            continue
        quantifier: Quantifier | None = None
        if text.take("(any)"):
            quantifier = "any"
        elif text.take("(all)"):
            quantifier = "all"
        if text.take("."):
            return Condition(name, read_value(), is_negated, quantifier)
        text.at = start
    raise text.error(_OPERATORS)


def _search(
    text: _Text, name: str, read_value: Callable[[], str], *, is_negated: bool
) -> Condition:
    language = None
    if text.take("("):
        language = text.identifier()
        text.require(")")
    text.require(".", "delimiter (.)")
    return Condition(name, read_value(), is_negated, option=language)


def _is_value(text: _Text) -> str:
    read = text.take_while(lambda c: c.isascii() and (c.isalpha() or c == "_")).lower()
    if read not in _IS_VALUES:
        raise text.error("isVal: (null, not_null, true, false, unknown)")
    return read


def _list(text: _Text) -> tuple[str, ...]:
    text.skip_blanks()
    text.require("(")
    text.skip_blanks()
    values: list[str] = []
    while True:
        values.append(_element(text))
        if text.take(","):
            if len(values) == ITEMS_MAX:
                raise too_complex("values of in", ITEMS_MAX)
            continue
        text.skip_blanks()
        text.require(")", '"," or ")"')
        text.skip_blanks()
        return tuple(values)


def _element(text: _Text) -> str:
    """Read a value inside of parentheses: quoted, or to the next comma or parenthesis."""
    quoted = text.attempt(lambda: _whole_quoted(text)) if text.next == '"' else None
    if quoted is not None:
        return quoted
    return text.take_while(lambda c: c not in ",)")


def _whole_quoted(text: _Text) -> str:
    value = text.quoted()
    if not text.is_over and text.next not in (",", ")"):
        raise _NoMatch
    return value


def _logic_value(text: _Text) -> str:
    """Read a value inside of `and` and `or`, in which an array literal may have commas."""
    if text.next == "{":
        array = text.attempt(lambda: _array_literal(text))
        if array is not None:
            return array
    return _element(text)


def _array_literal(text: _Text) -> str:
    start = text.at
    text.require("{")
    text.take_while(lambda c: c not in "{}")
    text.require("}")
    return text.text[start : text.at]


def _parse_logic(key: str, value: str) -> tuple[Path, Term]:
    """Read `relation.or=(…)` or `not.and=(…)`."""
    text = _Text("logic path", key)
    names = [text.name()]
    while text.take("."):
        names.append(text.name())
        if len(names) > DEPTH_MAX:
            raise too_complex("embedded resources in each other", DEPTH_MAX)
    if not text.is_over:
        raise text.error('"." or end of input')
    is_negated = "not" in names
    path = tuple(name for name in names[:-1] if name != "not")
    operator: Literal["and", "or"] = "and" if names[-1] == "and" else "or"
    body = _Text("logic tree", value)
    terms = _logic_terms(body, 0)
    if not body.is_over:
        raise body.error("end of input")
    return path, Logic(operator, is_negated, terms)


def _logic_terms(text: _Text, depth: int) -> tuple[Term, ...]:
    if depth > DEPTH_MAX:
        raise too_complex("and/or in each other", DEPTH_MAX)
    text.skip_blanks()
    text.require("(")
    terms: list[Term] = []
    while True:
        text.skip_blanks()
        terms.append(_logic_term(text, depth))
        text.skip_blanks()
        if not text.take(","):
            break
        if len(terms) == ITEMS_MAX:
            raise too_complex("terms of and/or", ITEMS_MAX)
    text.require(")", '"," or ")"')
    text.skip_blanks()
    return tuple(terms)


def _logic_term(text: _Text, depth: int) -> Term:
    start = text.at
    is_negated = text.take("not.")
    for operator in ("and", "or"):
        after = text.at + len(operator)
        if text.text.startswith(operator, text.at) and text.text[after : after + 1] in ("(", " "):
            text.at = after
            inner = _logic_terms(text, depth + 1)
            return Logic("and" if operator == "and" else "or", is_negated, inner)
    text.at = start
    found = text.field()
    text.require(".", "delimiter (.)")
    return Filter(found, _condition(text, lambda: _logic_value(text)))
