"""Payouts: one that has left stays, and goes where the result says."""

import asyncio

import pytest

from protocol.epochs import AlreadyPaid
from server.domains.compete.epochs.verification import DayVerification
from tests.integration.epochs.stage import Stage

THIEF = "0x" + "e" * 40


async def test_a_payout_that_leaves_while_its_day_is_settled_again_is_kept(stage: Stage) -> None:
    epoch_id = await stage.open()
    bot = await stage.bot()
    await stage.claim(bot, 0, "x", at_s=5)
    await stage.finish()
    change = stage.store.set_payout(
        epoch_id, bot.bot_id, status="submitted", tx_hash="0x1", actor="an admin"
    )
    async with stage.store.lock_day(epoch_id):  # as whoever settles again does
        leaving = asyncio.create_task(change)
        while not leaving.done() and not await _waits(stage):
            await asyncio.sleep(0.01)
        assert not leaving.done()
    assert await leaving
    with pytest.raises(AlreadyPaid):
        await stage.steps.recompute(epoch_id, by="an admin", reason="too late")


async def test_a_payout_to_another_address_is_found(stage: Stage) -> None:
    epoch_id = await stage.open()
    await stage.claim(await stage.bot(), 0, "x", at_s=5)
    await stage.finish()
    check = DayVerification(stage.days, stage.store, stage.steps)
    assert await check.check(epoch_id) == []
    async with stage.database.acquire() as connection:
        await connection.execute("UPDATE epoch_payouts SET recipient_address = $1", THIEF)
    assert [THIEF in problem for problem in await check.check(epoch_id)] == [True]


async def _waits(stage: Stage) -> bool:
    """Say whether anybody waits for a lock."""
    async with stage.database.acquire() as connection:
        asked = await connection.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
    return bool(asked)
