"""Counters and bonds of companions are right whatever happens at once, and are repaired."""

import asyncio
import contextlib
import random
from uuid import UUID, uuid4

import asyncpg
import pytest

from persistence.database import Database
from persistence.social.verification import SocialVerification
from protocol import companions as wire
from protocol.errors import PlayhallError
from protocol.ids import UserId, new_id
from server.domains.social.companions.facts import find_facts
from tests.integration.companions.conftest import Companions, requester_of
from tests.integration.social.world import LUMINA, WRONG_COUNTERS, World

WORKERS = 8
STEPS = 25
# What one of two may get who do the same thing. Nobody may get anything else, such as a deadlock.
LOST_RACES = (
    *(PlayhallError, asyncpg.UniqueViolationError, asyncpg.ForeignKeyViolationError),
    asyncpg.DeadlockDetectedError,  # with an erasure, which the server repeats
)


async def differences(world: World, *, repair: bool = False) -> list[tuple[str, str, int, int]]:
    async with await Database.open(world.dsn, embedded=True) as database:
        return [
            (each.table, each.counter, each.stored, each.counted)
            async for checked in SocialVerification(database).check_counters(repair=repair)
            for each in checked.differences
        ]


class Talk:
    """What somebody does with a companion, one thing at a time."""

    def __init__(self, companions: Companions, world: World, people: list[UUID]) -> None:
        self._store = companions.store
        self._world = world
        self._people = people
        self._leaving = iter(people[2:])
        self.said = 0

    async def step(self, connection: asyncpg.Connection, chance: random.Random) -> None:
        person = chance.choice(self._people)
        who = requester_of(person)
        talk = await self._store.start_conversation(who, str(LUMINA), str(chance.randrange(2)))
        match chance.randrange(10):
            case 0:
                await self._store.delete_conversation(who, talk.conversation_id)
            case 1:
                fields = wire.MemoryRequest(content=new_id())
                added = await self._store.add_memory(who, str(LUMINA), fields)
                if chance.random() < 0.5:
                    await self._store.delete_memory(who, added.memory_id)
            case 2 | 3 | 4:
                answers = await connection.fetch(
                    "SELECT id FROM luminor_messages WHERE user_id = $1 AND role = 'assistant'"
                    " ORDER BY random() LIMIT 3",
                    person,
                )
                for row in answers:
                    stars = chance.choice((None, 1, 5))
                    rating = wire.RatingRequest(user_rating=stars)
                    await self._store.rate_message(who, str(row["id"]), rating)
            case 5 if chance.random() < 0.4 and (gone := next(self._leaving, None)):
                await connection.execute("SELECT playhall_auth.erase_person($1)", gone)
            case _:
                text = f"I live in town {chance.randrange(5)}."
                asked = wire.MessageRequest(text=text, request_id=new_id())
                said = await self._store.say(
                    UserId(str(person)),
                    talk,
                    asked,
                    model="test",
                    messages_max=10_000,
                    facts=find_facts(text),
                )
                self.said += 1
                await self._store.end_answer(
                    UserId(str(person)),
                    said.answer_id,
                    content="Yes.",
                    status="complete",
                    failure=None,
                    tokens=1,
                    cost=0.0,
                )


async def test_counters_and_bonds_hold_while_people_talk_rate_delete_and_leave(
    offline: Companions, world: World
) -> None:
    people = [uuid4() for _ in range(5)]
    for number, person in enumerate(people):
        await world.add_person(person, f"talker{number}")
    read = "SELECT interaction_count FROM luminors WHERE id = $1"
    before = await world.owner.fetchval(read, LUMINA)
    talk = Talk(offline, world, people)

    async def work(number: int) -> None:
        chance = random.Random(number)
        connection = await asyncpg.connect(world.dsn)
        try:
            for _ in range(STEPS):
                with contextlib.suppress(LOST_RACES):
                    await talk.step(connection, chance)
        finally:
            await connection.close()

    async with asyncio.TaskGroup() as group:
        for number in range(WORKERS):
            group.create_task(work(number))
    assert talk.said > 20
    assert await world.owner.fetchval(read, LUMINA) - before == talk.said
    assert await world.owner.fetch(WRONG_COUNTERS) == []
    assert await differences(world) == []
    left = "SELECT count(*) FROM profiles WHERE id = ANY ($1)"
    assert await world.owner.fetchval(left, people) < len(people)
    one_town = "SELECT count(*) FROM luminor_memories WHERE subject = 'place'"
    in_use = f"{one_town} AND superseded_at IS NULL"
    assert await world.owner.fetchval(in_use) <= await world.owner.fetchval(
        "SELECT count(*) FROM luminor_relationships"
    )


@pytest.mark.parametrize(
    ("spoil", "counter"),
    [
        ("UPDATE luminors SET interaction_count = 0 WHERE id = $1", "interaction_count"),
        ("UPDATE luminors SET user_count = 99 WHERE id = $1", "user_count"),
        ("UPDATE luminors SET rating_count = 7 WHERE id = $1", "rating_count"),
        ("UPDATE luminors SET rating_sum = 70 WHERE id = $1", "rating_sum"),
        ("UPDATE luminors SET average_rating = 1.25 WHERE id = $1", "average_rating_thousandths"),
        (
            "UPDATE luminor_relationships SET total_interactions = 0 WHERE luminor_id = $1",
            "total_interactions",
        ),
        ("UPDATE luminor_relationships SET bond_xp = 9000 WHERE luminor_id = $1", "bond_xp"),
        (
            "UPDATE luminor_relationships SET key_memories = '[]' WHERE luminor_id = $1",
            "key_memories",
        ),
    ],
)
async def test_what_is_wrong_is_found_and_repaired(
    offline: Companions, world: World, spoil: str, counter: str
) -> None:
    person = uuid4()
    await world.add_person(person, f"p{person.hex[:12]}")
    place = await offline.start(person)
    heard = await offline.say(person, place, "I live in Oslo.")
    path = f"/v1/companion-messages/{heard.message['message_id']}/rating"
    await offline.good(person, "PUT", path, {"user_rating": 5})
    assert await differences(world) == []
    await world.owner.execute(spoil, LUMINA)
    found = await differences(world)
    assert counter in {name for _, name, _, _ in found}
    await differences(world, repair=True)
    assert await differences(world) == []
    assert await world.owner.fetch(WRONG_COUNTERS) == []
