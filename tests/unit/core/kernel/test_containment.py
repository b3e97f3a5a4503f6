"""Sweeps that nothing ends, and failures that touch one item only."""

import asyncio
import logging

import pytest

from protocol.errors import Overloaded, Unavailable
from server.core.containment import FAILURES, contain_failures, count_unhandled
from server.core.periodic import AWAY, repeat_every
from server.core.tasks import Tasks


class Sweep:
    """Raises what it is given, one after the other, and then goes well."""

    def __init__(self, *troubles: BaseException) -> None:
        self._troubles = list(troubles)
        self.went_well = asyncio.Event()

    async def __call__(self) -> None:
        if self._troubles:
            raise self._troubles.pop(0)
        self.went_well.set()


async def _until_well(sweep: Sweep) -> None:
    async with Tasks() as tasks, asyncio.timeout(60):
        tasks.start_loop(repeat_every(0, sweep, "sweeping"), name="sweep")
        await sweep.went_well.wait()


async def test_sweep_is_repeated_whatever_it_raises(caplog: pytest.LogCaptureFixture) -> None:
    before = FAILURES.total
    # The last one: something that was awaited was cancelled, and not the sweep.
    raised = [KeyError("k"), ExceptionGroup("some", [ValueError("v")]), asyncio.CancelledError()]
    await _until_well(Sweep(*raised))
    assert FAILURES.total == before + 3
    assert caplog.text.count("Traceback") >= 3


async def test_same_failure_is_traced_once_and_counted_each_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = FAILURES.total
    await _until_well(Sweep(*[KeyError("k") for _ in range(5)]))
    assert FAILURES.total == before + 5
    assert caplog.text.count("Traceback") == 1
    assert caplog.text.count("sweeping failed again") == 4


async def test_database_that_is_away_is_said_once_and_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = FAILURES.total
    await _until_well(Sweep(Unavailable(), Overloaded(), Unavailable()))
    assert FAILURES.total == before
    assert caplog.text.count("sweeping waits") == 1


async def test_cancelled_sweep_ends() -> None:
    async def sweep() -> None:
        await asyncio.sleep(3600)

    task = asyncio.create_task(repeat_every(0, sweep, "sweeping"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_contained_failure_is_logged_and_counted_and_the_next_item_is_reached(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before, reached = FAILURES.total, []
    for item in range(3):
        with contain_failures("an item"):
            reached.append(item)
            raise KeyError(item)
    assert reached == [0, 1, 2]
    assert FAILURES.total == before + 3
    assert caplog.text.count("an item failed") == 3


def test_what_is_to_be_passed_on_is_not_contained() -> None:
    before = FAILURES.total
    for error in (Unavailable(), Overloaded()):
        with pytest.raises(AWAY), contain_failures("an item", passed=AWAY):
            raise error
    with pytest.raises(asyncio.CancelledError), contain_failures("an item"):
        raise asyncio.CancelledError
    assert FAILURES.total == before


async def test_what_a_callback_of_the_loop_raises_is_counted_unless_it_is_the_networks(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before, loop = FAILURES.total, asyncio.get_running_loop()
    caplog.set_level(logging.ERROR)

    def raising(error: Exception) -> None:
        raise error

    loop.set_exception_handler(count_unhandled)
    try:
        loop.call_soon(raising, KeyError("k"))
        loop.call_soon(raising, ConnectionResetError())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    finally:
        loop.set_exception_handler(None)
    assert FAILURES.total == before + 1
    assert "KeyError" in caplog.text
