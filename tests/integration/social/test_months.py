"""Messages and notifications are partitioned by month, and no promise is lost by that."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

import asyncpg
import pytest

from persistence.companions.store import SQL as COMPANION_SQL
from tests.integration.social.world import ADA, BOB, LUMINA, WRONG_COUNTERS, World

# No month has a partition then, unless a test makes it.
LATE: Final = datetime(2031, 5, 17, tzinfo=UTC)
WAITS: Final = """
    SELECT EXISTS (SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock')
"""
PLACE: Final = "SELECT tableoid::regclass::text FROM {} WHERE id = $1"


def time_id(at: datetime) -> UUID:
    """Make a UUIDv7 of a moment, as `new_time_id()` does of now."""
    number = (int(at.timestamp() * 1000) << 80) | (uuid4().int & ((1 << 80) - 1))
    number &= ~(0xF << 76) & ~(0x3 << 62)
    return UUID(int=number | (7 << 76) | (2 << 62))


async def add_conversation(world: World, at: datetime | None = None) -> UUID:
    return await world.owner.fetchval(
        "INSERT INTO luminor_conversations (id, user_id, luminor_id, session_id)"
        " VALUES (coalesce($1, new_time_id()), $2, $3, $4) RETURNING id",
        at and time_id(at),
        ADA,
        LUMINA,
        str(uuid4()),
    )


async def add_message(
    world: World, conversation: UUID, role: str = "user", **columns: object
) -> UUID:
    row = {"user_id": ADA, "conversation_id": conversation, "role": role, "content": "Hello"}
    row |= columns
    places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
    return await world.owner.fetchval(
        f"INSERT INTO luminor_messages ({', '.join(row)}) VALUES ({places}) RETURNING id",
        *row.values(),
    )


async def add_notification(world: World, at: datetime, key: str | None = None) -> UUID | None:
    return await world.owner.fetchval(
        "INSERT INTO notifications (user_id, type, title, created_at, dedupe_key)"
        " VALUES ($1, 'mention', 'Hello', $2, $3) RETURNING id",
        BOB,
        at,
        key,
    )


# ------------------------------------------------------------------ where rows are


async def test_what_is_new_is_in_the_partition_of_this_month(world: World) -> None:
    now = datetime.now(UTC)
    message = await add_message(world, await add_conversation(world))
    place = await world.owner.fetchval(PLACE.format("luminor_messages"), message)
    assert place == f"months.luminor_messages_{now:%Y%m}"
    notification = await add_notification(world, now)
    place = await world.owner.fetchval(PLACE.format("notifications"), notification)
    assert place == f"months.notifications_{now:%Y%m}"


async def test_a_conversation_is_read_from_one_partition(world: World) -> None:
    conversation = await add_conversation(world)
    await add_message(world, conversation)
    async with world.owner.transaction():
        await world.owner.execute(f"PREPARE asked AS {COMPANION_SQL['list_messages']}")
        plan = await world.owner.fetch(f"EXPLAIN EXECUTE asked('{conversation}', NULL, NULL, 10)")
        await world.owner.execute("DEALLOCATE asked")
    parts = {name for (line,) in plan for name in re.findall(r" on (luminor_messages_\w+)", line)}
    assert parts == {f"luminor_messages_{datetime.now(UTC):%Y%m}"}


async def test_a_month_without_a_partition_takes_rows_and_gets_them_once_it_is_made(
    world: World,
) -> None:
    conversation = await add_conversation(world, LATE)
    said = await add_message(world, conversation, request_id="once")
    answer = await add_message(world, conversation, "assistant", reply_to=said)
    await world.owner.execute("UPDATE luminor_messages SET user_rating = 4 WHERE id = $1", answer)
    memory = await world.owner.fetchval(
        "INSERT INTO luminor_memories"
        " (user_id, luminor_id, memory_type, content, source_message_id)"
        " VALUES ($1, $2, 'fact', 'says hello', $3) RETURNING id",
        ADA,
        LUMINA,
        said,
    )
    notification = await add_notification(world, LATE, "late")
    for table, row in (("luminor_messages", said), ("notifications", notification)):
        assert await world.owner.fetchval(PLACE.format(table), row) == f"months.{table}_other"
    assert await world.owner.fetchval("SELECT months_late()") >= 3

    assert await world.owner.fetchval("SELECT months_make($1, $1)", LATE.date()) == 2
    assert await world.owner.fetchval("SELECT months_make($1, $1)", LATE.date()) == 0

    for table, row in (
        ("luminor_messages", said),
        ("luminor_messages", answer),
        ("notifications", notification),
    ):
        assert await world.owner.fetchval(PLACE.format(table), row) == f"months.{table}_203105"
    assert await world.owner.fetchval("SELECT months_late()") == 0
    assert await world.owner.fetch(WRONG_COUNTERS) == []
    source = "SELECT source_message_id FROM luminor_memories WHERE id = $1"
    assert await world.owner.fetchval(source, memory) == said
    with pytest.raises(asyncpg.UniqueViolationError, match="request_id"):
        await add_message(world, conversation, request_id="once")
    assert await add_notification(world, datetime.now(UTC), "late") is None
    # Triggers are there as before: what refers to a message goes with it.
    await world.owner.execute("DELETE FROM luminor_messages WHERE id = $1", said)
    assert await world.owner.fetchval(source, memory) is None
    assert await world.owner.fetch(WRONG_COUNTERS) == []


async def test_only_old_months_that_hold_nothing_are_dropped(world: World) -> None:
    old = datetime(2020, 1, 1, tzinfo=UTC)
    await world.owner.fetchval("SELECT months_make($1, $2)", old, datetime(2020, 3, 1, tzinfo=UTC))
    await add_notification(world, old + timedelta(days=40))
    await add_conversation(world, old + timedelta(days=70))  # without a message yet
    assert await world.owner.fetchval("SELECT months_drop_empty(current_date)") == 4
    left = await world.owner.fetch(
        "SELECT relname::text FROM pg_class WHERE relnamespace = 'months'::regnamespace"
        " AND relkind = 'r' AND relname LIKE '%\\_2020%' ORDER BY 1"
    )
    assert [name for (name,) in left] == ["luminor_messages_202003", "notifications_202002"]
    # Not even the wrong day drops a month that may still be written to.
    assert await world.owner.fetchval("SELECT months_drop_empty('2999-01-01')") == 0


async def test_partitions_are_closed_and_under_row_level_security(world: World) -> None:
    rows = await world.owner.fetch(
        """
        SELECT relname::text, relrowsecurity AND relforcerowsecurity AS is_secure,
            obj_description(oid, 'pg_class') AS meaning,
            has_table_privilege('authenticated', oid, 'SELECT')
                OR has_table_privilege('anon', oid, 'SELECT')
                OR has_table_privilege('service_role', oid, 'SELECT')
                OR has_table_privilege('playhall_server', oid, 'SELECT') AS is_open
        FROM pg_class WHERE relnamespace = 'months'::regnamespace AND relkind = 'r'
        """
    )
    assert len(rows) >= 8
    for name, is_secure, meaning, is_open in rows:
        assert (is_secure, is_open) == (True, False), name
        assert meaning, name


# ------------------------------------------------------------------ promises


async def test_an_id_that_a_person_chose_is_used_once_in_all_conversations(world: World) -> None:
    first, second = await add_conversation(world), await add_conversation(world, LATE)
    chosen = uuid4()
    add = (
        "INSERT INTO luminor_messages (id, user_id, conversation_id, role, content)"
        " VALUES ($1, $2, $3, 'user', 'Hello')"
    )

    async def say(conversation: UUID) -> None:
        connection = await asyncpg.connect(world.dsn)
        try:
            async with world.speak_for(ADA, connection=connection, keep=True):
                await connection.execute(add, chosen, ADA, conversation)
        finally:
            await connection.close()

    said = await asyncio.gather(say(first), say(second), return_exceptions=True)
    assert sorted(type(each).__name__ for each in said) == ["NoneType", "UniqueViolationError"]


async def test_an_answer_is_to_a_message_of_its_conversation(world: World) -> None:
    first, second = await add_conversation(world), await add_conversation(world)
    said = await add_message(world, first)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await add_message(world, second, "assistant", reply_to=said)
    await add_message(world, first, "assistant", reply_to=said)
    with pytest.raises(asyncpg.UniqueViolationError, match="reply_to"):
        await add_message(world, first, "assistant", reply_to=said)


@pytest.mark.parametrize(
    "add",
    [
        "INSERT INTO luminor_memories (user_id, luminor_id, memory_type, content,"
        " source_message_id) VALUES ($1, $2, 'fact', 'says hello', $3)",
        "INSERT INTO reports (reporter_id, details, message_id, reason)"
        " VALUES ($1, $2::uuid::text, $3, 'other')",
    ],
)
async def test_what_refers_to_a_message_is_never_left_without_it(world: World, add: str) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await world.owner.execute(add, ADA, LUMINA, uuid4())
    said = await add_message(world, await add_conversation(world))
    other = await asyncpg.connect(world.dsn)
    referring = other.transaction()
    await referring.start()
    await other.execute(add, ADA, LUMINA, said)
    gone = asyncio.create_task(
        world.owner.execute("DELETE FROM luminor_messages WHERE id = $1", said)
    )
    while not await other.fetchval(WAITS):
        await asyncio.sleep(0.01)
    await referring.commit()
    await gone
    await other.close()
    left = "SELECT (SELECT count(*) FROM luminor_memories WHERE source_message_id = $1)"
    left += " + (SELECT count(*) FROM reports WHERE message_id = $1)"
    assert await world.owner.fetchval(left, said) == 0


async def test_a_person_is_told_a_thing_once_in_all_months(world: World) -> None:
    now = datetime.now(UTC)
    notification = await add_notification(world, now - timedelta(days=33), "a thing")
    assert notification
    assert await add_notification(world, now, "a thing") is None
    # A key lasts as long as its notification, and moves with it.
    key = "SELECT user_id FROM notification_keys WHERE dedupe_key = 'a thing'"
    await world.owner.execute(
        "UPDATE notifications SET user_id = $2 WHERE id = $1", notification, ADA
    )
    assert await world.owner.fetchval(key) == ADA
    await world.owner.execute("DELETE FROM notifications WHERE id = $1", notification)
    assert await world.owner.fetchval(key) is None
    assert await add_notification(world, now, "a thing")


async def test_two_who_tell_at_once_tell_once(world: World) -> None:
    now = datetime.now(UTC)
    one, two = [await asyncpg.connect(world.dsn) for _ in range(2)]
    tell = (
        "INSERT INTO notifications (user_id, type, title, created_at, dedupe_key)"
        " VALUES ($1, 'mention', 'Hello', $2, 'at once') RETURNING id"
    )
    telling = one.transaction()
    await telling.start()
    assert await one.fetchval(tell, BOB, now)
    second = asyncio.create_task(two.fetchval(tell, BOB, now - timedelta(days=33)))
    while not await one.fetchval(WAITS):
        await asyncio.sleep(0.01)
    await telling.commit()
    assert await second is None
    for connection in (one, two):
        await connection.close()
