"""One at a time, in order of arrival."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from protocol.errors import Overloaded

WAITING_MAX: Final = 500  # for one thing


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class KeyedLock:
    """Lets this node do one thing at a time to each of many things.

    The database keeps changes apart by itself. Taking turns here as well lets updates go
    out in the order of their versions, and lets a crowd at one lobby wait without holding
    a connection each.
    """

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        """Wait for one's turn; refuse where too many wait already."""
        turn = self._turns.setdefault(key, _Turn())
        if turn.waiting >= WAITING_MAX:
            raise Overloaded
        turn.waiting += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.waiting -= 1
            if not turn.waiting:
                del self._turns[key]
