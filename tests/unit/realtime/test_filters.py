"""Filters of channels: how they are read, and which rows they are for."""

from typing import Any

import pytest

from server.domains.integrations.realtime.filters import (
    Binding,
    InvalidFilter,
    Subscription,
    SubscriptionIndex,
    parse_binding,
    parse_filter,
)


@pytest.mark.parametrize(
    ("written", "values"),
    [
        ("a=eq.1", ["1"]),
        ('a=eq."x, (y)\\"\\\\"', ['x, (y)"\\']),
        ("a=in.(x,y)", ["x", "y"]),
        ('a=in.("x,y", z )', ["x,y", "z"]),
        ("a=eq.", [""]),
        ("a=not.is.null", [None]),
        ("a=isdistinct.null", [None]),
        ("a=eq.b.c=d", ["b.c=d"]),
    ],
)
def test_filters_are_read(written: str, values: list[Any]) -> None:
    (condition,) = parse_filter(written)
    assert (condition.column, list(condition.values)) == ("a", values)
    assert condition.is_negated is ("not." in written)


@pytest.mark.parametrize(
    "written",
    [
        *("a", "a=1", "=eq.1", "a=fts.x", "a=in.x", "a=in.(1", "a=is.maybe", "a=match.x"),
        *("a=like.x_y", "a=like.x\\", "a=eq.1,", "a" * 2001, ",".join(["a=eq.1"] * 11)),
        "a=in.(" + ",".join(["1"] * 101) + ")",
    ],
)
def test_what_is_no_filter_is_refused(written: str) -> None:
    with pytest.raises(InvalidFilter):
        list(parse_filter(written))


@pytest.mark.parametrize(
    ("pattern", "like", "unlike"),
    [
        ("abc", ["abc"], ["abcd", "ab", ""]),
        ("a%", ["a", "abc"], ["ba", ""]),
        ("%c", ["c", "abc"], ["cb"]),
        ("a%c", ["ac", "abc", "acc"], ["a", "acb"]),
        ("ab%ba", ["abba", "abxba"], ["aba"]),
        ("%b%b%", ["bb", "abcba"], ["b"]),
        ("%", ["", "x"], []),
        ("\\%\\_%", ["%_", "%_x"], ["ab"]),
    ],
)
def test_patterns_are_compared(pattern: str, like: list[str], unlike: list[str]) -> None:
    (condition,) = parse_filter(f"a=like.{pattern}")
    for value in [*like, *unlike]:
        assert condition.holds({"a": value}) is (value in like)
        (other,) = parse_filter(f"a=ilike.{pattern.upper()}")
        assert other.holds({"a": value}) is (value in like)
    assert not condition.holds({"a": 1})
    assert not condition.holds({"a": None})


def binding(written: str) -> Binding:
    return parse_binding({"event": "UPDATE", "schema": "public", "table": "t", "filter": written})


def test_what_is_null_is_neither_equal_nor_different() -> None:
    row: dict[str, Any] = {"a": None, "b": 1, "c": "NaN"}
    for written in ("a=eq.x", "a=neq.x", "a=not.eq.x", "a=lt.x", "a=not.in.(x)", "missing=eq.x"):
        assert not binding(written).conditions[0].holds(row), written
    for written in ("a=is.null", "b=not.is.null", "a=isdistinct.x", "a=not.isdistinct.null"):
        assert binding(written).conditions[0].holds(row), written
    number = binding("c=lt.1").conditions[0]._replace(values=(1,))
    assert not number.holds(row)  # text and number


def test_the_index_finds_what_trying_all_would() -> None:
    index = SubscriptionIndex()
    filters = ["", "a=eq.x", "a=eq.y", "b=eq.x", "a=eq.x,b=eq.y", "a=not.eq.x", "a=in.(x,y)"]
    subscriptions = [
        Subscription(each, number, binding(each)) for number, each in enumerate(filters)
    ]
    for each in subscriptions:
        index.add(1, each)
    rows = [{"a": a, "b": b} for a in ("x", "y", None) for b in ("x", "y", ["x"])]
    for row in rows:
        expected = {
            each.who
            for each in subscriptions
            if all(condition.holds(row) for condition in each.binding.conditions)
        }
        assert {each.who for each in index.find(1, "UPDATE", row)} == expected
        assert index.find(1, "INSERT", row) == index.find(2, "UPDATE", row) == []
    for each in subscriptions:
        index.remove(1, each)
    assert len(index) == 0
    assert all(index.find(1, "UPDATE", row) == [] for row in rows)
