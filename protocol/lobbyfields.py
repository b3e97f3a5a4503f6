"""What can be typed into a command about lobbies; what is wrong with it is said in words."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from protocol.limits import CURSOR_CHARS_MAX, NAME_CHARS_MAX, PASSWORD_CHARS_TYPED_MAX, SEATS_MAX
from protocol.text import NAME, ONE_LINE, PASSWORD

JOIN_CODE_PATTERN: Final = r"^[2-9A-HJ-NP-Z]{6}$"
CODE_TYPED_CHARS_MAX: Final = 24  # with the spaces and dashes that people put in


def shaped(pattern: str, problem: str) -> AfterValidator:
    """Refuse text of another shape, and say in words what is wrong with it."""
    shape = re.compile(pattern)

    def check(text: str) -> str:
        if not shape.fullmatch(text):
            raise PydanticCustomError("shape", problem)
        return text

    return AfterValidator(check)


def _as_printed(typed: str) -> str:
    """Write a join code as it is shown, however somebody typed it."""
    return typed.upper().replace(" ", "").replace("-", "")


LobbyName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=NAME_CHARS_MAX),
    NAME,
]
SearchText = Annotated[str, StringConstraints(max_length=NAME_CHARS_MAX), ONE_LINE]
_IDENTIFIER: Final = shaped(
    r"[a-z][a-z0-9_]*", "Use a to z, digits and underscores, beginning with a letter"
)
RulesetName = Annotated[str, StringConstraints(min_length=1, max_length=32), _IDENTIFIER]
BotName = Annotated[str, StringConstraints(min_length=1, max_length=32), _IDENTIFIER]
Region = Annotated[
    str,
    StringConstraints(min_length=2, max_length=16),
    shaped(r"[a-z0-9]+(-[a-z0-9]+)*", "Use a short code of a to z, digits and dashes: `eu-west`"),
]
Password = Annotated[str, Field(min_length=1, max_length=PASSWORD_CHARS_TYPED_MAX), PASSWORD]
JoinCode = Annotated[
    str,
    StringConstraints(max_length=CODE_TYPED_CHARS_MAX),
    AfterValidator(_as_printed),
    shaped(JOIN_CODE_PATTERN, "A join code has 6 letters and digits, without 0, O, 1 and I"),
]
Seats = Annotated[int, Field(ge=1, le=SEATS_MAX)]
Cursor = Annotated[str, Field(max_length=CURSOR_CHARS_MAX)]
