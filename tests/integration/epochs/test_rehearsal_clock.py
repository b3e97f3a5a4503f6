"""A rehearsal finds a live day that lasts, however fast its clock goes."""

import asyncio
from datetime import timedelta

import pytest

from server.ops import rehearsal_cli
from server.ops.rehearsal_cli import LEFT_MIN, LOOK_EVERY_S, make_live, wait_until_live
from tests.integration.epochs.stage import MIDNIGHT, profile

DAY = timedelta(days=1)
FREEZE = timedelta(minutes=10)  # what a profile has that names none


@pytest.mark.parametrize(
    ("speed", "time_of_day", "goes_on"),
    [
        (None, timedelta(hours=22), "the same day"),
        (None, timedelta(hours=23, minutes=45), "the next day"),
        (2.0, timedelta(hours=22), "the same day"),
        (2.0, timedelta(hours=23, minutes=15), "the next day"),
        (120.0, timedelta(hours=11), "the same day"),
        (120.0, timedelta(hours=23, minutes=15), "the next day"),
    ],
)
async def test_day_has_half_an_hour_of_real_time_left_or_half_of_itself(
    stage, speed, time_of_day, goes_on
):
    await stage.keep_profile(profile())
    await stage.at(MIDNIGHT + time_of_day)

    await make_live(stage.days, speed=speed)

    since_midnight = await stage.days.now() - MIDNIGHT
    assert (since_midnight >= DAY) == (goes_on == "the next day")
    left = DAY - since_midnight % DAY
    assert left >= min(LEFT_MIN * (speed or 1), DAY / 2 - FREEZE)


async def test_rehearsal_waits_for_a_running_node_to_begin_the_day(stage):
    await stage.open()
    await stage.store.take_lead(stage.node, lease_s=60)
    await stage.at(MIDNIGHT + DAY + timedelta(hours=1))
    assert (await stage.days.read_day(None)).phase == "live"  # the node has not looked yet

    waiting = asyncio.create_task(wait_until_live(stage.days, stage.store))
    await asyncio.sleep(3 * LOOK_EVERY_S)
    assert not waiting.done()
    await stage.scheduler.tick()

    assert await waiting
    assert (await stage.days.read_day(None)).starts_at == MIDNIGHT + DAY


async def test_rehearsal_does_not_wait_for_ever(stage, monkeypatch):
    await stage.open()
    await stage.at(MIDNIGHT + DAY + timedelta(hours=1))
    assert await wait_until_live(stage.days, stage.store)  # no node is running
    await stage.store.take_lead(stage.node, lease_s=60)

    monkeypatch.setattr(rehearsal_cli, "BEGUN_WITHIN_S", 0.1)

    assert not await wait_until_live(stage.days, stage.store)
