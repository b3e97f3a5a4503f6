"""What is lost when JSON is read is refused; everything else is read as it is."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.codec import read_json
from protocol.errors import BadFrame

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
