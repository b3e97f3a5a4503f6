"""Days whose leaders are killed, whose bots race on two nodes, and whose database is cut off."""

import asyncio
from datetime import timedelta
from random import Random
from time import monotonic

import pytest

from persistence.database import Database
from persistence.epochs.claims import NewClaim
from persistence.rls import RlsDatabase
from server.domains.compete.epochs.rules import require_claim_allowed
from tests.faults.conftest import Nodes, Rounds
from tests.faults.days import (
    begin,
    finished_once,
    in_the_way,
    leader,
    phase,
    prepare,
    two_nodes,
)
from tests.faults.table import Figures
from tests.integration.epochs.stage import DAY, MIDNIGHT, Stage

pytestmark = pytest.mark.slow

# Where a step is killed: at the first of its writes, or where it writes a table after another.
KILLED_AT = (
    ("epoch_payouts", "epoch_events"),  # the result is there, but for its event
    ("epoch_events",),
    ("bot_stats_snapshots",),
    ("epoch_payouts",),
    ("epoch_settlements",),
    ("epoch_contributions",),
    ("epoch_editions",),
)
CLAIMS = 12
KILLS = 3
LIFE_S = 2.0
# At this speed the ten minutes of the freeze are two seconds.
SPEED = 300.0


@pytest.fixture
async def stage(database: Database, rls: RlsDatabase) -> Stage:
    return Stage(database, rls)


async def some_claims(stage: Stage, number: int, chance: Random) -> None:
    """Let a day be live, and three bots fight for the slots for forty minutes."""
    epoch_id = (await begin(stage, number)).epoch_id
    bots = [await stage.bot() for _ in range(3)]
    for minute in sorted(chance.sample(range(1, 40), CLAIMS)):
        await stage.at(MIDNIGHT + timedelta(days=number, minutes=minute))
        bot, slot_index = chance.choice(bots), chance.randrange(4)
        claim = NewClaim(epoch_id, slot_index, f"x {minute}", bot.bot_id, bot.token_id)
        await stage.claims.claim(claim, require_claim_allowed)


async def test_a_step_killed_in_the_middle_is_taken_once_by_the_next_leader(
    nodes: Nodes,
    stage: Stage,
    serving_dsn: str,
    fresh_dsn: str,
    rounds: Rounds,
    figures: Figures,
) -> None:
    await prepare(stage)
    both = await two_nodes(nodes, serving_dsn)
    for number, tables in enumerate(KILLED_AT[: rounds(2, len(KILLED_AT))]):
        day = DAY + timedelta(days=number)
        await some_claims(stage, number, Random(number))
        async with in_the_way(fresh_dsn, tables) as gate:
            await stage.at(MIDNIGHT + timedelta(days=number, hours=1))
            await gate.is_reached()
            killed = await leader(stage.database, both)
            killed.kill()
            killed_at = monotonic()
        await phase(stage, day, "archive")
        figures.measure("from a leader's kill in a step to the end of all", monotonic() - killed_at)
        figures.count("steps of days killed in the middle, finished once")
        await finished_once(stage, day)
        await asyncio.to_thread(killed.start)


async def test_leaders_killed_at_any_moment_leave_no_day_half_done(
    nodes: Nodes, stage: Stage, serving_dsn: str, rounds: Rounds, figures: Figures
) -> None:
    await prepare(stage)
    both = await two_nodes(nodes, serving_dsn)
    for number in range(rounds(1, 12)):
        chance = Random(number)
        await some_claims(stage, number, chance)
        await stage.days.set_clock(MIDNIGHT + timedelta(days=number, minutes=49), speed=SPEED)
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0, LIFE_S))
            killed = await leader(stage.database, both)
            killed.kill()
            figures.count("kills of nodes that advance days survived")
            await asyncio.to_thread(killed.start)
        await phase(stage, DAY + timedelta(days=number), "archive")
        await finished_once(stage, DAY + timedelta(days=number))
