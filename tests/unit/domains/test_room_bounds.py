"""What the rooms for lobbies hold is bounded."""

import asyncio

from protocol.errors import Overloaded
from server.domains.play.lobbies import changes
from server.domains.play.lobbies.changes import KeyedLock


async def test_turns_are_taken_in_order_and_forgotten() -> None:
    taken, order = KeyedLock(), []

    async def take(n: int) -> None:
        async with taken.hold("lobby"):
            order.append(n)
            await asyncio.sleep(0)

    await asyncio.gather(*(take(n) for n in range(50)))
    assert order == list(range(50))
    assert taken._turns == {}


async def test_too_many_who_wait_for_one_lobby_are_refused() -> None:
    taken = KeyedLock()

    async def take() -> str:
        try:
            async with taken.hold("lobby"):
                await asyncio.sleep(0)
        except Overloaded:
            return "overloaded"
        return "ok"

    outcomes = await asyncio.gather(*(take() for _ in range(changes.WAITING_MAX + 3)))
    assert outcomes.count("overloaded") == 3
