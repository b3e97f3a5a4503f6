"""Text that people write: what hides or reorders what is read is refused, and named."""

from collections.abc import Mapping

import pytest

from protocol.accounts import GuestRequest
from protocol.chat import Say
from protocol.codec import validate
from protocol.errors import InvalidField
from protocol.ids import new_id
from protocol.lobbies import Create
from protocol.profiles import MeChange

SAY = {"id": 1, "type": "chat.say", "lobby_id": new_id()}
CREATE = {"id": 1, "type": "lobby.create", "ruleset": "relay"}

HIDING = [*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200B, 0x200E, 0x200F, 0x061C, 0xAD]
HIDING += [0x2060, 0xFEFF, 0x2028, 0x2029, 0x3164, 0x2800, 0xE0041]


@pytest.mark.parametrize("code", HIDING, ids=lambda code: f"{code:04X}")
@pytest.mark.parametrize(
    ("model", "rest", "field"),
    [
        (Say, SAY, "text"),
        (Create, CREATE, "name"),
        (GuestRequest, {}, "display_name"),
        (MeChange, {}, "display_name"),
    ],
)
def test_hiding_character_is_refused_by_its_name(
    model: type[Say], rest: Mapping[str, object], field: str, code: int
) -> None:
    with pytest.raises(InvalidField) as refused:
        validate(model, {**rest, field: f"a{chr(code)}b"})
    assert refused.value.field == field
    assert refused.value.message == (
        f"{field}: Remove the character U+{code:04X}, which is invisible or reorders text."
    )


@pytest.mark.parametrize(
    "text",
    [
        "Zoë, Ελένη, 小明",
        "👩\u200d👩\u200d👧 ❤\ufe0f",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "שלום",
        "בְּרֵאשִׁ֖ית",
        "Ệ ấ e" + "\u0302\u0301" + "e" + "\u0301" * 8,
    ],
    ids=["letters", "emoji", "persian", "england", "hebrew", "points", "accents"],
)
def test_every_script_and_emoji_is_written_as_it_is(text: str) -> None:
    assert validate(Say, {**SAY, "text": text}).text == text
    assert validate(MeChange, {"display_name": text}).display_name == text


@pytest.mark.parametrize(
    ("model", "rest", "field"), [(Say, SAY, "text"), (MeChange, {}, "display_name")]
)
def test_accents_that_are_drawn_over_other_lines_are_refused(
    model: type[Say], rest: Mapping[str, object], field: str
) -> None:
    with pytest.raises(InvalidField) as refused:
        validate(model, {**rest, field: "a" + "\u0301\u20dd\u0316" * 3})
    assert refused.value.message == f"{field}: Use at most 8 accents on one letter."


def test_line_breaks_are_for_chat_alone() -> None:
    assert validate(Say, {**SAY, "text": "a\nb"}).text == "a\nb"
    with pytest.raises(InvalidField, match="display_name: Remove control characters"):
        validate(GuestRequest, {"display_name": "a\nb"})
