"""Query strings: text, read by the types of a model's fields and never by its looks.

`?text=2024` is the text "2024" and `?limit=20` the number 20, because the model says so.

- An integer is decimal digits after an optional minus sign. Leading zeros count for nothing and
  `.0` may follow, as some languages write it. A plus sign, spaces, underscores, exponents and
  digits of other scripts are refused.
- A boolean is `true` or `false`.
- Text has no NUL.
- A parameter is given once.
"""

import re
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

from multidict import MultiMapping
from pydantic import BaseModel

from protocol.codec import validate
from protocol.errors import InvalidField
from protocol.limits import INT_MAX

Model = TypeVar("Model", bound=BaseModel)

_INTEGER: Final = re.compile(r"(-?)0*([0-9]+)(?:\.0+)?")
_DIGITS_MAX: Final = len(str(INT_MAX))


def query_reader(model: type[Model]) -> Callable[[MultiMapping[str]], Model]:
    """Make the function that reads a query string into a model; it raises `InvalidField`.

    Raises `TypeError` now for a field that a query string cannot hold.
    """
    reads = {name: _reader_of(name, info.annotation) for name, info in model.model_fields.items()}

    def read(query: MultiMapping[str]) -> Model:
        given: dict[str, object] = {}
        for name, text in query.items():
            if name in given:
                raise InvalidField(f"{name}: send this parameter only once.", field=name)
            # What the model does not know is refused by the model.
            given[name] = reads.get(name, _text)(name, text)
        return validate(model, given)

    return read


def _reader_of(name: str, annotation: Any) -> Callable[[str, str], object]:
    types = _types_in(annotation)
    if types == {int}:
        return _integer
    if types == {bool}:
        return _boolean
    if types == {str}:
        return _text
    raise TypeError(f"a query parameter is text, an integer or a boolean; {name} is {annotation}")


def _types_in(annotation: Any) -> set[object]:
    """Find the plain types behind annotations, literals and unions with None."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _types_in(get_args(annotation)[0])
    if origin is Literal:
        return {type(value) for value in get_args(annotation)}
    if origin in (Union, UnionType):
        return set[object]().union(*map(_types_in, get_args(annotation))) - {NoneType}
    # An id is a `NewType`: text for the type checker alone.
    return {getattr(annotation, "__supertype__", annotation)}


def _text(name: str, text: str) -> object:
    if "\0" in text:  # no text in the database has one
        raise InvalidField(f"{name}: remove NUL characters (U+0000).", field=name)
    return text


def _integer(name: str, text: str) -> object:
    found = _INTEGER.fullmatch(text)
    if found is None or len(found[2]) > _DIGITS_MAX:
        problem = f"{name}: write an integer in decimal digits, {_DIGITS_MAX} at most."
        raise InvalidField(problem, field=name)
    return int(found[1] + found[2])


def _boolean(name: str, text: str) -> object:
    if text not in ("true", "false"):
        raise InvalidField(f"{name}: send true or false.", field=name)
    return text == "true"
