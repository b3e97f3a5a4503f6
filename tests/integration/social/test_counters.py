"""Counters equal their rows, whatever happens at the same time, and nobody deadlocks."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.integration.social.world import LUMINA, WRONG_COUNTERS, World

WORKERS: Final = 12
STEPS: Final = 60
# What one of two may get who do the same thing. Nobody may get anything else, such as a deadlock.
LOST_RACES: Final = (asyncpg.UniqueViolationError, asyncpg.ForeignKeyViolationError)


async def run_at_once(
    world: World, step: Callable[[asyncpg.Connection, random.Random], Awaitable[object]]
) -> None:
    async def work(number: int) -> None:
        chance = random.Random(number)
        connection = await asyncpg.connect(world.dsn)
        try:
            for _ in range(STEPS):
                try:
                    async with connection.transaction():
                        await step(connection, chance)
                except LOST_RACES:
                    pass
        finally:
            await connection.close()

    async with asyncio.TaskGroup() as group:
        for number in range(WORKERS):
            group.create_task(work(number))


@pytest.fixture(scope="module")
async def people(world: World) -> list[UUID]:
    people = [uuid4() for _ in range(6)]
    for number, person in enumerate(people):
        await world.add_person(person, f"person{number}")
    return people


async def test_likes_comments_and_follows_at_once(world: World, people: list[UUID]) -> None:
    creations = [await world.add_creation(person) for person in people[:4]]
    roots = [await world.add_comment(people[0], creation) for creation in creations]
    spare = [uuid4() for _ in range(WORKERS)]
    for number, person in enumerate(spare):
        await world.add_person(person, f"spare{number}")
    many: dict[asyncpg.Connection, UUID] = {}

    async def step(connection: asyncpg.Connection, chance: random.Random) -> None:
        person, creation = chance.choice(people), chance.choice(creations)
        match chance.randrange(9):
            case 0 | 1:
                await connection.execute("SELECT toggle_like($1, $2)", person, creation)
            case 2:  # many rows in one statement, in any order; each worker as another person
                await connection.execute(
                    "INSERT INTO likes (user_id, creation_id)"
                    " SELECT $1, c FROM unnest($2::uuid[]) c ON CONFLICT DO NOTHING",
                    many.setdefault(connection, spare[len(many) % WORKERS]),
                    chance.sample(creations, 3),
                )
            case 3:
                await connection.execute(
                    "SELECT set_like($1, $2, $3)", person, creation, chance.random() < 0.5
                )
            case 4:
                await connection.execute("SELECT follow_user($1, $2)", *chance.sample(people, 2))
            case 5:
                await connection.execute("SELECT unfollow_user($1, $2)", *chance.sample(people, 2))
            case 6:
                await connection.execute(
                    "INSERT INTO comments (user_id, creation_id, content, parent_comment_id)"
                    " SELECT $1, creation_id, 'x', id FROM comments WHERE id = $2",
                    person,
                    chance.choice(roots),
                )
            case 7:
                await connection.execute(
                    "SELECT delete_comment(id, user_id) FROM comments WHERE user_id = $1"
                    " AND parent_comment_id IS NOT NULL ORDER BY random() LIMIT 1",
                    person,
                )
            case 8:
                await connection.execute(
                    "INSERT INTO comment_likes VALUES ($1, $2)", person, chance.choice(roots)
                )

    await run_at_once(world, step)
    assert await world.owner.fetch(WRONG_COUNTERS) == []
    assert await world.owner.fetchval("SELECT sum(like_count) FROM creations") > 0


async def test_storm_of_likes_on_one_creation(world: World, people: list[UUID]) -> None:
    creation = await world.add_creation(people[0])

    async def step(connection: asyncpg.Connection, chance: random.Random) -> None:
        await connection.execute("SELECT toggle_like($1, $2)", chance.choice(people), creation)

    await run_at_once(world, step)
    assert await world.owner.fetch(WRONG_COUNTERS) == []


async def test_publishing_archiving_remixing_and_deleting_at_once(
    world: World, people: list[UUID]
) -> None:
    originals = [await world.add_creation(person, allow_remix=True) for person in people[:3]]

    async def step(connection: asyncpg.Connection, chance: random.Random) -> None:
        person = chance.choice(people)
        own = (
            "(SELECT id FROM creations WHERE user_id = $1 AND id <> ALL ($2)"
            " ORDER BY random() LIMIT 1)"
        )
        any_one = "(SELECT id FROM creations WHERE id <> ALL ($2) ORDER BY random() LIMIT 1)"
        match chance.randrange(6):
            case 4:
                await connection.execute(f"SELECT toggle_like($1, {any_one})", person, originals)
            case 5:
                await connection.execute(
                    "INSERT INTO comments (user_id, creation_id, content)"
                    f" SELECT $1, id, 'x' FROM {any_one} c",
                    person,
                    originals,
                )
            case 0:
                await connection.execute(
                    "INSERT INTO creations (user_id, title, type, status, is_public, remix_of)"
                    " VALUES ($1, 'x', 'text', 'published', true, $2)",
                    person,
                    chance.choice(originals),
                )
            case 1:
                await connection.execute(
                    f"UPDATE creations SET status = 'archived' WHERE id = {own}", person, originals
                )
            case 2:
                await connection.execute(
                    f"UPDATE creations SET status = 'published' WHERE id = {own}", person, originals
                )
            case 3:
                await connection.execute(
                    f"DELETE FROM creations WHERE id = {own}", person, originals
                )

    await run_at_once(world, step)
    assert await world.owner.fetch(WRONG_COUNTERS) == []


async def test_follows_and_blocks_at_once_leave_no_follow_between_the_blocked(
    world: World, people: list[UUID]
) -> None:
    async def step(connection: asyncpg.Connection, chance: random.Random) -> None:
        one, other = chance.sample(people[:3], 2)
        match chance.randrange(4):
            case 3:
                await connection.execute("SELECT unfollow_user($1, $2)", one, other)
            case 0:
                await connection.execute("SELECT follow_user($1, $2)", one, other)
            case 1:
                await connection.execute("INSERT INTO blocks VALUES ($1, $2)", one, other)
            case 2:
                await connection.execute("DELETE FROM blocks WHERE blocker_id = $1", one)

    await run_at_once(world, step)
    assert await world.owner.fetch(WRONG_COUNTERS) == []
    both = await world.owner.fetch(
        "SELECT FROM follows f JOIN blocks b ON (b.blocker_id, b.blocked_id)"
        " IN ((f.follower_id, f.following_id), (f.following_id, f.follower_id))"
    )
    assert both == []
    await world.owner.execute("DELETE FROM blocks WHERE blocker_id = ANY ($1)", people)


async def test_messages_at_once_earn_no_more_than_the_day_allows(
    world: World, people: list[UUID]
) -> None:
    talks = {
        person: await world.owner.fetchval(
            "SELECT get_or_create_conversation($1, $2)", person, LUMINA
        )
        for person in people[:2]
    }

    async def step(connection: asyncpg.Connection, chance: random.Random) -> None:
        person = chance.choice(people[:2])
        await connection.execute(
            "SELECT add_message_to_conversation($1, $2, 'user', 'x')", talks[person], person
        )

    before = await world.owner.fetchval(
        "SELECT interaction_count FROM luminors WHERE id = $1", LUMINA
    )
    await run_at_once(world, step)
    bonds = await world.owner.fetch(
        "SELECT bond_level, bond_xp, xp_of_day FROM luminor_relationships"
    )
    assert {tuple(bond) for bond in bonds} == {(2, 200, 300)}
    after = await world.owner.fetchval(
        "SELECT interaction_count FROM luminors WHERE id = $1", LUMINA
    )
    assert after - before == WORKERS * STEPS
    assert await world.owner.fetch(WRONG_COUNTERS) == []


async def test_people_are_erased_while_others_like_and_follow_them(
    world: World, people: list[UUID]
) -> None:
    leaving = [uuid4() for _ in range(8)]
    for number, person in enumerate(leaving):
        await world.add_person(person, f"leaving{number}")
        await world.add_creation(person)
    everybody = people + leaving
    creations = [row["id"] for row in await world.owner.fetch("SELECT id FROM creations")]
    for person in leaving:
        await world.owner.execute(
            "INSERT INTO likes (user_id, creation_id) SELECT $1, id FROM creations"
            " WHERE status = 'published' AND is_public AND removed_at IS NULL",
            person,
        )
        await world.owner.execute(
            "INSERT INTO follows (follower_id, following_id) SELECT $1, p FROM unnest($2::uuid[]) p"
            " WHERE p <> $1",
            person,
            everybody,
        )
    gone = iter(leaving)

    async def step(connection: asyncpg.Connection, chance: random.Random) -> None:
        if chance.random() < 0.05 and (person := next(gone, None)):
            await connection.execute("SELECT playhall_auth.erase_person($1)", person)
        elif chance.random() < 0.5:
            await connection.execute(
                "SELECT toggle_like($1, $2)", chance.choice(people), chance.choice(creations)
            )
        else:
            one, other = chance.choice(people), chance.choice(everybody)
            name = chance.choice(("follow", "unfollow"))
            if one != other:
                await connection.execute(f"SELECT {name}_user($1, $2)", one, other)

    await run_at_once(world, step)
    left = await world.owner.fetchval("SELECT count(*) FROM profiles WHERE id = ANY ($1)", leaving)
    assert left < len(leaving)
    assert await world.owner.fetch(WRONG_COUNTERS) == []
