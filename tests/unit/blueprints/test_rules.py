"""What a blueprint must be."""

from typing import Any

import pytest

from persistence.blueprints.store import SearchWord
from protocol.blueprints import DATA_BYTES_MAX, NewBlueprint
from protocol.codec import validate
from protocol.errors import InvalidField
from protocol.ids import UserId, new_id
from protocol.limits import JSON_DEPTH_MAX
from server.domains.content.blueprints.model import NameRule
from server.domains.content.blueprints.rules import draft_blueprint, search_words

OWNER = UserId(new_id())
NAMING = NameRule("Write it like this: MORDIG10", 10)


def _nested(levels: int) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for _ in range(levels - 1):
        data = {"in": data}
    return data


def _refusal(**fields: Any) -> InvalidField:
    with pytest.raises(InvalidField) as refused:
        draft_blueprint(
            validate(NewBlueprint, {"name": "MORDIG10", "data": {}, **fields}), OWNER, NAMING
        )
    return refused.value


@pytest.mark.parametrize("capacity", [100, 109, 100.5])
def test_capacity_over_ten_is_the_version(capacity: float) -> None:
    new = validate(NewBlueprint, {"name": "MORDIG10", "data": {"capacity": capacity}})
    assert draft_blueprint(new, OWNER, NAMING).version == 10


@pytest.mark.parametrize("capacity", [99, 110, -100, "100", True, [100]])
def test_capacity_of_another_version_is_refused(capacity: object) -> None:
    refused = _refusal(data={"capacity": capacity})
    assert refused.field == "data.capacity"
    assert "must be 10" in refused.message


def test_capacity_is_divided_by_what_is_set() -> None:
    new = validate(NewBlueprint, {"name": "MORDIG10", "data": {"capacity": 29}})
    with pytest.raises(InvalidField, match="divided by 3 it must be 10"):
        draft_blueprint(new, OWNER, NAMING._replace(capacity_per_version=3))
    assert draft_blueprint(new, OWNER, NAMING._replace(capacity_per_version=0)).version == 10


def test_version_other_than_in_the_name_is_refused() -> None:
    refused = _refusal(version=11)
    assert (refused.field, "says 10" in refused.message) == ("version", True)


def test_data_may_be_as_deep_and_as_large_as_is_said_and_no_more() -> None:
    deepest, most = _nested(JSON_DEPTH_MAX), {"d": "x" * (DATA_BYTES_MAX - 8)}
    for data in (deepest, most):
        assert draft_blueprint(
            validate(NewBlueprint, {"name": "MORDIG10", "data": data}), OWNER, NAMING
        )
    assert str(JSON_DEPTH_MAX) in _refusal(data=_nested(JSON_DEPTH_MAX + 1)).message
    assert str(DATA_BYTES_MAX) in _refusal(data={"d": most["d"] + "x"}).message


@pytest.mark.parametrize("data", [{"a": "\0"}, {"\0": 1}, {"a": [{"b": ["x\0y"]}]}])
def test_data_that_no_database_can_hold_is_refused(data: dict[str, Any]) -> None:
    assert "NUL" in _refusal(data=data).message


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", None),
        ("  ", None),
        ("!?", []),
        (
            "Mor-Dig10 deep_blue",
            [SearchWord("mordig10", ("mor", "dig10")), SearchWord("deep"), SearchWord("blue")],
        ),
        ("- low-cost-", [SearchWord("lowcost", ("low", "cost"))]),
        ("Straße", [SearchWord("straße")]),
    ],
)
def test_words_are_taken_apart(typed: str, words: list[SearchWord] | None) -> None:
    assert search_words(typed) == words
