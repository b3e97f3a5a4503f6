"""What can be typed about oneself, and what is said of what cannot."""

import pytest

from protocol.codec import validate
from protocol.errors import InvalidField
from protocol.profiles import MeChange


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("Anna", "anna"), ("  a-b_c ", "a-b_c"), ("007", "007"), ("a" * 24, "a" * 24)],
)
def test_username_is_kept_in_lowercase(typed: str, kept: str) -> None:
    assert validate(MeChange, {"username": typed}).username == kept


def test_bad_username_is_explained_in_words() -> None:
    with pytest.raises(InvalidField) as refused:
        validate(MeChange, {"username": "Änne"})
    assert refused.value.message == (
        "username: Use 3 to 24 of a to z, digits, _ and -, beginning with a letter or a digit."
    )


def test_number_in_a_body_is_no_username() -> None:
    with pytest.raises(InvalidField):
        validate(MeChange, {"username": 7007})


def test_preferences_have_room_for_4096_bytes() -> None:
    full = {"x": "y" * (4096 - len('{"x":""}'))}
    assert validate(MeChange, {"preferences": full}).preferences == full
    with pytest.raises(InvalidField, match="within 4096 bytes"):
        validate(MeChange, {"preferences": {"x": full["x"] + "y"}})
