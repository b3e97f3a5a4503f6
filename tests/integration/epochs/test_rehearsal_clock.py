"""A rehearsal finds a live day that lasts, however fast its clock goes."""

from datetime import timedelta

import pytest

from server.ops.rehearsal_cli import LEFT_MIN, make_live
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
