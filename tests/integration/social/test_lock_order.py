"""Statements that change several counters lock them in the order of their ids.

Two such statements would otherwise wait for each other now and then, and one would fail. That takes
a plan that comes to the rows in another order, so the plan is forced here, and each test also shows
that it fails without the lock.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NamedTuple
from uuid import UUID

import asyncpg
import pytest

from tests.integration.social.world import World

ROWS: Final = 6
PEOPLE: Final = [UUID(int=0x4000_8000_0000_0000_0A00 + number) for number in range(ROWS + 1)]
CREATIONS: Final = [UUID(int=0x4000_8000_0000_0000_0B00 + number) for number in range(ROWS)]
COMMENTS: Final = [UUID(int=0x4000_8000_0000_0000_0C00 + number) for number in range(ROWS)]
# Tables are read as they lie, which here is from the last id to the first.
AS_THEY_LIE: Final = """
    SET enable_indexscan = off; SET enable_bitmapscan = off; SET enable_nestloop = off;
    SET enable_mergejoin = off; SET enable_sort = off; SET enable_memoize = off;
"""


class Case(NamedTuple):
    """A statement, the trigger's function that counts for it, and what it locks."""

    function: str
    statement: str
    table: str
    ids: list[UUID]


CASES: Final = {
    "likes": Case(
        "like_counted",
        f"INSERT INTO likes (user_id, creation_id) SELECT '{PEOPLE[-1]}', unnest($1::uuid[])",
        "creations",
        CREATIONS,
    ),
    "comments": Case(
        "comment_counted",
        "INSERT INTO comments (user_id, creation_id, content)"
        f" SELECT '{PEOPLE[-1]}', unnest($1::uuid[]), 'Well done'",
        "creations",
        CREATIONS,
    ),
    "likes of comments": Case(
        "comment_like_counted",
        "INSERT INTO comment_likes (user_id, comment_id)"
        f" SELECT '{PEOPLE[-1]}', unnest($1::uuid[])",
        "comments",
        COMMENTS,
    ),
    "follows that end": Case(
        "follow_counted",
        f"DELETE FROM follows WHERE follower_id = '{PEOPLE[-1]}' AND following_id = ANY ($1)",
        "profiles",
        PEOPLE[:ROWS],
    ),
}


@pytest.fixture(scope="module")
async def crowd(world: World) -> None:
    """Add people and what they made, the highest id first, and one who follows all of them."""
    for number, person in reversed([*enumerate(PEOPLE)]):
        await world.add_person(person, f"crowd{number}")
    for person, creation, comment in reversed([*zip(PEOPLE, CREATIONS, COMMENTS, strict=False)]):
        await world.add_creation(person, id=creation)
        await world.owner.execute(
            "INSERT INTO comments (id, user_id, creation_id, content) VALUES ($1, $2, $3, 'x')",
            comment,
            person,
            creation,
        )
    for person in reversed(PEOPLE[:ROWS]):
        follow = "INSERT INTO follows (follower_id, following_id) VALUES ($1, $2)"
        await world.owner.execute(follow, PEOPLE[-1], person)


@asynccontextmanager
async def without_its_lock(world: World, function: str) -> AsyncIterator[None]:
    """Have a function count without locking first, for a block."""
    definition = await world.owner.fetchval(f"SELECT pg_get_functiondef('{function}'::regproc)")
    broken, count = re.subn(r"PERFORM FROM [^;]* FOR NO KEY UPDATE;", "NULL;", definition)
    assert count == 1
    await world.owner.execute(broken)
    try:
        yield
    finally:
        await world.owner.execute(definition)


async def locked_before_the_first(world: World, case: Case) -> list[UUID]:
    """Hold the first row, and list those that a statement has locked when it comes to that one."""
    holder, writer, asker = [await asyncpg.connect(world.dsn) for _ in range(3)]
    try:
        await holder.execute("BEGIN")
        await holder.execute(
            f"SELECT FROM {case.table} WHERE id = '{case.ids[0]}' FOR NO KEY UPDATE"
        )
        await writer.execute(AS_THEY_LIE + "BEGIN")
        pid = writer.get_server_pid()
        writing = asyncio.create_task(writer.execute(case.statement, case.ids))
        waits = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1"
        while not await asker.fetchval(waits, pid):
            assert not writing.done(), writing
            await asyncio.sleep(0.005)
        free = await asker.fetch(
            f"SELECT id FROM {case.table} WHERE id = ANY ($1) FOR NO KEY UPDATE SKIP LOCKED",
            case.ids[1:],
        )
        await holder.execute("ROLLBACK")
        await writing
        await writer.execute("ROLLBACK")
    finally:
        for connection in (holder, writer, asker):
            connection.terminate()
    return [each for each in case.ids[1:] if each not in {id_ for (id_,) in free}]


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("name", CASES)
async def test_counters_are_locked_in_the_order_of_their_ids(world: World, name: str) -> None:
    case = CASES[name]
    assert await locked_before_the_first(world, case) == []
    async with without_its_lock(world, case.function):
        assert await locked_before_the_first(world, case) != []
