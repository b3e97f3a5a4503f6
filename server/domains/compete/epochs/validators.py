"""What code a slot takes: a registry of validators by `constraints_id`. Pure.

A validator is a function from code to a sentence about what is wrong, or None. A new kind of
slot is one more line in `VALIDATORS`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from protocol.epoch_profile import CODE_CHARS_MAX
from server.domains.compete.epochs.pattern_notation import InvalidPattern, pattern_words

Validator = Callable[[str], str | None]

CODE_BYTES_MAX: Final = 4096
PAIRS: Final = {")": "(", "]": "[", "}": "{"}

DRUMS: Final = frozenset({"bd", "sd", "sn", "hh", "oh", "cp", "rim", "lt", "mt", "ht", "cr", "rd"})
NOTES: Final = frozenset(
    f"{note}{sharp}{octave}" for note in "abcdefg" for sharp in ("", "#") for octave in range(8)
)
CHORDS: Final = NOTES | {
    f"{root}{sharp}{kind}"
    for root in "ABCDEFG"
    for sharp in ("", "#")
    for kind in ("", "m", "7", "m7", "maj7", "dim", "sus4")
}


def free_text(code: str, *, chars_max: int) -> str | None:
    """Take any printable text of a length, its brackets in pairs."""
    if not 1 <= len(code) <= chars_max:
        return f"it must have 1 to {chars_max} characters, but has {len(code)}"
    if len(code.encode()) > CODE_BYTES_MAX:
        return f"it takes more than {CODE_BYTES_MAX} bytes of UTF-8"
    if bad := next((c for c in code if not (c.isprintable() or c in "\n\t")), None):
        return f"it contains an unprintable character (U+{ord(bad):04X})"
    return check_brackets(code)


def check_pattern(code: str, *, chars_max: int, allowed: frozenset[str]) -> str | None:
    """Take a pattern in the notation, made of allowed words."""
    if problem := free_text(code, chars_max=chars_max):
        return problem
    try:
        used = pattern_words(code)
    except InvalidPattern as error:
        return str(error)
    if strange := sorted(used - allowed):
        return f"{strange[0]} is not known; known are {', '.join(sorted(allowed)[:12])} …"
    return None


def check_brackets(code: str) -> str | None:
    """Check that every bracket has its partner."""
    waiting: list[str] = []
    for place, char in enumerate(code, 1):
        if char in PAIRS.values():
            waiting.append(char)
        elif char in PAIRS and (not waiting or waiting.pop() != PAIRS[char]):
            return f"{char} at character {place} has no opening bracket"
    return f"{waiting[-1]} is not closed" if waiting else None


VALIDATORS: Final[Mapping[str, Validator]] = {
    "text": partial(free_text, chars_max=CODE_CHARS_MAX),
    "drums": partial(check_pattern, chars_max=280, allowed=DRUMS),
    "notes": partial(check_pattern, chars_max=280, allowed=NOTES),
    "chords": partial(check_pattern, chars_max=280, allowed=CHORDS),
}
