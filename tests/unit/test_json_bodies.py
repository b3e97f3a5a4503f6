"""What is lost when JSON is read is refused; everything else is read as it is."""

import json
from typing import Annotated, Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, StringConstraints, field_validator

from protocol.codec import read_json, validate
from protocol.envelope import WireModel
from protocol.errors import BadFrame, InvalidField
from protocol.limits import BODY_DEPTH_MAX
from protocol.schemas import JsonObject
from protocol.text import STORABLE

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON, st.booleans())
def test_what_has_every_key_once_is_read(value: Any, escapes: bool) -> None:
    assert read_json(json.dumps(value, ensure_ascii=escapes).encode()) == value


@given(st.text(st.characters(exclude_categories=["Cs"])), JSON, JSON, st.integers(0, 9))
def test_key_that_comes_twice_is_named_however_deep(
    key: str, first: Any, second: Any, depth: int
) -> None:
    name = orjson.dumps(key)
    raw = b"{%s: %s, %s: %s}" % (name, orjson.dumps(first), name, orjson.dumps(second))
    raw = b'[{":": ' * depth + raw + b"}]" * depth
    with pytest.raises(BadFrame, match="twice") as refused:
        read_json(raw)
    assert refused.value.field == key[:60]


@pytest.mark.parametrize(
    "number", ["18446744073709551617", "-9223372036854775809", "9" * 200, "1e400"]
)
def test_number_that_cannot_be_kept_is_refused(number: str) -> None:
    with pytest.raises(BadFrame):
        read_json(b'{"a": %s}' % number.encode())


@pytest.mark.parametrize("number", [2**64, 10**22, 2**63, 0.12345678901234567890, -(2**63)])
def test_number_that_a_double_holds_is_read(number: float) -> None:
    assert read_json(b"[%s]" % str(number).encode()) == [number]


def test_depth_is_bounded() -> None:
    with pytest.raises(BadFrame):
        read_json(b"[" * 5000 + b"1" + b"]" * 5000)


def test_body_is_nested_up_to_the_limit() -> None:
    assert read_json(b"[" * BODY_DEPTH_MAX + b"1" + b"]" * BODY_DEPTH_MAX)
    assert read_json(b'["%s"]' % (b"[" * BODY_DEPTH_MAX)) == ["[" * BODY_DEPTH_MAX]
    with pytest.raises(BadFrame, match="nested more than 100 levels"):
        read_json(b"[" * (BODY_DEPTH_MAX + 1) + b"1" + b"]" * (BODY_DEPTH_MAX + 1))


class Inner(WireModel):
    """Something inside."""

    count: int


class Body(WireModel):
    """A body with everything that may be wrong."""

    inner: Inner | None = None
    few: list[int] = Field(default_factory=list, min_length=1, max_length=2)
    names: dict[Annotated[str, StringConstraints(pattern="^[a-z]+$")], int] = Field(
        default_factory=dict
    )
    free: Annotated[JsonObject, STORABLE] = Field(default_factory=dict)

    @field_validator("few")
    @classmethod
    def _rising(cls, few: list[int]) -> list[int]:
        if few != sorted(few):
            raise ValueError("Send the numbers in order")
        return few


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ([], "body", "body: send a JSON object."),
        ({"inner": 1}, "inner", "inner: send a JSON object."),
        ({"few": {}}, "few", "few: send a list."),
        ({"few": [1, 2, 3]}, "few", "few: send at most 2."),
        ({"few": []}, "few", "few: send at least 1."),
        ({"few": [2, 1]}, "few", "few: Send the numbers in order."),
        ({"names": []}, "names", "names: send a JSON object."),
        ({"free": {"a": ["\0"]}}, "free", "free: Remove NUL characters (U+0000)."),
        ({"free": {"a": {"\0": 1}}}, "free", "free: Remove NUL characters (U+0000)."),
    ],
)
def test_what_is_wrong_is_said_in_words_of_json(body: Any, field: str, message: str) -> None:
    with pytest.raises(InvalidField) as refused:
        validate(Body, body)
    assert (refused.value.field, refused.value.message) == (field, message)


def test_key_that_is_wrong_is_named() -> None:
    with pytest.raises(InvalidField) as refused:
        validate(Body, {"names": {"A": 1}})
    assert refused.value.field == "names.A"
