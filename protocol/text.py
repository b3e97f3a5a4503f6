"""Text that people write, without what cannot be stored, or hides or reorders what is read.

Put one of these behind a field's `StringConstraints`: `NAME` and `TEXT` where something must be
there to be read, `ONE_LINE` and `SOME_LINES` where it may be empty.
"""

import re
from typing import Any, Final
from unicodedata import category, normalize

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from protocol.limits import PASSWORD_CHARS_MAX

# Formatting characters that writing needs: the joiners, within words and emoji, and the signs
# that Arabic, Syriac and Kaithi put around numbers, which can be seen.
FORMATS_ALLOWED: Final = frozenset(
    "\u200c\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)
# Nothing to see either, though Unicode calls them letters, marks or symbols.
BLANKS: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc\U00013441\U00013442\U0001d159"
)
# Code points that no character has or will have, and those without a character yet that are
# displayed as nothing (Default_Ignorable_Code_Point).
_UNASSIGNED: Final = re.compile(
    "[\u2065\ufdd0-\ufdef\ufff0-\ufff8\ufffe\uffff\U000e0000\U000e0002-\U000e001f"
    "\U000e0080-\U000e00ff\U000e01f0-\U000e0fff"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(1, 17))
    + "]"
)
# Accents and vowel signs on one letter. Writing needs up to about five (Hebrew with its points and
# accents); dozens are drawn over the lines above and below.
MARKS_MAX: Final = 8
_MARKS: Final = frozenset(["Mn", "Me"])
_INVISIBLE: Final = frozenset(["Cf", "Zl", "Zp"])
# The flags of England, Scotland and Wales are a black flag with letters that are not shown.
_FLAG: Final = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f")


def _visible(allowed: str, *, blank: bool = True) -> AfterValidator:
    def check(text: str) -> str:
        if _has_stacked_marks(text):
            raise PydanticCustomError(
                "stacked_marks",
                "Use at most {marks_max} accents on one letter",
                {"marks_max": MARKS_MAX},
            )
        for char in _FLAG.sub("", text) if not text.isascii() else text:
            if category(char) == "Cc" and char not in allowed:
                raise PydanticCustomError("control_character", "Remove control characters")
            if is_invisible(char):
                raise PydanticCustomError(
                    "invisible_character",
                    "Remove the character {code}, which is invisible or reorders text",
                    {"code": f"U+{ord(char):04X}"},
                )
        if not blank and not is_visible(text):
            raise PydanticCustomError("blank", "Use at least one visible character")
        return text

    return AfterValidator(check)


def is_invisible(char: str) -> bool:
    """Say whether a character shows nothing, or turns the direction of the text around."""
    return (
        char in BLANKS
        or (category(char) in _INVISIBLE and char not in FORMATS_ALLOWED)
        or _UNASSIGNED.match(char) is not None
    )


def _has_stacked_marks(text: str) -> bool:
    marks = 0
    for char in text if not text.isascii() else "":
        marks = marks + 1 if category(char) in _MARKS else 0
        if marks > MARKS_MAX:
            return True
    return False


def is_visible(text: str) -> bool:
    """Say whether a text has a letter, digit, sign or symbol, and not only blanks and marks."""
    return any(category(char)[0] not in "ZM" and not _shows_nothing(char) for char in text)


def _shows_nothing(char: str) -> bool:
    return category(char) in ("Cc", "Cf") or is_invisible(char)


def sanitise_name(text: str, *, chars_max: int) -> str:
    """Leave out of a name from elsewhere what names may not have here; may come out empty."""
    kept = "".join(c for c in text if category(c) != "Cc" and not is_invisible(c))
    if _has_stacked_marks(kept):
        kept = "".join(c for c in kept if category(c) not in _MARKS)
    name = kept.strip()[:chars_max].strip()
    return name if is_visible(name) else ""


ONE_LINE: Final = _visible("")
SOME_LINES: Final = _visible("\n")
NAME: Final = _visible("", blank=False)
TEXT: Final = _visible("\n", blank=False)


def _storable(value: Any) -> Any:
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting.extend(each)
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
        elif isinstance(each, str) and "\0" in each:
            raise PydanticCustomError("control_character", "Remove NUL characters (U+0000)")
    return value


# Behind a field of free JSON: PostgreSQL stores no NUL.
STORABLE: Final = AfterValidator(_storable)


def prepare_password(password: str) -> str:
    """Write a password as it is hashed, in one form however a keyboard makes it.

    As RFC 8265 has it (OpaqueString): any space is U+0020, and accents are composed (NFC).
    """
    spaced = "".join(" " if category(char) == "Zs" else char for char in password)
    return normalize("NFC", spaced)


def _short_enough(password: str) -> str:
    if len(password) > PASSWORD_CHARS_MAX < len(prepare_password(password)):
        raise PydanticCustomError(
            "password", "Use {most} characters or fewer", {"most": PASSWORD_CHARS_MAX}
        )
    return password


PASSWORD: Final = AfterValidator(_short_enough)
