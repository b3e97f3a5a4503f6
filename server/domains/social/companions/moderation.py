"""What may not be said: by people, and by companions. Pure."""

import re
from collections.abc import Iterable
from typing import Final

SHINGLE_WORDS: Final = 8  # so many words in a row of a system prompt are a leak
WINDOW_CHARS: Final = 800  # before a new piece of an answer that are looked at with it
_WORD: Final = re.compile(r"\w+")


class RefusedWords:
    """Refuses texts with certain words."""

    def __init__(self, words: Iterable[str]) -> None:
        chosen = [re.escape(word.strip()) for word in words if word.strip()]
        self._pattern = (
            re.compile(rf"(?<!\w)(?:{'|'.join(chosen)})(?!\w)", re.IGNORECASE) if chosen else None
        )

    async def find_problem(self, text: str) -> str | None:
        """Say why a text is not allowed; None if it is."""
        if self._pattern is not None and self._pattern.search(text):
            return "It contains words that are not allowed here."
        return None


class PromptGuard:
    """Recognises a system prompt in an answer, however it is cased or punctuated."""

    def __init__(self, system: str) -> None:
        self._shingles = set(_shingles(system))

    def finds_leak(self, text: str) -> bool:
        """Say whether a text has several words in a row of the prompt."""
        return any(each in self._shingles for each in _shingles(text))


def _shingles(text: str) -> list[tuple[str, ...]]:
    words = _WORD.findall(text.casefold())
    return [
        tuple(words[start : start + SHINGLE_WORDS])
        for start in range(len(words) - SHINGLE_WORDS + 1)
    ]
