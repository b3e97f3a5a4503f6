"""Reads of rows by their keys: those that are asked for at the same time share a query.

While a query runs, whoever asks waits for the next one, which then reads for all of them. So every
read begins after it was asked for and sees what was committed by then, as if it were alone; yet a
busy server makes a fraction of the queries. Nothing is kept between queries.

One of those who ask does the reading, so it needs no task of its own. If that one is cancelled, the
others are not: the next of them reads.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Final, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Row = TypeVar("Row")

KEYS_AT_ONCE: Final = 200


class _Ask(Generic[Key, Row]):
    __slots__ = ("answer", "key", "leads")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.answer: asyncio.Future[Row | None] = asyncio.get_running_loop().create_future()
        self.leads = False  # the answer is that this one reads next


class BatchedReads(Generic[Key, Row]):
    """Reads by `read_rows`, which gives the rows that there are, by their keys."""

    def __init__(self, read_rows: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Row]]]) -> None:
        self._read_rows = read_rows
        # Of at most one request for each connection to the server.
        self._waiting: deque[_Ask[Key, Row]] = deque()
        self._is_reading = False

    async def read(self, key: Key) -> Row | None:
        """Read a row, or None if there is none; raises what the query raises."""
        if self._is_reading:
            ask: _Ask[Key, Row] = _Ask(key)
            self._waiting.append(ask)
            try:
                row = await ask.answer
            except asyncio.CancelledError:
                if ask.leads:
                    self._hand_over()
                raise
            if not ask.leads:
                return row
        self._is_reading = True
        return await self._lead(key)

    async def _lead(self, key: Key) -> Row | None:
        """Read for oneself and for those that wait."""
        some = [self._waiting.popleft() for _ in range(min(len(self._waiting), KEYS_AT_ONCE))]
        try:
            found = await self._read_rows([key, *(ask.key for ask in some)])
        except Exception as error:
            for ask in some:
                if not ask.answer.done():
                    ask.answer.set_exception(error)
            raise
        except BaseException:  # this one was cancelled, and not the others
            self._waiting.extendleft(reversed(some))
            raise
        else:
            for ask in some:
                if not ask.answer.done():
                    ask.answer.set_result(found.get(ask.key))
            return found.get(key)
        finally:
            self._hand_over()

    def _hand_over(self) -> None:
        """Have the next of those that wait read, if there is any."""
        while self._waiting:
            ask = self._waiting.popleft()
            if not ask.answer.done():
                ask.leads = True
                ask.answer.set_result(None)
                return
        self._is_reading = False
