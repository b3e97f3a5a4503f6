"""Conditions: what they say, and which are refused."""

import contextlib
import string
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.domains.progression.quests.expressions import (
    DEFAULTS,
    BadCondition,
    ConditionFacts,
    compile_condition,
)

FACTS = ConditionFacts(
    {
        "flags": {"met": True, "count": 5, "large": 10**30, "list": [1], "name": "x" * 10_000},
        "counters": {"gold": 12, "half": 0.5},
        "choices": {"path": "north"},
        "lore": {"wolf": True},
        "quests": {"first": "claimed"},
        "items": {"iron.sword": 1},
        "events": {"harvest": True},
    },
    datetime(2027, 1, 1, tzinfo=UTC),
    100,
)


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("", True),
        ("flags.met && counters.gold >= 10", True),
        ("!flags.absent", True),
        ('"wolf" in lore && !("bear" in lore)', True),
        ('items["iron.sword"] > 0 && currencies.gold == 0', True),
        ('quests.first == "claimed" && quests.second == "locked"', True),
        ("events.harvest && !seasons.winter", True),
        ('now > timestamp("2026-12-31T00:00:00Z")', True),
        ("play_time_s >= 60 && counters.half < 1", True),
        ('choices.path.startsWith("n") || choices.path in ["south"]', True),
        ("flags.count > 3 && flags.large > 3 && flags.list", True),
        ("size(flags.name) == 256", True),
        ("1 / counters.absent == 1", False),
        ("9223372036854775807 + counters.gold > 0", False),
        ("flags.met > 3", False),
    ],
)
def test_condition_holds_or_not(source: str, holds: bool) -> None:
    assert compile_condition(source).evaluate(FACTS).holds is holds


def test_what_is_unmet_is_named_part_by_part() -> None:
    verdict = compile_condition("flags.met && flags.a && (flags.b || flags.c)").evaluate(FACTS)
    assert verdict.unmet == ["flags.a", "(flags.b || flags.c)"]
    assert compile_condition("flags.a || flags.b && flags.c").evaluate(FACTS).unmet == [
        "flags.a || flags.b && flags.c"
    ]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("flags.", "ask about flags"),
        ("flags", "ask about flags"),
        ("lore.wolf", "ask about lore"),
        ("flags[choices.a]", "ask about flags"),
        ("fags.met", "'fags' is not known"),
        ("has(flags.met)", "'has' is not known"),
        ("[1].exists(x, true)", r"exists\(\) cannot be used"),
        ("[[1]].map(x, x.map(y, y))", r"map\(\) cannot be used"),
        ('"a".matches("(a+)+$")', r"matches\(\) cannot be used"),
        ("counters.gold", "true or false"),
        ('counters.gold > "x"', "No such overload"),
        ("true &&", "not CEL"),
        ("(true", "not CEL"),
        ("true)", "not CEL"),
        ("true // x", "comments"),
        ('{"a": 1}.a == 1', "character 1"),
        ("(" * 13 + "true" + ")" * 13, "nested deeper"),
        ("true || " * 126 + "true", "longer than|more than"),
        ("-" * 300 + "1 == 1", "more than"),
        ("x" * 1001, "longer than"),
    ],
)
def test_condition_that_cannot_be_used_is_refused_with_the_reason(
    source: str, problem: str
) -> None:
    with pytest.raises(BadCondition, match=problem):
        compile_condition(source)


WORDS = [*DEFAULTS, "now", "size", "timestamp", "string", "int", "startsWith", "in", "true"]
PIECES = st.one_of(
    st.sampled_from(
        [*WORDS, *'.()[]"+-*/%<>!?:,', "&&", "||", "==", ".a", '["a"]', '"b"', "9" * 19]
    ),
    st.text(alphabet=string.printable, max_size=3),
)


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=120).map("".join))
def test_any_text_is_refused_or_evaluated(source: str) -> None:
    with contextlib.suppress(BadCondition):
        compile_condition(source).evaluate(FACTS)
