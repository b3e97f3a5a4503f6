"""Reads that share queries: what each gets, and what becomes of the others when one fails."""

import asyncio
from collections.abc import Sequence

import pytest

from persistence.batched_reads import KEYS_AT_ONCE, BatchedReads


class Table:
    """Rows that can be read once the gate is open; notes what each query asked for."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.rows = {number: f"row {number}" for number in range(1000)}
        self.gate = asyncio.Event()
        self.fails = False

    async def read(self, keys: Sequence[int]) -> dict[int, str]:
        self.asked.append(list(keys))
        found = {key: self.rows[key] for key in keys if key in self.rows}
        await self.gate.wait()
        if self.fails:
            raise ValueError("away")
        return found


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_those_that_wait_share_the_next_query() -> None:
    table = Table()
    reads = BatchedReads(table.read)
    asked = [asyncio.create_task(reads.read(number)) for number in (1, 2, 3, 2, 5000)]
    await turns()
    assert table.asked == [[1]]
    table.rows[2] = "changed"  # after the first query began, and before the next one does
    table.gate.set()
    assert await asyncio.gather(*asked) == ["row 1", "changed", "row 3", "changed", None]
    assert table.asked == [[1], [2, 3, 2, 5000]]
    assert await reads.read(4) == "row 4"
    assert table.asked[2:] == [[4]]


async def test_one_that_is_cancelled_takes_nothing_from_the_others() -> None:
    for cancelled in range(4):
        table = Table()
        reads = BatchedReads(table.read)
        asked = [asyncio.create_task(reads.read(number)) for number in range(4)]
        await turns()
        asked[cancelled].cancel()
        table.gate.set()
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert [isinstance(each, asyncio.CancelledError) for each in found] == [
            number == cancelled for number in range(4)
        ]
        assert await reads.read(9) == "row 9"


async def test_one_that_is_cancelled_as_its_turn_comes_hands_it_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = Table()
    reads = BatchedReads(table.read)
    first, second, third = [asyncio.create_task(reads.read(number)) for number in range(3)]
    await turns()
    hand_over = reads._hand_over

    def hand_over_and_cancel() -> None:
        hand_over()
        second.cancel()

    monkeypatch.setattr(reads, "_hand_over", hand_over_and_cancel)
    table.gate.set()
    found = await asyncio.gather(first, second, third, return_exceptions=True)
    assert (found[0], found[2]) == ("row 0", "row 2")
    assert isinstance(found[1], asyncio.CancelledError)


async def test_all_of_a_query_learn_that_it_failed() -> None:
    table = Table()
    reads = BatchedReads(table.read)
    asked = [asyncio.create_task(reads.read(number)) for number in range(3)]
    await turns()
    table.fails = True
    table.gate.set()
    for each in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(each, ValueError)
    table.fails = False
    assert await reads.read(1) == "row 1"


async def test_a_query_is_bounded() -> None:
    table = Table()
    reads = BatchedReads(table.read)
    asked = [asyncio.create_task(reads.read(number)) for number in range(KEYS_AT_ONCE + 10)]
    await turns()
    table.gate.set()
    await asyncio.gather(*asked)
    assert max(map(len, table.asked)) <= KEYS_AT_ONCE + 1
    assert len(table.asked) == 3
