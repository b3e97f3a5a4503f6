"""Days at the edges of what a profile allows, and what would keep one from being settled."""

from datetime import timedelta

import asyncpg
import pytest

from persistence.epochs.imports import ImportStore
from protocol.errors import InvalidField
from tests.integration.epochs.stage import MIDNIGHT, Stage, profile
from tests.integration.epochs.test_import import imported, line, update, vote

HEAVY = dict.fromkeys(("time", "claim", "defense", "vote"), "1000000")
POOL_WEI = 10**78 - 1


async def test_the_heaviest_profile_of_all_is_settled_and_paid_to_the_last_wei(
    stage: Stage,
) -> None:
    rules = profile(64, settlement={"weights": HEAVY, "payout": {"pool_wei": POOL_WEI}})
    epoch_id = await stage.open(rules)
    first, second = await stage.bot(), await stage.bot()
    for slot in range(64):
        await stage.claim(first if slot % 3 else second, slot, "x", at_s=2 + slot)
    await stage.finish()
    assert (await stage.day()).phase == "archive"
    paid = await stage.store.list_payouts(epoch_id)
    assert sum(int(payout.amount_wei) for payout in paid) == POOL_WEI
    assert await stage.steps.verify(epoch_id) == []


@pytest.mark.parametrize(
    "target", ["no-such-bot", "00000000-0000-4000-8000-000000000000", "the bot, in capitals"]
)
async def test_a_vote_on_no_bot_is_refused_by_the_database_and_the_day_is_settled(
    stage: Stage, target: str
) -> None:
    await stage.open()
    bot = await stage.bot()
    await stage.claim(bot, 0, "x", at_s=5)
    who, _ = await stage.voter()
    named = bot.bot_id.upper() if target.endswith("capitals") else target
    with pytest.raises(InvalidField, match="no such bot"):
        await stage.vote(who, named, "0.5")
    await stage.finish()
    assert (await stage.day()).phase == "archive"


async def test_only_days_before_make_a_voter_known(stage: Stage) -> None:
    await stage.bot("bot_ada")
    rules = profile()
    rules["governance"]["anti_abuse"] = {"newcomer_weight": "0.25", "known_after": 1}
    later = [vote(86_400 + 60, "bot_ada", 0.5)]
    await imported(stage, later, rules)
    made = await imported(stage, [vote(60, "bot_ada", 0.5)], rules)
    epoch_id = made["2026-02-12"]
    assert epoch_id is not None
    async with stage.database.acquire() as connection:
        weights = await connection.fetch(
            "SELECT v.effective_weight::text FROM epoch_votes v JOIN epochs e ON e.id = v.epoch_id"
            " ORDER BY e.starts_at"
        )
    assert [weight for (weight,) in weights] == ["0.2500", "0.2500"]


async def test_an_import_leaves_the_clock_as_it_was_set(stage: Stage) -> None:
    await stage.bot("bot_ada")
    await stage.at(MIDNIGHT + timedelta(days=3_000))
    await imported(stage, [update(10, 0, "bot_ada", "x"), vote(20, "bot_ada", 1)])
    since = await stage.days.now() - (MIDNIGHT + timedelta(days=3_000))
    assert timedelta(0) <= since < timedelta(hours=1)


async def test_a_setting_moves_no_clock_but_that_of_an_import(stage: Stage) -> None:
    await stage.at(MIDNIGHT)
    async with stage.database.transaction() as connection:
        await connection.execute("SET LOCAL playhall.epoch_at = '2020-01-01Z'")
        assert (await connection.fetchval("SELECT epoch_now()")).year == 2026


async def test_the_rows_of_the_clock_do_not_grow_with_an_import(stage: Stage) -> None:
    """Each version of the row that a transaction leaves is looked at by all that come after."""
    await stage.bot("bot_ada")
    lines = [vote(20 + number, "bot_ada", 1) for number in range(200)]
    before = await _versions(stage)
    await imported(stage, [*lines, line(400, type="activity", kind="joined")])
    assert await _versions(stage) - before <= 4
    assert await ImportStore(stage.database).list_bots()


async def _versions(stage: Stage) -> int:
    """Count how often the row of the clock was written."""
    async with stage.database.acquire() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        count: int = await connection.fetchval(
            "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_all_tables"
            " WHERE relname = 'epoch_clock'"
        )
    return count


async def test_nobody_else_sees_the_time_of_an_import(stage: Stage) -> None:
    async with stage.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO epoch_clock (epoch_at, follows_setting) VALUES ($1, true)", MIDNIGHT
        )
        await connection.execute("SET LOCAL playhall.epoch_at = '2020-01-01Z'")
        assert (await connection.fetchval("SELECT epoch_now()")).year == 2020
        assert (await stage.days.now()).year >= 2026
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with stage.rls.anonymous.acquire() as other:
                await other.execute("UPDATE epoch_clock SET follows_setting = true")
