"""What a client asked for, as it was written: nothing is known to exist. Pure."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

Path: TypeAlias = tuple[str, ...]
Join: TypeAlias = Literal["left", "inner"]
Quantifier: TypeAlias = Literal["any", "all"]


class JsonStep(NamedTuple):
    """A step into JSON: a key, or an index; `as_text` is `->>`."""

    key: str
    is_index: bool
    as_text: bool


class Field(NamedTuple):
    """A column, and the way into its JSON."""

    name: str
    path: tuple[JsonStep, ...] = ()


class SelectField(NamedTuple):
    """`alias:column->path::cast.aggregate()::cast`; `*` is every column."""

    field: Field
    alias: str | None = None
    cast: str | None = None
    aggregate: str | None = None
    aggregate_cast: str | None = None


class SelectRelation(NamedTuple):
    """`alias:relation!hint!join(...)`, or with `is_spread` `...relation(...)`."""

    name: str
    alias: str | None
    hint: str | None
    join: Join | None
    is_spread: bool
    items: tuple["SelectItem", ...]

    @property
    def shown_as(self) -> str:
        """The key that it has in the answer, and the name that its filters use."""
        return self.alias or self.name


SelectItem: TypeAlias = SelectField | SelectRelation


class Condition(NamedTuple):
    """An operator and its value, as in `not.eq.5`.

    `value` is a tuple for `in`, and the language of a text search is `option`.
    """

    operator: str
    value: str | tuple[str, ...]
    is_negated: bool = False
    quantifier: Quantifier | None = None
    option: str | None = None


class Filter(NamedTuple):
    """A field and its condition."""

    field: Field
    condition: Condition


class Logic(NamedTuple):
    """`and(...)` or `or(...)`, perhaps with `not.` before it."""

    operator: Literal["and", "or"]
    is_negated: bool
    terms: tuple["Term", ...]


Term: TypeAlias = Filter | Logic


class Order(NamedTuple):
    """What to sort by; of an embedded resource with `relation`."""

    field: Field
    relation: str | None = None
    is_descending: bool | None = None
    nulls_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """A whole query string; keys are paths to embedded resources, and () is the root."""

    select: tuple[SelectItem, ...] = (SelectField(Field("*")),)
    terms: dict[Path, list[Term]] = field(default_factory=dict)
    order: dict[Path, tuple[Order, ...]] = field(default_factory=dict)
    limits: dict[Path, int] = field(default_factory=dict)
    offsets: dict[Path, int] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None
    on_conflict: tuple[str, ...] | None = None
    # Of a function that is called by GET: what is no filter is an argument.
    arguments: tuple[tuple[str, str], ...] = ()
