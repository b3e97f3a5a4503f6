"""What slots take and refuse, and the grammar of patterns."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domains.compete.epochs.pattern_notation import InvalidPattern, pattern_words
from server.domains.compete.epochs.validators import VALIDATORS

GOOD = [
    ("bd", {"bd"}),
    ("bd*2 [sn ~] <hh hh:3>(3,8)", {"bd", "sn", "hh"}),
    ("bd | sn, hh!2 cp?", {"bd", "sn", "hh", "cp"}),
    ("[[bd]/1.5 c#4@3]*0.5", {"bd", "c#4"}),
    ("~", set()),
    ("bd! sn!", {"bd", "sn"}),
    ("  bd  ", {"bd"}),
]
BAD = [
    ("", "missing at character 1"),
    ("[bd", "] is missing at character 4"),
    ("bd]", "] does not belong here at character 3"),
    ("<bd sn]", "> is missing"),
    ("bd*", "a number is missing"),
    ("bd*0", "not 0"),
    ("bd*0.0", "not 0"),
    ("bd(5,3)", "more pulses than steps"),
    ("bd*65", "larger than 64"),
    ("bd | ", "missing at character 6"),
    ("[" * 18 + "bd" + "]" * 18, "deeper than 16"),
    ("bd; drop", "; does not belong here"),
    ("bd*²", "a number is missing"),
]


@pytest.mark.parametrize(("text", "used"), GOOD)
def test_pattern_of_the_notation_is_parsed(text: str, used: set[str]) -> None:
    assert pattern_words(text) == used


@pytest.mark.parametrize(("text", "problem"), BAD)
def test_what_is_no_pattern_is_refused_with_the_place(text: str, problem: str) -> None:
    with pytest.raises(InvalidPattern, match=problem.replace("]", "\\]")):
        pattern_words(text)


@given(st.text(alphabet="bdsn~[]<>()*/!@?,|.:# 0123456789", max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with suppress(InvalidPattern):
        assert pattern_words(text) <= {
            text[i:j] for i in range(len(text)) for j in range(i, len(text) + 1)
        }


@pytest.mark.parametrize(
    ("constraints_id", "code", "problem"),
    [
        ("drums", "bd sn", None),
        ("drums", "bd piano", "piano is not known"),
        ("drums", "bd " * 100, "1 to 280 characters, but has 300"),
        ("notes", "c4 [e4 g#5]", None),
        ("chords", "<Am7 C Dsus4>", None),
        ("text", "play([1, {2: 3}])", None),
        ("text", "play([1)", r") at character 8 has no opening bracket"),
        ("text", "play((1)", "( is not closed"),
        ("text", "a\0b", "U+0000"),
        ("text", "", "1 to 4096"),
    ],
)
def test_slot_takes_what_its_constraints_say(
    constraints_id: str, code: str, problem: str | None
) -> None:
    found = VALIDATORS[constraints_id](code)
    assert (found is None) if problem is None else (found is not None and problem in found)


def test_code_is_bounded_in_bytes_as_well() -> None:
    assert VALIDATORS["text"]("\N{GRINNING FACE}" * 1024) is None
    assert "bytes" in str(VALIDATORS["text"]("\N{GRINNING FACE}" * 1025))
