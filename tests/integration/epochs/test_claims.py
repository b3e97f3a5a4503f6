"""Claims: event, state and version together, and cooldowns that hold in a race."""

import asyncio
from datetime import timedelta

import orjson
import pytest

from persistence.epochs.claims import NewClaim
from protocol.epochs import BotRequired, Cooldown, EpochNotLive, SlotNotFound
from protocol.ids import EpochId, new_id
from server.domains.compete.epochs.rules import require_claim_allowed
from tests.integration.epochs.stage import MIDNIGHT, Stage, profile


async def test_claim_is_event_state_and_version_at_once(stage: Stage) -> None:
    epoch_id = await stage.open()
    ada, bob = await stage.bot("bot_ada"), await stage.bot("bot_bob")
    first = await stage.claim(ada, 3, "a b", at_s=10)
    second = await stage.claim(bob, 3, "c", at_s=20)
    head, _, slots = await stage.days.read_slots(epoch_id)
    assert (slots[3].code, slots[3].bot, slots[3].version) == ("c", "bot_bob", second)
    assert head == second == first + 1
    taken, overwritten = (await stage.days.read_events(epoch_id, after=first - 1, limit=10))[:2]
    assert (taken.type, overwritten.type) == ("slot_claimed", "slot_overwritten")
    assert orjson.loads(overwritten.payload) == {"code": "c", "previous_bot_id": ada.bot_id}
    assert MIDNIGHT < taken.at < overwritten.at


async def test_a_race_for_one_slot_within_its_cooldown_has_one_winner(stage: Stage) -> None:
    await stage.open(profile(cooldowns={"bot_s": 0, "slot_s": 3600}))
    bots = [await stage.bot() for _ in range(12)]
    results = await asyncio.gather(
        *(stage.claim_now(bot, 0, "x") for bot in bots), return_exceptions=True
    )
    assert sum(isinstance(result, int) for result in results) == 1
    assert sum(isinstance(result, Cooldown) for result in results) == 11


async def test_one_bot_that_claims_everything_at_once_gets_one_slot(stage: Stage) -> None:
    await stage.open(profile(cooldowns={"bot_s": 3600, "slot_s": 0}))
    bot = await stage.bot()
    results = await asyncio.gather(
        *(stage.claim_now(bot, slot, "x") for slot in range(8)), return_exceptions=True
    )
    assert sum(isinstance(result, int) for result in results) == 1


async def test_cooldown_says_how_long_to_wait(stage: Stage) -> None:
    await stage.open(profile(cooldowns={"bot_s": 30, "slot_s": 0}))
    bot = await stage.bot()
    await stage.claim(bot, 0, "x", at_s=100)
    with pytest.raises(Cooldown) as refused:
        await stage.claim(bot, 1, "x", at_s=110)
    assert 15 < refused.value.retry_after_s < 21
    assert "wait" in refused.value.message
    assert await stage.claim(bot, 1, "x", at_s=131)


async def test_claims_come_only_while_the_day_is_live(stage: Stage) -> None:
    await stage.open()
    bot = await stage.bot()
    freeze_at = (await stage.day()).freeze_at
    await stage.at(freeze_at - timedelta(seconds=5))
    await stage.claim_now(bot, 0, "x")
    # Nobody has frozen the day yet; its time counts all the same.
    await stage.at(freeze_at)
    with pytest.raises(EpochNotLive):
        await stage.claim_now(bot, 1, "x")
    await stage.scheduler.tick()
    with pytest.raises(EpochNotLive):
        await stage.claim_now(bot, 1, "x")


async def test_no_slot_of_this_index_takes_a_claim(stage: Stage) -> None:
    await stage.open()
    bot = await stage.bot()
    with pytest.raises(SlotNotFound):
        await stage.claim_now(bot, 8, "x")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE bot_tokens SET revoked_at = now()",
        "UPDATE bot_tokens SET expires_at = now() - interval '1 s'",
        "UPDATE bot_tokens SET scopes = '{read}'",
        "UPDATE bot_identities SET status = 'suspended'",
        "UPDATE bot_identity_owners SET owner_address = '0x' || repeat('f', 40)",
    ],
)
async def test_token_that_lost_its_right_claims_nothing(stage: Stage, change: str) -> None:
    epoch_id = await stage.open()
    bot = await stage.bot()
    async with stage.database.acquire() as connection:
        await connection.execute(change)
    with pytest.raises(BotRequired):
        await stage.claim_now(bot, 0, "x")
    _, _, slots = await stage.days.read_slots(epoch_id)
    assert slots[0].code is None


async def test_a_token_claims_for_its_own_bot_alone(stage: Stage) -> None:
    epoch_id = await stage.open()
    ada, bob = await stage.bot(), await stage.bot()
    with pytest.raises(BotRequired):
        await stage.claims.claim(
            NewClaim(epoch_id, 0, "x", ada.bot_id, bob.token_id), require_claim_allowed
        )


async def test_unknown_epoch_takes_no_claim(stage: Stage) -> None:
    await stage.open()
    bot = await stage.bot()
    nowhere = NewClaim(EpochId(new_id()), 0, "x", bot.bot_id, bot.token_id)
    with pytest.raises(Exception, match="no such epoch"):
        await stage.claims.claim(nowhere, require_claim_allowed)


async def test_a_claim_does_not_read_all_time_zones_from_disk(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes milliseconds, under the day's lock and on the loop that serves everybody."""
    await stage.open()
    bot = await stage.bot()

    def read() -> set[str]:
        raise AssertionError("time zones were read")

    monkeypatch.setattr("protocol.epoch_profile.available_timezones", read)
    assert await stage.claim(bot, 0, "x", at_s=5)


async def test_without_a_pause_nobody_waits_for_a_clock_that_was_put_back(stage: Stage) -> None:
    await stage.open()
    bot = await stage.bot()
    await stage.claim(bot, 0, "x", at_s=3600)
    assert await stage.claim(bot, 1, "x", at_s=60)


async def test_after_the_clock_was_put_back_a_pause_is_as_long_as_ever(stage: Stage) -> None:
    await stage.open(profile(cooldowns={"bot_s": 30, "slot_s": 30}))
    ada, bob = await stage.bot(), await stage.bot()
    await stage.claim(ada, 0, "x", at_s=36_000)
    assert await stage.claim(ada, 0, "y", at_s=60)
    with pytest.raises(Cooldown) as refused:
        await stage.claim(ada, 1, "z", at_s=70)
    assert 0 < refused.value.retry_after_s < 30
    with pytest.raises(Cooldown):
        await stage.claim(bob, 0, "z", at_s=55)  # a little is a clock that was set right
    assert await stage.claim(ada, 1, "z", at_s=91)
