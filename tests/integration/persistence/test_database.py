"""The database as the server meets it: shapes of values, refusals, failures in words."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import asyncpg
import pytest

from persistence.database import Connection, Database
from persistence.embedded import SETTINGS, EmbeddedPostgres
from persistence.errors import NotMigrated, StartRefused, UnsafeDatabase
from persistence.queries import NamedQueries, load_queries
from protocol.errors import Overloaded, Unavailable


@pytest.fixture
async def login(fresh_dsn: str) -> AsyncIterator[str]:
    """A login that may do nothing yet."""
    name = f"login_{uuid4().hex}"
    await _execute(fresh_dsn, f"CREATE ROLE {name} LOGIN")
    yield name
    await _execute(fresh_dsn, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


async def test_ids_come_back_as_lowercase_text(database: Database) -> None:
    mixed = "0B54D0B8-5d5e-4a8e-9a60-3f1a0f6d6a55"
    async with database.acquire() as connection:
        row = await connection.fetchrow(
            "SELECT $1::uuid AS one, $2::uuid[] AS many", mixed, [mixed]
        )
    assert row is not None
    assert tuple(row) == (mixed.lower(), [mixed.lower()])


async def test_json_goes_in_and_out_as_bytes(database: Database) -> None:
    sent = [b'{"_v": 1}', b"[]"]
    async with database.acquire() as connection:
        row = await connection.fetchrow(
            "SELECT $1::jsonb AS one, $2::jsonb[] AS many", sent[0], sent
        )
    assert row is not None
    assert tuple(row) == (sent[0], sent)


async def test_times_are_aware(database: Database) -> None:
    at = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
    async with database.acquire() as connection:
        assert at == await connection.fetchval("SELECT timestamptz '2026-11-20 13:30+01'")


async def test_connections_work_as_the_servers_role_and_in_bounds(database: Database) -> None:
    expected = ("playhall_server", "UTC", "15s", "5s", "30s")
    settings = """
        SELECT current_user::text,
            current_setting('timezone'),
            current_setting('statement_timeout'),
            current_setting('lock_timeout'),
            current_setting('idle_in_transaction_session_timeout')
    """
    async with database.acquire() as connection:
        assert tuple(await connection.fetchrow(settings) or ()) == expected
    single = await database.open_unpooled_connection()
    try:
        assert tuple(await single.fetchrow(settings) or ()) == expected
        made = await single.fetchval("SELECT gen_random_uuid()")
        assert str(UUID(made)) == made
    finally:
        await single.close()


async def test_a_failed_block_leaves_nothing_behind(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as connection:
            await _add_node(connection, "n1")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await _count_nodes(database) == 0


async def test_a_finished_block_is_kept(database: Database) -> None:
    async with database.transaction() as connection:
        await _add_node(connection, "n1")
    assert await _count_nodes(database) == 1


async def test_a_cancelled_block_leaves_nothing_and_stays_cancelled(database: Database) -> None:
    written = asyncio.Event()

    async def hang() -> None:
        async with database.transaction() as connection:
            await _add_node(connection, "n1")
            written.set()
            await asyncio.Event().wait()

    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(hang())
        await written.wait()
        task.cancel()
    assert task.cancelled()
    assert await _count_nodes(database) == 0


async def test_a_session_is_reset_if_the_block_says_so_or_fails(fresh_dsn: str) -> None:
    async def set_timeout(*, changes_session: bool, fails: bool = False) -> None:
        async with database.acquire(changes_session=changes_session) as connection:
            async with connection.transaction():
                await connection.execute("SET LOCAL lock_timeout = '1s'")
            await connection.execute("SET statement_timeout = '7s'")
            if fails:
                raise LookupError

    async def timeouts() -> tuple[str, str]:
        async with database.acquire() as connection:
            return (
                await connection.fetchval("SHOW statement_timeout"),
                await connection.fetchval("SHOW lock_timeout"),
            )

    async with await Database.open(fresh_dsn, embedded=True, pool_max=1) as database:
        await set_timeout(changes_session=True)
        assert await timeouts() == ("15s", "5s")
        with pytest.raises(LookupError):
            await set_timeout(changes_session=False, fails=True)
        assert await timeouts() == ("15s", "5s")
        # Nobody looked: the round trip was saved.
        await set_timeout(changes_session=False)
        assert await timeouts() == ("7s", "5s")
        async with database.acquire(changes_session=True):
            pass
        assert await timeouts() == ("15s", "5s")


async def test_a_locked_row_is_overloaded_not_internal(database: Database) -> None:
    async def wait_for_it() -> None:
        async with database.transaction() as other:
            await other.execute("SET LOCAL lock_timeout = '1ms'")
            await _add_node(other, "n1")

    async with database.transaction() as holder:
        await _add_node(holder, "n1")
        with pytest.raises(Overloaded):
            await wait_for_it()


async def test_a_pool_without_a_free_connection_is_overloaded(
    fresh_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = await Database.open(fresh_dsn, embedded=True, pool_max=1)
    try:
        async with database.acquire():
            monkeypatch.setattr("persistence.database.ACQUIRE_TIMEOUT_S", 0.01)
            with pytest.raises(Overloaded):
                async with database.acquire():
                    pass
    finally:
        await database.close()


async def test_mistakes_of_ours_are_not_called_unavailable(database: Database) -> None:
    with pytest.raises(asyncpg.InterfaceError):
        async with database.acquire() as connection:
            await connection.fetchval("SELECT $1::int")


async def test_a_connection_cut_in_a_block_is_unavailable(
    database: Database, fresh_dsn: str
) -> None:
    async def go_on_after_the_cut() -> None:
        async with database.transaction() as connection:
            await _cut(fresh_dsn, connection.get_server_pid())
            await connection.fetchval("SELECT 1")

    with pytest.raises(Unavailable, match="nothing was changed"):
        await go_on_after_the_cut()
    assert await _count_nodes(database) == 0  # the pool has opened another


async def test_a_connection_cut_before_commit_says_to_look_first(
    database: Database, fresh_dsn: str
) -> None:
    async def finish_after_the_cut() -> None:
        async with database.transaction() as connection:
            await _add_node(connection, "n1")
            await _cut(fresh_dsn, connection.get_server_pid())

    with pytest.raises(Unavailable, match="check whether the command was executed"):
        await finish_after_the_cut()
    assert await _count_nodes(database) == 0


async def test_a_statement_cut_by_itself_says_to_look_first(
    database: Database, fresh_dsn: str
) -> None:
    async def go_on_after_the_cut() -> None:
        async with database.acquire() as connection:
            await _cut(fresh_dsn, connection.get_server_pid())
            await _add_node(connection, "n1")

    with pytest.raises(Unavailable, match="check whether the command was executed"):
        await go_on_after_the_cut()


async def test_an_answer_that_takes_too_long_is_not_called_undone(
    fresh_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persistence.database.COMMAND_TIMEOUT_S", 0.2)
    database = await Database.open(fresh_dsn, embedded=True)

    async def wait_too_long() -> None:
        async with database.acquire() as connection:
            await connection.execute("SELECT pg_sleep(60)")

    with pytest.raises(Unavailable, match="check whether the command was executed"):
        await wait_too_long()
    await database.close()


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        await Database.open(f"postgresql://postgres@/postgres?host={tmp_path}", embedded=True)


async def test_close_cuts_a_connection_that_nobody_returns(
    fresh_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("persistence.database.CLOSE_TIMEOUT_S", 0.01)
    database = await Database.open(fresh_dsn, embedded=True)

    async def go_on_after_close() -> None:
        async with database.acquire() as connection:
            await database.close()
            await connection.fetchval("SELECT 1")

    with pytest.raises(Unavailable):
        await go_on_after_close()


# ------------------------------------------------------------------ refusals at the start


async def test_forgetful_commits_are_refused_unless_allowed(fresh_dsn: str) -> None:
    await _execute(
        fresh_dsn,
        f"ALTER DATABASE {urlsplit(fresh_dsn).path[1:]} SET synchronous_commit = off",
    )
    with pytest.raises(UnsafeDatabase, match="synchronous_commit switched off"):
        await Database.open(fresh_dsn, embedded=True)
    await (await Database.open(fresh_dsn, embedded=True, allow_unsafe=True)).close()


async def test_a_server_that_does_not_flush_is_refused(used_data_dir: Path) -> None:
    server = EmbeddedPostgres(settings={**SETTINGS, "fsync": "off", "full_page_writes": "off"})
    dsn = server.start(used_data_dir)
    try:
        with pytest.raises(UnsafeDatabase, match="fsync and full_page_writes switched off"):
            await Database.open(dsn, embedded=True, role="postgres")
    finally:
        server.stop()


async def test_a_superuser_is_refused_outside_the_bundled_server(fresh_dsn: str) -> None:
    with pytest.raises(UnsafeDatabase, match="The login postgres is a superuser"):
        await Database.open(fresh_dsn, embedded=False)


async def test_the_tables_owner_is_refused(fresh_dsn: str, login: str) -> None:
    await _execute(
        fresh_dsn, f"GRANT playhall_server TO {login}", f"ALTER TABLE game_events OWNER TO {login}"
    )
    with pytest.raises(UnsafeDatabase, match=login):
        await Database.open(_as_login(fresh_dsn, login), embedded=False)


@pytest.mark.parametrize("grant", ["service_role", "postgres"])
async def test_a_login_that_may_be_more_than_the_server_is_refused(
    fresh_dsn: str, login: str, grant: str
) -> None:
    await _execute(fresh_dsn, f"GRANT playhall_server, {grant} TO {login}")
    with pytest.raises(UnsafeDatabase, match="only granted playhall_server"):
        await Database.open(_as_login(fresh_dsn, login), embedded=False)


async def test_a_table_without_row_level_security_is_refused(fresh_dsn: str) -> None:
    await _execute(fresh_dsn, "ALTER TABLE matches NO FORCE ROW LEVEL SECURITY")
    with pytest.raises(UnsafeDatabase, match="table matches is not under row level security"):
        await Database.open(fresh_dsn, embedded=True)


async def test_a_login_with_the_servers_role_alone_is_welcome(fresh_dsn: str, login: str) -> None:
    await _execute(fresh_dsn, f"GRANT playhall_server TO {login}")
    database = await Database.open(_as_login(fresh_dsn, login), embedded=False)
    assert await _count_nodes(database) == 0
    await database.close()


async def test_error_for_a_login_without_the_role_says_what_to_grant(
    fresh_dsn: str, login: str
) -> None:
    with pytest.raises(StartRefused, match="GRANT playhall_server"):
        await Database.open(_as_login(fresh_dsn, login), embedded=False)


async def test_a_role_that_was_never_made_is_refused(fresh_dsn: str) -> None:
    with pytest.raises(NotMigrated, match="migrate it first"):
        await Database.open(fresh_dsn, embedded=True, role="nobody_made_this")


async def test_a_database_that_is_not_there_is_refused(fresh_dsn: str) -> None:
    with pytest.raises(StartRefused, match="correct the DSN"):
        await Database.open(fresh_dsn.replace("/test_", "/no_"), embedded=True)


# ------------------------------------------------------------------ named queries


def test_a_query_is_found_by_name_without_its_comment() -> None:
    queries = NamedQueries("q.sql", "-- name: one\n-- Get one,\n-- at once.\nSELECT 1;\n")
    assert queries["one"] == "SELECT 1;"
    assert queries.descriptions == {"one": "Get one, at once."}


def test_an_unknown_query_names_the_file_and_what_it_has() -> None:
    with pytest.raises(KeyError, match=r"database\.sql has no query 'nope'; it has safety"):
        load_queries("database")["nope"]


@pytest.mark.parametrize(
    "text",
    ["SELECT 1;", "-- name: one\nSELECT 1;", "-- name: a\n-- A.\nX;\n-- name: a\n-- A.\nX;\n"],
    ids=["nameless", "undescribed", "twice"],
)
def test_a_malformed_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"q\.sql"):
        NamedQueries("q.sql", text)


async def _execute(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def _add_node(connection: Connection, name: str) -> None:
    await connection.execute("INSERT INTO nodes (id, lease_until) VALUES ($1, now())", name)


async def _count_nodes(database: Database) -> int:
    async with database.acquire() as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM nodes")
    return count


async def _cut(dsn: str, server_pid: int) -> None:
    await _execute(dsn, f"SELECT pg_terminate_backend({server_pid}, 5000)")


def _as_login(dsn: str, login: str) -> str:
    return dsn.replace("//postgres@", f"//{login}@")
