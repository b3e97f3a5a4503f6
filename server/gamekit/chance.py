"""Seeded chance, reproducible in any language.

SplitMix64 (Steele, Lea, Flood 2014) seeded with the first 8 bytes, big endian, of
SHA-256 over the seed text. `tests/unit/test_chance.py` holds the vectors.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

T = TypeVar("T")

_MASK = (1 << 64) - 1


def derive_seed(seed: str, *parts: str | int) -> str:
    """Derive a seed for a part of a game: hex SHA-256 of the parts joined by `:`."""
    return sha256(":".join([seed, *map(str, parts)]).encode()).hexdigest()


class Chance:
    """A stream of random numbers that its seed text determines."""

    __slots__ = ("_state",)

    def __init__(self, seed: str) -> None:
        self._state = int.from_bytes(sha256(seed.encode()).digest()[:8], "big")

    def next64(self) -> int:
        """Draw a number from 0 to 2**64 - 1."""
        self._state = z = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31)

    def below(self, n: int) -> int:
        """Draw a number from 0 to n - 1, without bias (rejection above the last multiple)."""
        limit = (1 << 64) // n * n
        while (x := self.next64()) >= limit:
            pass
        return x % n

    def choice(self, items: Sequence[T]) -> T:
        """Draw one of the items."""
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """Return the items in random order (Fisher-Yates, from the last to the second)."""
        out = list(items)
        for i in range(len(out) - 1, 0, -1):
            j = self.below(i + 1)
            out[i], out[j] = out[j], out[i]
        return out
