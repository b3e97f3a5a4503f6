"""Merging, field by field, and what is kept; and the canonical form of states."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import InvalidField
from protocol.limits import INT_MAX
from server.domains.progression.saves.rules import (
    KeptRevision,
    MergeResult,
    RevisionRetention,
    json_equal,
    list_prunable,
    merge,
    merge_base,
    merge_rules,
    with_fields,
    with_server_fields,
)
from server.domains.progression.saves.states import canonicalise_state, keep_mods

NOTHING = merge_rules({})
LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b"])
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=6,
)
STATES = st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4)
RULES = merge_rules({"/a": "sum", "/b": "union", "/c": "max", "/d/*": "newest"})


def canonical(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


@given(STATES, STATES)
def test_change_of_one_side_is_taken_whatever_the_rules(base: Any, changed: Any) -> None:
    for rules in (NOTHING, RULES):
        for ours, theirs in ((base, changed), (changed, base)):
            merged = merge(base, ours, theirs, rules)
            assert (canonical(merged.state), merged.paths) == (canonical(changed), [])


@given(STATES, STATES, STATES)
def test_merge_changes_nothing_that_it_was_given_and_is_the_same_again(
    base: Any, ours: Any, theirs: Any
) -> None:
    before = canonical([base, ours, theirs])
    first = merge(base, ours, theirs, RULES)
    assert canonical([base, ours, theirs]) == before
    again = merge(base, ours, theirs, RULES)
    assert (canonical(first.state), first.paths) == (canonical(again.state), again.paths)
    for path in first.paths:  # what is to be decided is as ours
        assert canonical(with_fields(ours, first.state, [path])) == canonical(first.state)


NUMBERS = st.dictionaries(st.sampled_from("abc"), st.integers(-100, 100), max_size=3)
TEXTS = st.dictionaries(
    st.sampled_from("abc"), st.lists(st.sampled_from("xyz"), unique=True), max_size=3
)


@given(NUMBERS, NUMBERS, NUMBERS)
@pytest.mark.parametrize("rule", ["sum", "max", "min"])
def test_numbers_merge_the_same_in_either_order(rule: Any, base: Any, one: Any, other: Any) -> None:
    rules = merge_rules({"/*": rule})
    forth, back = merge(base, one, other, rules), merge(base, other, one, rules)
    assert (canonical(forth.state), forth.paths) == (canonical(back.state), back.paths)


@given(TEXTS, TEXTS, TEXTS)
def test_sets_merge_the_same_in_either_order(base: Any, one: Any, other: Any) -> None:
    rules = merge_rules({"/*": "union"})
    forth, back = merge(base, one, other, rules), merge(base, other, one, rules)
    sets = [{key: sorted(items) for key, items in each.state.items()} for each in (forth, back)]
    assert sets[0] == sets[1]
    assert forth.paths == back.paths == []


@pytest.mark.parametrize(
    ("fields", "base", "ours", "theirs", "expected"),
    [
        ({}, {"a": 1}, {"a": 2}, {"a": 3}, MergeResult({"a": 2}, ["/a"])),
        ({}, {"a": 1}, {"a": 2}, {"a": 2}, MergeResult({"a": 2}, [])),
        ({}, {"a": 1}, {"a": 2}, {}, MergeResult({"a": 2}, ["/a"])),
        ({}, {"a": 1}, {}, {"a": 3}, MergeResult({}, ["/a"])),
        ({}, {}, {"a": 1}, {"b": 1}, MergeResult({"a": 1, "b": 1}, [])),
        ({}, {"a": {"x": 1}}, {"a": {"x": 2}}, {"a": 1}, MergeResult({"a": {"x": 2}}, ["/a"])),
        ({}, {"a": 0}, {"a": 0}, {"a": False}, MergeResult({"a": False}, [])),
        ({}, {"a/b": {"~": 1}}, {"a/b": {"~": 2}}, {"a/b": {"~": 3}}, MergeResult(
            {"a/b": {"~": 2}}, ["/a~1b/~0"]
        )),
        ({}, None, {"a": 1, "b": 1}, {"a": 1, "b": 2, "c": 3}, MergeResult(
            {"a": 1, "b": 1, "c": 3}, ["/b"]
        )),
        ({"/a": "sum"}, {"a": 1}, {"a": 5}, {"a": 3}, MergeResult({"a": 7}, [])),
        ({"/a": "sum"}, {"a": 1}, {"a": 5}, {"a": 5}, MergeResult({"a": 9}, [])),
        ({"/x/*": "sum"}, {}, {"x": {"a": 2}}, {"x": {"a": 2}}, MergeResult({"x": {"a": 4}}, [])),
        ({"/a": "sum"}, {"a": 1}, {"a": INT_MAX}, {"a": 3}, MergeResult({"a": INT_MAX}, ["/a"])),
        ({"/a": "sum"}, {"a": 1}, {"a": True}, {"a": 3}, MergeResult({"a": True}, ["/a"])),
        ({"/a": "max"}, {"a": 1}, {"a": "x"}, {"a": 3}, MergeResult({"a": "x"}, ["/a"])),
        ({"/a": "max"}, {"a": 1}, {}, {"a": 3}, MergeResult({"a": 3}, [])),
        ({"/a": "union"}, {}, {"a": [1, {"b": 1}]}, {"a": [{"b": 1}, "x"]}, MergeResult(
            {"a": [1, {"b": 1}, "x"]}, []
        )),
        ({"/a": "union"}, {"a": [1]}, {"a": 5}, {"a": [1, 2]}, MergeResult({"a": 5}, ["/a"])),
        ({"/a": "newest"}, {"a": 1}, {"a": 2}, {}, MergeResult({}, [])),
        ({"/a": "server"}, {"a": 1}, {"a": 2}, {"a": 3}, MergeResult({"a": 2}, [])),
        ({"/a/*": "newest", "/a/b": "ask"}, {"a": {}}, {"a": {"b": 1, "c": 1}},
         {"a": {"b": 2, "c": 2}}, MergeResult({"a": {"b": 1, "c": 2}}, ["/a/b"])),
        ({}, {"mods": {"m": 1, "n": 1}}, {"mods": {"m": 2, "n": 1}}, {"mods": {"m": 3}},
         MergeResult({"mods": {"m": 3}}, [])),
    ],
)  # fmt: skip
def test_merge(fields: Any, base: Any, ours: Any, theirs: Any, expected: MergeResult) -> None:
    merged = merge(base, ours, theirs, merge_rules(fields))
    assert canonical(merged.state) == canonical(expected.state)
    assert merged.paths == expected.paths


def test_everything_else_may_be_newest() -> None:
    rules = merge_rules({"/a": "ask"}, "newest")
    merged = merge({}, {"a": 1, "b": 1}, {"a": 2, "b": 2}, rules)
    assert merged == MergeResult({"a": 1, "b": 2}, ["/a"])
    first = merge({}, {"b": 1}, {"b": 2}, rules, newest="ours")
    assert first == MergeResult({"b": 1}, [])


def test_true_is_not_one() -> None:
    assert not json_equal(1, True)
    assert not json_equal([0], [False])
    assert not json_equal({"a": {"b": 1}}, {"a": {"b": True}})
    assert json_equal({"a": 1, "b": 2}, {"b": 2, "a": 1})
    assert json_equal(1, 1.0)


def test_fields_of_the_server_are_put_back() -> None:
    rules = merge_rules({"/owned": "server", "/quests/*/claimed": "server", "/deep/a": "server"})
    of = {"owned": [1], "quests": {"q": {"claimed": True, "step": 1}}}
    sent = {"owned": [2], "quests": {"q": {"step": 2}, "r": {"claimed": True}}, "deep": {"a": 1}}
    result = with_server_fields(of, sent, rules)
    assert result.state == {
        "owned": [1],
        "quests": {"q": {"step": 2, "claimed": True}, "r": {}},
        "deep": {},
    }
    assert result.changed == ["/deep/a", "/owned", "/quests/r/claimed"]
    same_again = with_server_fields(result.state, result.state, rules)
    assert same_again.state is result.state
    assert same_again.changed == []


def test_newest_common_ancestor_is_found_across_merges() -> None:
    parents = {1: [], 2: [1], 3: [1], 4: [2, 3], 5: [4], 6: [3]}
    assert merge_base(parents, 5, 6) == 3
    assert merge_base(parents, 2, 3) == 1
    assert merge_base(parents, 3, 5) == 3
    assert merge_base(parents, 5, 99) is None


def test_what_is_needed_is_kept_and_of_the_rest_the_newest() -> None:
    kept = [KeptRevision(n, 10, "phone", n == 2) for n in range(1, 11)]
    kept.append(KeptRevision(0, 10, "tablet", is_pinned=False))
    few = RevisionRetention(revisions=3, bytes_max=10**6)
    assert list_prunable(kept, needed=[10, 4], retention=few) == [1, 3, 5, 6]
    small = RevisionRetention(revisions=100, bytes_max=60)
    assert list_prunable(kept, needed=[10, 4], retention=small) == [1, 3, 5, 6, 7]
    nothing = RevisionRetention(revisions=0, bytes_max=0, devices=0)
    assert list_prunable(kept, needed=[10], retention=nothing) == [0, 1, *range(3, 10)]


@given(STATES)
def test_canonical_form_is_the_same_again(state: Any) -> None:
    first = canonicalise_state(state)
    assert canonicalise_state(orjson.loads(first.json)).json == first.json


@pytest.mark.parametrize(
    ("sent", "json"),
    [
        ({"b": 1, "a": 2.0}, b'{"a":2,"b":1}'),
        ({"a": [1e3, -0.0, 1.5, 2.50]}, b'{"a":[1000,0,1.5,2.5]}'),
        ({"a": 1e16, "b": 1e30}, b'{"a":10000000000000000,"b":1e+30}'),
    ],
)
def test_numbers_have_one_form(sent: Any, json: bytes) -> None:
    assert canonicalise_state(sent).json == json


def test_number_too_large_for_json_is_refused() -> None:
    with pytest.raises(InvalidField, match="written as JSON"):
        canonicalise_state({"a": 2**64})


def test_mods_that_were_left_out_are_kept() -> None:
    assert keep_mods({"mods": {"a": 1, "b": 1}}, {"mods": {"a": 2}}) == {"mods": {"a": 2, "b": 1}}
    assert keep_mods({"mods": {"a": 1}}, {"x": 1}) == {"x": 1, "mods": {"a": 1}}
    assert keep_mods({}, {"x": 1}) == {"x": 1}
