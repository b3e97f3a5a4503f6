"""Text that people write, without what cannot be stored or would garble a screen.

Put one of these behind a field's `StringConstraints`.
"""

from typing import Final
from unicodedata import category

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError


def _without_controls(allowed: str) -> AfterValidator:
    def check(text: str) -> str:
        if any(category(char) == "Cc" and char not in allowed for char in text):
            raise PydanticCustomError("control_character", "Leave out control characters")
        return text

    return AfterValidator(check)


ONE_LINE: Final = _without_controls("")
SOME_LINES: Final = _without_controls("\n")
