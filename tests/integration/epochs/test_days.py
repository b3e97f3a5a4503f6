"""A whole day: phases in order, settlement, archive; after outages and crashes, too."""

import asyncio
import threading
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import orjson
import psycopg
import pytest

from persistence.epochs.store import NewDay, StoredEpochEvent
from protocol.epoch_profile import Cadence, EpochProfile
from protocol.epochs import AlreadyPaid, EpochNotSettled, EpochsOverlap, ProfileInUse
from protocol.ids import EpochId
from server.core.tasks import Tasks
from server.domains.compete.epochs.phases import day_times
from server.domains.compete.epochs.results import events_digest
from tests.integration.epochs.stage import DAY, MIDNIGHT, Stage, profile


async def phases(stage: Stage, epoch_id: EpochId) -> list[str]:
    events = [event async for event in stage.days.iterate_events(epoch_id)]
    assert [event.version for event in events] == list(range(1, len(events) + 1))
    return [
        orjson.loads(event.payload)["phase"] for event in events if event.type == "phase_changed"
    ]


async def payouts(stage: Stage, epoch_id: EpochId) -> dict[str, tuple[str, int, int, str]]:
    return {
        payout.bot: (payout.recipient_address, payout.bps, int(payout.amount_wei), payout.status)
        for payout in await stage.store.list_payouts(epoch_id)
    }


@pytest.mark.parametrize("slots", [8, 10, 12])
async def test_a_day_goes_from_prep_to_archive_by_the_clock(stage: Stage, slots: int) -> None:
    await stage.at(MIDNIGHT - timedelta(minutes=30))
    await stage.days.save_profile("test-v1", EpochProfile.model_validate(profile(slots)))
    await stage.days.activate_profile("test-v1")
    await stage.scheduler.tick()
    assert (await stage.day()).phase == "prep"
    epoch_id = await stage.open(profile(slots))
    bots = [await stage.bot() for _ in range(3)]
    for number, bot in enumerate(bots):
        await stage.claim(bot, slots - 1 - number, "x", at_s=60 * (number + 1))
    await stage.finish()
    assert await phases(stage, epoch_id) == [
        "prep", "live", "freeze", "snapshot", "settle", "archive"
    ]  # fmt: skip
    paid = await payouts(stage, epoch_id)
    assert sum(bps for _, bps, _, _ in paid.values()) == 10_000
    assert sum(wei for _, _, wei, _ in paid.values()) == 10**18 + 7
    assert {recipient for recipient, *_ in paid.values()} == {bot.owner for bot in bots}
    assert await stage.steps.verify(epoch_id) == []


async def test_after_an_outage_every_phase_is_made_up_for_in_order(stage: Stage) -> None:
    epoch_id = await stage.open()
    await stage.at(MIDNIGHT + timedelta(days=3))
    taken = await stage.scheduler.tick()
    assert taken >= 4
    assert (await phases(stage, epoch_id))[1:] == [
        "live",
        "freeze",
        "snapshot",
        "settle",
        "archive",
    ]
    day = await stage.day()
    assert day.frozen_at == day.freeze_at


async def test_two_schedulers_at_once_take_each_step_once(stage: Stage) -> None:
    epoch_id = await stage.open()
    await stage.at(MIDNIGHT + timedelta(days=1))
    other = Stage(stage.database, stage.rls, node="n2")
    await asyncio.gather(*(s.scheduler.tick() for s in (stage, other, stage, other)))
    assert await phases(stage, epoch_id) == [
        "prep", "live", "freeze", "snapshot", "settle", "archive"
    ]  # fmt: skip
    assert len(await stage.store.list_settlements(epoch_id)) == 1


async def test_one_node_leads_until_its_lease_runs_out(stage: Stage) -> None:
    assert await stage.store.take_lead("n1", lease_s=30)
    assert not await stage.store.take_lead("n2", lease_s=30)
    assert await stage.store.take_lead("n1", lease_s=30)
    await stage.store.resign_lead("n1")
    assert await stage.store.take_lead("n2", lease_s=30)
    assert await stage.store.read_leader() == "n2"


async def test_a_day_that_cannot_be_settled_keeps_no_other_waiting(stage: Stage) -> None:
    await stage.open()
    stage.owners_known = False
    await stage.at(MIDNIGHT + timedelta(days=1, hours=1))
    await stage.scheduler.tick()
    assert (await stage.day()).phase == "snapshot"
    assert (await stage.days.read_day(DAY + timedelta(days=1))).phase == "live"
    stage.owners_known = True
    await stage.scheduler.tick()
    assert (await stage.day()).phase == "archive"


async def test_the_digest_covers_what_everybody_may_read(stage: Stage) -> None:
    epoch_id = await stage.open()
    bot, (ann, _) = await stage.bot(), await stage.voter()
    await stage.claim(bot, 0, "x", at_s=5)
    await stage.vote(ann, bot.bot_id, "1")
    await stage.finish()
    day = await stage.day()
    public = [event async for event in stage.days.iterate_events(epoch_id)]
    frozen = [event for event in public if event.version <= 4]
    assert events_digest(reversed(frozen)) == day.events_digest
    assert events_digest(frozen[:-1]) != day.events_digest


async def test_the_owner_at_the_freeze_is_paid(stage: Stage) -> None:
    epoch_id = await stage.open()
    bot = await stage.bot()
    await stage.claim(bot, 0, "x", at_s=5)
    freeze_at = (await stage.day()).freeze_at
    async with stage.database.acquire() as connection:
        for owner, since, until in (
            (bot.owner, MIDNIGHT - timedelta(days=1), freeze_at),
            ("0x" + "d" * 40, freeze_at, freeze_at + timedelta(seconds=1)),
            ("0x" + "e" * 40, freeze_at + timedelta(seconds=1), None),
        ):
            await connection.execute(
                "DELETE FROM bot_identity_owners WHERE effective_from = '2026-01-01Z'"
            )
            await connection.execute(
                "INSERT INTO bot_identity_owners"
                " (bot_identity_id, owner_address, effective_from, effective_to)"
                " VALUES ($1, $2, $3, $4)",
                bot.bot_id,
                owner,
                since,
                until,
            )
    await stage.finish()
    assert await payouts(stage, epoch_id) == {
        "bot_1": ("0x" + "d" * 40, 10_000, 10**18 + 7, "pending")
    }


async def test_what_nobody_owns_is_paid_to_nobody(stage: Stage) -> None:
    epoch_id = await stage.open()
    bot = await stage.bot()
    await stage.claim(bot, 0, "x", at_s=5)
    async with stage.database.acquire() as connection:
        await connection.execute("DELETE FROM bot_identity_owners")
    await stage.finish()
    ((recipient, bps, _, status),) = (await payouts(stage, epoch_id)).values()
    assert (recipient, bps, status) == ("0x" + "0" * 40, 10_000, "failed")


@pytest.mark.parametrize("pool", [0, 1, 10**60])
async def test_any_pool_is_paid_out_exactly(stage: Stage, pool: int) -> None:
    rules = profile()
    rules["settlement"]["payout"]["pool_wei"] = pool
    epoch_id = await stage.open(rules)
    for number in range(3):
        await stage.claim(await stage.bot(), number, "x", at_s=5)
    await stage.finish()
    assert sum(wei for _, _, wei, _ in (await payouts(stage, epoch_id)).values()) == pool
    assert await stage.steps.verify(epoch_id) == []


async def test_a_day_without_events_is_settled_and_archived(stage: Stage) -> None:
    epoch_id = await stage.open()
    await stage.finish()
    assert (await stage.day()).phase == "archive"
    assert await payouts(stage, epoch_id) == {}


async def test_a_day_in_which_all_scores_are_negative_pays_nobody(stage: Stage) -> None:
    rules = profile()
    rules["settlement"]["weights"] = {"time": "0", "claim": "0", "defense": "0", "vote": "1"}
    epoch_id = await stage.open(rules)
    bot, (ann, _) = await stage.bot(), await stage.voter()
    await stage.vote(ann, bot.bot_id, "-1")
    await stage.finish()
    assert await payouts(stage, epoch_id) == {}
    async with stage.database.acquire() as connection:
        scores = await connection.fetch(
            "SELECT raw_score, normalized_share FROM epoch_contributions"
        )
    assert [tuple(row) for row in scores] == [(Decimal(-1), Decimal(0))]


async def test_the_archive_has_summary_and_figures_of_bots(stage: Stage) -> None:
    epoch_id = await stage.open()
    bot = await stage.bot("bot_ada")
    await stage.claim(bot, 2, "last words", at_s=5)
    await stage.finish()
    summary = orjson.loads(stage.objects[f"epochs/{epoch_id}/summary-1.json"])
    assert summary["slots"][2] == {
        "slot_index": 2, "type": "text", "label": "Slot 2", "code": "last words", "bot": "bot_ada"
    }  # fmt: skip
    assert summary["settlement"]["bots"][0]["bps"] == 10_000
    assert (await stage.day()).summary_uri == f"/v1/epochs/{epoch_id}/summary"
    stats = orjson.loads(stage.objects[f"epochs/{epoch_id}/bots/{bot.bot_id}-1.json"])
    assert stats["share"] == "1"
    async with stage.database.acquire() as connection:
        assert await connection.fetchval("SELECT snapshot_hash FROM bot_stats_snapshots")
    assert (await stage.days.read_edition(epoch_id)) is not None


async def damage(stage: Stage, epoch_id: EpochId) -> None:
    """Change what a bot is paid, as somebody with too many rights might."""
    async with stage.database.acquire() as connection:
        await connection.execute("UPDATE epoch_payouts SET bps = 1 WHERE epoch_id = $1", epoch_id)


async def test_a_result_computed_again_takes_its_place_and_the_earlier_stays(stage: Stage) -> None:
    epoch_id = await stage.open()
    bot = await stage.bot()
    await stage.claim(bot, 0, "x", at_s=5)
    with pytest.raises(EpochNotSettled):
        await stage.steps.recompute(epoch_id, by="admin-1", reason="too early")
    await stage.finish()
    await damage(stage, epoch_id)
    assert await stage.steps.recompute(epoch_id, by="admin-1", reason="was damaged") == 2
    assert [paid[1] for paid in (await payouts(stage, epoch_id)).values()] == [10_000]
    newest, first = await stage.store.list_settlements(epoch_id)
    assert (newest.reason, newest.computed_by, first.computed_by) == (
        "was damaged",
        "admin-1",
        "n1",
    )
    assert newest.result == first.result
    async with stage.database.acquire() as connection:
        acts = await connection.fetch(
            "SELECT action, target FROM audit_log WHERE actor = 'admin-1'"
        )
    assert [tuple(act) for act in acts] == [("recompute", epoch_id)]
    assert f"epochs/{epoch_id}/summary-2.json" in stage.objects


async def test_what_was_paid_is_not_computed_again(stage: Stage) -> None:
    epoch_id = await stage.open()
    bot = await stage.bot()
    await stage.claim(bot, 0, "x", at_s=5)
    await stage.finish()
    await stage.store.set_payout(
        epoch_id, bot.bot_id, status="submitted", tx_hash=None, actor="admin-1"
    )
    with pytest.raises(AlreadyPaid):
        await stage.steps.recompute(epoch_id, by="admin-1", reason="why not")


@pytest.mark.parametrize(
    "statement", ["UPDATE epoch_events SET payload = '{}'", "DELETE FROM epoch_events"]
)
async def test_log_of_a_day_cannot_be_rewritten_even_by_a_superuser(
    stage: Stage, fresh_dsn: str, statement: str
) -> None:
    await stage.open()
    with (
        psycopg.connect(fresh_dsn) as connection,
        pytest.raises(psycopg.errors.RestrictViolation, match="refused"),
    ):
        connection.execute(statement)


async def test_verification_finds_an_event_that_was_changed(stage: Stage, fresh_dsn: str) -> None:
    epoch_id = await stage.open()
    for number in range(2):
        await stage.claim(await stage.bot(), number, "x", at_s=5)
    await stage.finish()
    with psycopg.connect(fresh_dsn) as connection:
        connection.execute("ALTER TABLE epoch_events DISABLE TRIGGER ALL")
        connection.execute(
            "UPDATE epoch_events SET occurred_at = occurred_at + interval '1 h' WHERE version = 3"
        )
    found = " ".join(await stage.steps.verify(epoch_id))
    assert "events_digest" in found
    assert "occupied_seconds" in found


async def test_a_profile_that_days_were_played_by_stays(stage: Stage) -> None:
    await stage.open()
    changed: dict[str, Any] = profile(10)
    with pytest.raises(ProfileInUse):
        await stage.days.save_profile("test-v1", EpochProfile.model_validate(changed))
    await stage.days.save_profile("test-v1", EpochProfile.model_validate(profile()))


async def test_days_that_would_overlap_are_refused(stage: Stage) -> None:
    await stage.open()
    kept = {one.profile_key: one for one in await stage.days.list_profiles()}["test-v1"]
    tokyo = kept.profile.model_copy(update={"cadence": Cadence(timezone="Asia/Tokyo")})
    times = day_times(DAY + timedelta(days=1), tokyo.cadence)  # begins at 15:00 UTC of the 12th
    new = NewDay(
        DAY + timedelta(days=1),
        kept.profile_id,
        times.starts_at,
        times.freeze_at,
        times.ends_at,
        tokyo,
    )
    with pytest.raises(EpochsOverlap):
        await stage.days.create_day(new)
    await stage.days.save_profile("tokyo-v1", tokyo)
    await stage.days.activate_profile("tokyo-v1")
    await stage.at(MIDNIGHT + timedelta(hours=16))
    await stage.scheduler.tick()  # the next day is not due: it begins when this one ends
    assert [day.day for day in await stage.days.list_days(before=date.max, limit=9)] == [DAY]


async def test_a_time_that_no_day_can_be_made_of_stops_nothing(stage: Stage) -> None:
    epoch_id = await stage.open()
    await stage.at(datetime(9999, 12, 31, 12, tzinfo=UTC))
    await stage.scheduler.tick()
    assert stage.scheduler.count_stuck_days == 1
    assert (await phases(stage, epoch_id))[-1] == "archive"
    await stage.at(MIDNIGHT + timedelta(days=1))
    await stage.scheduler.tick()
    assert stage.scheduler.count_stuck_days == 0


async def stuck_day(stage: Stage) -> Stage:
    """Let a node fail to archive a day, and give another one that can."""
    await stage.open()
    stage.objects = MappingProxyType({})  # type: ignore[assignment]  # what cannot be written to
    await stage.at(MIDNIGHT + timedelta(days=1))
    await stage.scheduler.tick()
    assert stage.scheduler.count_stuck_days == 1
    return Stage(stage.database, stage.rls, node="n2", numbers=stage.numbers)


async def test_day_that_another_node_finished_is_stuck_no_more(stage: Stage) -> None:
    other = await stuck_day(stage)
    await other.scheduler.tick()
    await stage.scheduler.tick()
    assert stage.scheduler.count_stuck_days == 0


async def test_node_that_does_not_lead_counts_no_stuck_days(stage: Stage) -> None:
    other = await stuck_day(stage)
    assert await other.store.take_lead("n2", lease_s=60.0)
    async with Tasks() as tasks:
        tasks.start_loop(stage.scheduler.run(), name="epochs")
        async with asyncio.timeout(30):
            while stage.scheduler.count_stuck_days:
                await asyncio.sleep(0.01)
    assert not stage.scheduler.leads


async def test_what_a_day_comes_to_is_computed_beside_the_loop(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def noted(events: Iterable[StoredEpochEvent]) -> bytes:
        threads.append(threading.current_thread())
        return events_digest(events)

    for module in ("steps", "results"):
        monkeypatch.setattr(f"server.domains.compete.epochs.{module}.events_digest", noted)
    epoch_id = await stage.open()
    await stage.finish()
    await stage.steps.verify(epoch_id)
    assert len(threads) == 3  # freeze, settle, verify
    assert threading.main_thread() not in threads


async def test_a_day_rehearsed_ahead_is_not_the_present_one_when_the_clock_is_put_back(
    stage: Stage,
) -> None:
    await stage.open()
    await stage.at(MIDNIGHT + timedelta(days=30, hours=1))
    await stage.scheduler.tick()
    assert (await stage.days.read_day(None)).day == DAY + timedelta(days=30)
    await stage.at(MIDNIGHT + timedelta(hours=1))
    assert (await stage.days.read_day(None)).day == DAY
