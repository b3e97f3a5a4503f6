"""Changes that are committed together: those that come while a statement runs share the next one.

Whenever nothing runs and something waits, all that waits is written in one statement. There is no
timer, so a change that comes alone is written at once, and a busy server makes a fraction of the
statements and commits. The log's writers do the same with the events of games.

What a change gets:

- Its own answer, and only after the commit of the statement that it was in.
- `Overloaded`, at once, if too many wait already. It was not written.
- What `write` raises, as all that were in the statement. `write` raises where nobody can know
  whether the statement was committed, and where no connection was free. If the statement certainly
  failed, each change is answered so, and whoever asked writes it alone. Then a change that the
  database refuses gets its own error, and the others are written.

Who is cancelled while their change waits takes it back. Later, it is written all the same, as a
statement that is under way cannot be taken apart.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from protocol.errors import Overloaded, Unavailable

Change = TypeVar("Change")
Answer = TypeVar("Answer")

# What a statement has locked, it holds until the last of its changes is written.
TOGETHER_MAX: Final = 64
WAITING_MAX: Final = 1000


class _Asked(NamedTuple, Generic[Change, Answer]):
    change: Change
    answer: "asyncio.Future[Answer]"


class GroupCommit(Generic[Change, Answer]):
    """Writes changes by `write`, which gives their answers in the same order."""

    def __init__(self, write: Callable[[Sequence[Change]], Awaitable[Sequence[Answer]]]) -> None:
        self._write = write
        self._waiting: deque[_Asked[Change, Answer]] = deque()
        self._wake = asyncio.Event()
        self._has_ended = False

    async def commit(self, change: Change) -> Answer:
        """Write a change together with others; raise `Overloaded`, or what `write` raises.

        `Unavailable` if the server stops meanwhile: the change may be written.
        """
        if self._has_ended:
            raise Unavailable
        if len(self._waiting) >= WAITING_MAX:
            raise Overloaded
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Asked(change, answer))
        self._wake.set()
        return await answer

    async def run(self) -> None:
        """Write what waits, until cancelled."""
        try:
            while True:
                await self._wake.wait()
                # Before the queue is looked at: cleared after it, this could swallow the wake-up
                # of a change that came while the last ones were written.
                self._wake.clear()
                while taken := self._take():
                    await self._write_together(taken)
        finally:
            self._has_ended = True
            _fail(self._waiting, Unavailable())

    def _take(self) -> list[_Asked[Change, Answer]]:
        taken: list[_Asked[Change, Answer]] = []
        while self._waiting and len(taken) < TOGETHER_MAX:
            asked = self._waiting.popleft()
            if not asked.answer.done():  # nobody waits for it any more
                taken.append(asked)
        return taken

    async def _write_together(self, taken: Sequence[_Asked[Change, Answer]]) -> None:
        try:
            answers = await self._write([asked.change for asked in taken])
        except Exception as error:  # each of them raises it where it can be handled
            _fail(taken, error)
        except BaseException:
            _fail(taken, Unavailable())
            raise
        else:
            for asked, answer in zip(taken, answers, strict=True):
                if not asked.answer.done():
                    asked.answer.set_result(answer)


def _fail(some: Sequence[_Asked[Change, Answer]], error: Exception) -> None:
    for asked in some:
        if not asked.answer.done():
            asked.answer.set_exception(error)
