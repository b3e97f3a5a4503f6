"""The jobs of the database: done once by one node, in steps, and seen by all."""

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

import asyncpg
import pytest

from persistence.database import Database
from persistence.maintenance.store import MaintenanceStore
from persistence.notifications.fanout import FanoutStore
from persistence.notifications.store import NotificationStore
from persistence.query_times import QUERY_TIMES, find_query_name
from persistence.rls import RlsDatabase
from server.domains.social.maintenance import jobs as maintenance
from server.domains.social.maintenance.figures import DatabaseFigures
from server.domains.social.maintenance.jobs import MaintenanceJobs
from server.domains.social.notifications import fanout as fanouts
from server.domains.social.notifications.fanout import NotificationFanout
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.integration.social.world import ADA, BOB, LUMINA, World, populate

ALL_JOBS: Final = {"months", "archive_conversations", "clean_notifications", "analyse", "vacuum"}
DUE: Final = "UPDATE maintenance_jobs SET due_at = now() WHERE job = $1"


@pytest.fixture(scope="module")
async def world(databases: Databases) -> AsyncIterator[World]:
    dsn = databases.create(template=TEMPLATE)
    owner = await asyncpg.connect(dsn)
    world = World(dsn, owner)
    await populate(world)
    yield world
    await owner.close()
    databases.drop(dsn)


@pytest.fixture(scope="module")
async def database(world: World) -> AsyncIterator[Database]:
    async with await Database.open(world.dsn, embedded=True, pool_max=4) as database:
        yield database


@pytest.fixture
async def jobs(database: Database) -> MaintenanceJobs:
    jobs = new_jobs(database)
    await jobs.prepare()
    return jobs


def new_jobs(database: Database) -> MaintenanceJobs:
    notifications = NotificationStore(database, RlsDatabase(database))
    return MaintenanceJobs(MaintenanceStore(database), notifications, archive_after_days=180)


def read_metric(jobs: MaintenanceJobs, name: str) -> dict[str, float]:
    (family,) = [each for each in jobs.collect() if each.name == f"playhall_maintenance_{name}"]
    return {sample.labels["name"]: sample.value for sample in family.samples}


async def do(world: World, jobs: MaintenanceJobs, job: str) -> int:
    """Have a job done now; gives its rows."""
    await world.owner.execute(DUE, job)
    await jobs.run_due()
    assert read_metric(jobs, "failed")[job] == 0
    return int(read_metric(jobs, "rows")[job])


# ------------------------------------------------------------------ whose turn it is


async def test_every_job_of_the_list_is_there_and_waits_for_its_time(
    world: World, jobs: MaintenanceJobs
) -> None:
    rows = await world.owner.fetch("SELECT job, due_at FROM maintenance_jobs")
    assert {job for job, _ in rows} == ALL_JOBS
    await jobs.run_due()
    assert read_metric(jobs, "rows").keys() == {"months"}


async def test_one_node_does_a_job_and_another_one_once_that_has_died(
    world: World, database: Database
) -> None:
    store = MaintenanceStore(database)
    await world.owner.execute(DUE, "analyse")
    lease = await store.claim("analyse", lease_s=3600)
    assert lease is not None
    assert await store.claim("analyse", lease_s=3600) is None
    await world.owner.execute("UPDATE maintenance_jobs SET leased_until = now() - interval '1 s'")
    taken = await store.claim("analyse", lease_s=3600)
    assert taken is not None
    # Who lost the lease notes nothing.
    await store.finish("analyse", lease, rows=9, error=None, due_in_s=60)
    await store.finish("analyse", taken, rows=7, error=None, due_in_s=60)
    (run,) = [each for each in await store.list_jobs() if each.job == "analyse"]
    assert run.row_count == 7


async def test_a_job_that_fails_is_seen_and_keeps_no_other_from_its_turn(
    world: World, jobs: MaintenanceJobs, caplog: pytest.LogCaptureFixture
) -> None:
    await world.owner.execute(
        "UPDATE maintenance_jobs SET due_at = now()"
        " WHERE job IN ('archive_conversations', 'analyse')"
    )
    await world.owner.execute(
        "ALTER TABLE luminor_conversations ADD CONSTRAINT broken CHECK (NOT is_archived) NOT VALID"
    )
    await add_conversation(world, days=400)
    try:
        await jobs.run_due()
    finally:
        await world.owner.execute("ALTER TABLE luminor_conversations DROP CONSTRAINT broken")
    failed = read_metric(jobs, "failed")
    assert (failed["archive_conversations"], failed["analyse"]) == (1, 0)
    assert "archive_conversations failed" in caplog.text
    wait = "SELECT due_at < now() + interval '11 minutes' FROM maintenance_jobs WHERE job = $1"
    assert await world.owner.fetchval(wait, "archive_conversations")
    assert await do(world, jobs, "archive_conversations") == 1


# ------------------------------------------------------------------ what they do


async def add_conversation(world: World, *, days: int, said: bool = True) -> str:
    conversation = await world.owner.fetchval(
        "INSERT INTO luminor_conversations (user_id, luminor_id, session_id, created_at)"
        " VALUES ($1, $2, gen_random_uuid()::text, now() - make_interval(days => $3))"
        " RETURNING id",
        ADA,
        LUMINA,
        days,
    )
    if said:
        await world.owner.execute(
            "INSERT INTO luminor_messages (user_id, conversation_id, role, content, created_at)"
            " VALUES ($1, $2, 'user', 'Hello', now() - make_interval(days => $3))",
            ADA,
            conversation,
            days,
        )
    return str(conversation)


async def test_old_conversations_are_archived_in_steps_and_can_be_taken_up_again(
    world: World, jobs: MaintenanceJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "ROWS_AT_ONCE", 2)
    monkeypatch.setattr(maintenance, "BATCHES_MAX", 2)
    old = [await add_conversation(world, days=200, said=number % 2 == 0) for number in range(5)]
    recent = await add_conversation(world, days=100)
    assert await do(world, jobs, "archive_conversations") == 4
    # It ended at its bound, so it is due again soon, and goes on where it was.
    soon = "SELECT due_at < now() + interval '2 minutes' FROM maintenance_jobs WHERE job = $1"
    assert await world.owner.fetchval(soon, "archive_conversations")
    assert await do(world, jobs, "archive_conversations") == 1
    assert not await world.owner.fetchval(soon, "archive_conversations")
    archived = "SELECT is_archived FROM luminor_conversations WHERE id = $1"
    assert [await world.owner.fetchval(archived, each) for each in old] == [True] * 5
    assert not await world.owner.fetchval(archived, recent)
    async with world.speak_for(ADA) as ada:
        await ada.execute("UPDATE luminor_conversations SET is_active = true WHERE id = $1", old[0])
        assert not await ada.fetchval(archived, old[0])


async def test_expired_notifications_are_cleaned_up(world: World, jobs: MaintenanceJobs) -> None:
    await world.owner.execute("DELETE FROM notifications")
    for days in (-1, 1):
        await world.owner.execute(
            "INSERT INTO notifications (user_id, type, title, expires_at, dedupe_key)"
            " VALUES ($1, 'mention', 'Hello', now() + make_interval(days => $2), $3)",
            ADA,
            days,
            f"clean {days}",
        )
    assert await do(world, jobs, "clean_notifications") == 1
    keys = "SELECT array_agg(dedupe_key) FROM notification_keys WHERE dedupe_key LIKE 'clean%'"
    assert await world.owner.fetchval(keys) == ["clean 1"]


async def test_tables_are_analysed_by_a_login_that_does_not_own_them(
    world: World, jobs: MaintenanceJobs
) -> None:
    read = "SELECT count(*) FROM pg_stat_user_tables WHERE relname = 'likes' AND analyze_count > 0"
    before = await world.owner.fetchval("SELECT count(*) FROM maintained_tables()")
    assert await do(world, jobs, "analyse") == before
    await world.owner.execute("SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot()")
    assert await world.owner.fetchval(read) == 1


async def test_tables_are_vacuumed_where_the_login_may_and_reported_once_where_not(
    world: World, jobs: MaintenanceJobs, caplog: pytest.LogCaptureFixture
) -> None:
    leaves = "SELECT count(*) FROM maintained_tables() WHERE NOT is_parent"
    tables = await world.owner.fetchval(leaves)
    if world.owner.get_server_version().major >= 17:
        names = await world.owner.fetch("SELECT relation::text AS name FROM maintained_tables()")
        for each in names:
            await world.owner.execute(f"GRANT MAINTAIN ON {each['name']} TO playhall_server")
        assert await do(world, jobs, "vacuum") == tables
        assert jobs.not_vacuumed == 0
        await world.owner.execute("REVOKE MAINTAIN ON likes, follows FROM playhall_server")
        refused = 2
    else:
        refused = tables
    caplog.set_level(logging.WARNING)
    for _ in range(2):
        assert await do(world, jobs, "vacuum") == tables - refused
    assert jobs.not_vacuumed == refused
    assert caplog.text.count("are left to autovacuum") == 1
    assert "likes" in caplog.text


async def test_months_are_made_ahead_and_give_way_to_people(
    world: World, jobs: MaintenanceJobs
) -> None:
    now = datetime.now(UTC)
    last = f"months.notifications_{now:%Y%m}"
    await world.owner.execute(f"DROP TABLE {last}")
    await world.owner.execute(
        "INSERT INTO notifications (user_id, type, title) VALUES ($1, 'mention', 'Late')", ADA
    )
    other = await asyncpg.connect(world.dsn)
    writing = other.transaction()
    await writing.start()
    await other.execute(
        "INSERT INTO notifications (user_id, type, title) VALUES ($1, 'mention', 'Later')", ADA
    )
    await world.owner.execute(DUE, "months")
    await jobs.run_due()
    assert read_metric(jobs, "failed")["months"] == 1
    assert jobs.late_rows == 1
    await writing.commit()
    await other.close()
    assert await do(world, jobs, "months") == 1
    assert jobs.late_rows == 0
    places = "SELECT DISTINCT tableoid::regclass::text FROM notifications WHERE title LIKE 'Late%'"
    assert [name for (name,) in await world.owner.fetch(places)] == [last]


# ------------------------------------------------------------------ figures


async def test_sizes_of_tables_count_their_partitions(world: World, database: Database) -> None:
    figures = DatabaseFigures(MaintenanceStore(database))
    await figures.look()
    (sizes,) = [each for each in figures.collect() if each.name == "playhall_table_bytes"]
    found = {sample.labels["table"]: sample.value for sample in sizes.samples}
    assert 0 < len(found) <= 50
    total = await world.owner.fetchval(
        "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class"
        " WHERE relnamespace = 'months'::regnamespace AND relkind = 'r'"
        " AND relname LIKE 'luminor_messages%'"
    )
    assert found["luminor_messages"] == total
    assert not [name for name in found if name.startswith("months.")]


async def test_a_slow_query_is_counted_by_name_and_never_by_what_it_was_given(
    database: Database,
) -> None:
    async with database.acquire() as connection:
        await connection.fetchval("SELECT pg_sleep(0.12), $1::text", "a secret")
        await connection.fetchval("SELECT 1")
    assert QUERY_TIMES.read()["other"][0.1] >= 1
    assert QUERY_TIMES.read().keys() <= {"other"} | {
        name for name in QUERY_TIMES.read() if "." in name
    }
    assert "secret" not in repr(QUERY_TIMES.read())
    from persistence.maintenance.store import SQL

    assert find_query_name(SQL["list_jobs"]) == "maintenance/store.list_jobs"


async def test_the_use_of_the_pool_is_counted(database: Database) -> None:
    before = database.pool_use()
    async with database.acquire():
        assert database.pool_use().used == before.used + 1
    after = database.pool_use()
    assert (after.used, after.loans, after.size_max) == (before.used, before.loans + 1, 4)
    assert after.wait_s >= before.wait_s


# ------------------------------------------------------------------ fan-outs that fail


async def test_a_fanout_that_always_fails_keeps_no_other_from_its_turn(
    world: World, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.owner.execute("DELETE FROM notifications; DELETE FROM notification_fanouts")
    await world.owner.execute(
        "INSERT INTO follows (follower_id, following_id, notify_creations) VALUES ($1, $2, true)",
        BOB,
        ADA,
    )
    store = FanoutStore(database)
    fanout = NotificationFanout(store, batch_people=10)
    bad, good = [await world.add_creation(ADA, title) for title in ("Bad", "Good")]
    for creation in (bad, good):
        await store.begin_creation(str(creation))
    await world.owner.execute(
        "ALTER TABLE notifications ADD CONSTRAINT broken CHECK (message <> 'Bad') NOT VALID"
    )
    told = "SELECT array_agg(message) FROM notifications WHERE type = 'creation_published'"

    await fanout.notify_all()
    assert await world.owner.fetchval(told) == ["Good"]
    assert fanout.failed_total == 1
    # It rests, so it is not tried in each sweep.
    await fanout.notify_all()
    assert fanout.failed_total == 1
    assert (fanout.counted.open, fanout.counted.failing, fanout.counted.parked) == (1, 1, 0)

    for _ in range(fanouts.ATTEMPTS_MAX):
        await world.owner.execute("UPDATE notification_fanouts SET next_attempt_at = now()")
        await fanout.notify_all()
    await fanout.notify_all()
    assert fanout.failed_total == fanouts.ATTEMPTS_MAX
    assert (fanout.counted.open, fanout.counted.parked) == (0, 1)
    (parked,) = await store.list_parked(limit=10)
    assert (parked.creation_id, parked.attempts) == (str(bad), fanouts.ATTEMPTS_MAX)
    assert "broken" in (parked.last_error or "")

    # An operator corrects what was wrong, and has it tried again.
    await world.owner.execute("ALTER TABLE notifications DROP CONSTRAINT broken")
    assert await store.retry_parked(parked.id) == 1
    await fanout.notify_all()
    assert await world.owner.fetchval(told) == ["Good", "Bad"]
    assert await store.list_parked(limit=10) == []
