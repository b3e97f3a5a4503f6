"""An answer is stopped at any moment, also when it has just ended."""

import asyncio

import pytest

from protocol.ids import UserId
from server.domains.social.companions.writing import OpenAnswer


async def write(answer: OpenAnswer, *, is_stopped: bool) -> None:
    async with asyncio.timeout(60) as timeout:
        answer.limit(timeout)
        if is_stopped:
            answer.stop("stopped")
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        answer.unlimit()


async def test_an_answer_that_is_written_ends_when_it_is_stopped() -> None:
    answer = OpenAnswer("a", UserId("u"))
    with pytest.raises(TimeoutError):
        await write(answer, is_stopped=True)
    assert answer.stopped == ("stopped", None)


async def test_an_answer_that_has_ended_is_stopped_without_an_error() -> None:
    answer = OpenAnswer("a", UserId("u"))
    await write(answer, is_stopped=False)
    answer.stop("stopped")
    assert answer.stopped == ("stopped", None)
