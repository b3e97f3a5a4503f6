"""What the rooms for lobbies and chat hold is bounded."""

import asyncio

import pytest

from protocol.errors import Overloaded, RateLimited
from protocol.ids import PlayerId
from server.domains.chat.pace import SPEAKERS_MAX, Pace
from server.domains.lobbies import turns
from server.domains.lobbies.turns import Turns
from server.kernel import passwords
from server.kernel.passwords import Passwords


async def test_turns_are_taken_in_order_and_forgotten() -> None:
    taken, order = Turns(), []

    async def take(n: int) -> None:
        async with taken.of("lobby"):
            order.append(n)
            await asyncio.sleep(0)

    await asyncio.gather(*(take(n) for n in range(50)))
    assert order == list(range(50))
    assert taken._turns == {}


async def test_too_many_who_wait_for_one_lobby_are_refused() -> None:
    taken = Turns()

    async def take() -> str:
        try:
            async with taken.of("lobby"):
                await asyncio.sleep(0)
        except Overloaded:
            return "overloaded"
        return "ok"

    outcomes = await asyncio.gather(*(take() for _ in range(turns.WAITING_MAX + 3)))
    assert outcomes.count("overloaded") == 3


async def test_too_many_passwords_at_once_are_refused() -> None:
    checks = Passwords()
    stored = await checks.hash("open sesame")
    checks._waiting = passwords.WAITING_MAX
    with pytest.raises(Overloaded):
        await checks.fits(stored, "open sesame")
    checks._waiting = 0
    assert await checks.fits(stored, "open sesame")
    assert not await checks.fits(stored, "Open sesame")
    assert not await checks.fits(None, "open sesame")


def test_only_the_latest_speakers_are_remembered() -> None:
    pace = Pace()
    for n in range(SPEAKERS_MAX + 7):
        pace.require(PlayerId(str(n)), now=1.0)
    assert len(pace._buckets) == SPEAKERS_MAX


def test_five_messages_then_one_every_two_seconds() -> None:
    pace, ann = Pace(), PlayerId("ann")
    for _ in range(5):
        pace.require(ann, now=10.0)
    with pytest.raises(RateLimited, match=r"2\.0 s"):
        pace.require(ann, now=10.0)
    pace.require(ann, now=12.0)
    with pytest.raises(RateLimited):
        pace.require(ann, now=12.0)
