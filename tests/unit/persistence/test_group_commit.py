"""Changes that share statements: what each gets, and what becomes of the others when one fails."""

import asyncio
from collections.abc import Sequence

import pytest

from persistence.group_commit import TOGETHER_MAX, WAITING_MAX, GroupCommit
from protocol.errors import Overloaded, Unavailable


class Table:
    """Writes once the gate is open; notes what each statement had."""

    def __init__(self) -> None:
        self.written: list[list[int]] = []
        self.gate = asyncio.Event()
        self.fails = False

    async def write(self, changes: Sequence[int]) -> list[str]:
        self.written.append(list(changes))
        await self.gate.wait()
        if self.fails:
            raise ValueError("away")
        return [f"wrote {change}" for change in changes]


class Writing:
    """A group commit that is running, and those who asked."""

    def __init__(self) -> None:
        self.table = Table()
        self.commits = GroupCommit(self.table.write)
        self.running = asyncio.create_task(self.commits.run())

    async def ask(self, *changes: int) -> list["asyncio.Task[str]"]:
        asked = [asyncio.create_task(self.commits.commit(change)) for change in changes]
        for _ in range(10):
            await asyncio.sleep(0)
        return asked

    async def stop(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)


async def outcomes(asked: Sequence["asyncio.Task[str]"]) -> list[object]:
    found = await asyncio.gather(*asked, return_exceptions=True)
    return [type(each) if isinstance(each, BaseException) else each for each in found]


async def test_those_that_wait_share_the_next_statement_and_get_their_own_answers() -> None:
    writing = Writing()
    asked = [*await writing.ask(1), *await writing.ask(2, 3, 4)]
    assert writing.table.written == [[1]]
    assert not any(each.done() for each in asked)
    writing.table.gate.set()
    assert await outcomes(asked) == ["wrote 1", "wrote 2", "wrote 3", "wrote 4"]
    assert await outcomes(await writing.ask(5)) == ["wrote 5"]
    assert writing.table.written == [[1], [2, 3, 4], [5]]
    await writing.stop()


async def test_who_is_cancelled_takes_a_waiting_change_back_and_nothing_from_the_others() -> None:
    writing = Writing()
    asked = [*await writing.ask(1), *await writing.ask(2, 3)]
    asked[0].cancel()  # under way: written, but nobody hears of it
    asked[1].cancel()  # waits
    writing.table.gate.set()
    cancelled = asyncio.CancelledError
    assert await outcomes(asked) == [cancelled, cancelled, "wrote 3"]
    assert writing.table.written == [[1], [3]]
    await writing.stop()


async def test_all_of_a_statement_learn_that_it_failed_and_the_next_is_written() -> None:
    writing = Writing()
    asked = [*await writing.ask(1), *await writing.ask(2, 3)]
    writing.table.fails = True
    writing.table.gate.set()
    assert await outcomes(asked) == [ValueError] * 3
    writing.table.fails = False
    assert await outcomes(await writing.ask(4)) == ["wrote 4"]
    await writing.stop()


async def test_beyond_the_bounds_changes_wait_and_are_refused() -> None:
    writing = Writing()
    asked = [*await writing.ask(0), *await writing.ask(*range(WAITING_MAX))]
    with pytest.raises(Overloaded):
        await writing.commits.commit(-1)
    writing.table.gate.set()
    assert await outcomes(asked) == ["wrote 0", *(f"wrote {n}" for n in range(WAITING_MAX))]
    assert max(map(len, writing.table.written)) == TOGETHER_MAX
    await writing.stop()


async def test_who_waits_when_the_server_stops_is_told() -> None:
    writing = Writing()
    asked = [*await writing.ask(1), *await writing.ask(2)]
    await writing.stop()
    assert await outcomes(asked) == [Unavailable] * 2


async def test_who_comes_after_the_server_stopped_is_told() -> None:
    writing = Writing()
    await writing.ask()  # it is running
    await writing.stop()
    with pytest.raises(Unavailable):
        await writing.commits.commit(1)
