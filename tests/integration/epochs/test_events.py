"""A settled day leaves an event with each of its results."""

from protocol.domain_events import EpochSettled
from tests.fixtures.rows import events_in
from tests.integration.epochs.stage import DAY, Stage


async def test_every_result_of_a_day_leaves_an_event(stage: Stage) -> None:
    epoch_id = await stage.open()
    await stage.claim(await stage.bot(), 0, "x", at_s=5)
    await stage.finish()
    await stage.steps.recompute(epoch_id, by="an admin", reason="again")
    digest = (await stage.day()).events_digest
    assert digest is not None
    async with stage.database.acquire() as connection:
        events = await events_in(connection)
    assert events == [
        EpochSettled(
            epoch_id=epoch_id, day=DAY.isoformat(), number=number, events_digest=digest.hex()
        )
        for number in (1, 2)
    ]
