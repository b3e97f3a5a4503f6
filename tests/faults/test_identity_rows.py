"""Whose rows they are: a request that is cancelled never lends its identity to the next one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from persistence.database import Database
from persistence.rls import ANONYMOUS_ROLE, Requester, RlsDatabase
from protocol.ids import SessionId, UserId, new_id
from tests.faults.conftest import Rounds
from tests.faults.table import Figures

# What a policy reads, and who the database takes the request for.
WHO = """
    SELECT auth.uid()::text AS user_id, current_user::text AS role,
        coalesce(current_setting('request.jwt.claims', true), '') AS claims
"""
STEPS = 24


@pytest.fixture
async def pool_of_one(serving_dsn: str) -> AsyncIterator[RlsDatabase]:
    database = await Database.open(serving_dsn, embedded=False, role=ANONYMOUS_ROLE, pool_max=1)
    yield RlsDatabase(database)
    await database.close()


def somebody() -> Requester:
    return Requester(UserId(new_id()), SessionId(new_id()))


async def test_cancelled_request_never_lends_its_identity(
    pool_of_one: RlsDatabase, rounds: Rounds, figures: Figures
) -> None:
    """Cancel after every number of turns of the loop, so at every await that there is."""
    cancelled = 0
    for _ in range(rounds(3, 60)):
        for turns in range(STEPS):
            cancelled += await cancel_after(turns, pool_of_one, somebody())
            await assert_nobody_is_left(pool_of_one)
    assert cancelled > STEPS
    figures.count("requests cancelled, whose identity nobody got", cancelled)


async def cancel_after(turns: int, rls: RlsDatabase, who: Requester) -> bool:
    """Begin a request and cancel it some turns later; says whether it was still at work."""
    async with asyncio.TaskGroup() as group:
        request = group.create_task(ask_slowly(rls, who))
        for _ in range(turns):
            await asyncio.sleep(0 if turns % 2 else 0.0002)
        return request.cancel()


async def ask_slowly(rls: RlsDatabase, who: Requester) -> None:
    async with rls.as_user(who) as connection:
        assert (await connection.fetchrow(WHO))["user_id"] == who.user_id
        await connection.execute("SELECT count(*) FROM generate_series(1, 100000)")


async def assert_nobody_is_left(rls: RlsDatabase) -> None:
    """Ask as nobody, as the bare connection, and as somebody else."""
    async with rls.as_user(None) as connection:
        assert tuple(await connection.fetchrow(WHO))[:2] == (None, "anon")
    async with rls._database.acquire() as connection:
        assert tuple(await connection.fetchrow(WHO)) == (None, "anon", "")
    other = somebody()
    async with rls.as_user(other) as connection:
        assert tuple(await connection.fetchrow(WHO))[:2] == (other.user_id, "authenticated")


async def test_request_that_fails_never_lends_its_identity(pool_of_one: RlsDatabase) -> None:
    for statement in ("SELECT 1 / 0", "SELECT * FROM playhall_auth.sessions", "SET ROLE postgres"):
        with suppress(Exception):
            async with pool_of_one.as_user(somebody()) as connection:
                await connection.execute(statement)
        await assert_nobody_is_left(pool_of_one)


async def test_role_that_was_set_for_longer_does_not_outlive_the_loan(
    pool_of_one: RlsDatabase,
) -> None:
    async with pool_of_one.as_user(None) as connection:
        await connection.execute("SET ROLE authenticated")
        await connection.execute(
            "SELECT set_config('request.jwt.claims', '{\"sub\": \"x\"}', false)"
        )
    await assert_nobody_is_left(pool_of_one)
