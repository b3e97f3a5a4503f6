"""Row level security: every table, verb and role, from the catalogue; and the rules by name.

The database is asked as a person's own program could ask it: as `anon` or `authenticated` with
the claims of a token. Anything else than "not allowed" or "no such row" counts as allowed.
"""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from migrations import runner
from persistence.rls import Requester, RlsDatabase
from protocol.errors import Forbidden
from protocol.ids import SessionId, UserId
from tests.fixtures import rows
from tests.fixtures.postgres import Databases
from tests.integration.persistence.access import EVERYBODY, OWN

DATA: Final = Path(__file__).with_name("data")
ADA: Final = Requester(
    UserId("00000000-0000-4000-8000-000000000001"),
    SessionId("00000000-0000-4000-8000-000000000002"),
)
EVE: Final = Requester(
    UserId("00000000-0000-4000-8000-0000000000ee"),
    SessionId("00000000-0000-4000-8000-0000000000ef"),
)
LOBBY: Final = "00000000-0000-4000-8000-000000000005"
GAME: Final = "00000000-0000-4000-8000-000000000006"
DENIED: Final = asyncpg.InsufficientPrivilegeError


@pytest.fixture
async def owner(fresh_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """The database with a row in every table, Ada's where it is anybody's; as its superuser."""
    connection = await asyncpg.connect(fresh_dsn)
    data = [DATA.joinpath(f"{revision}.sql").read_text() for revision in runner.revisions()]
    await connection.execute("\n".join(data))
    await connection.execute("INSERT INTO auth.users (id) VALUES ($1)", EVE.user_id)
    await connection.execute("INSERT INTO profiles (id, username) VALUES ($1, 'eve')", EVE.user_id)
    await connection.execute(
        "INSERT INTO players (user_id, display_name, avatar_seed, color)"
        " VALUES ($1, 'Eve', 'e', 'x')",
        EVE.user_id,
    )
    yield connection
    await connection.close()


@pytest.fixture(params=["plain", "supabase"])
def layout_dsn(request: pytest.FixtureRequest) -> str:
    """A migrated database of either layout, as the login that migrated it."""
    name = {"plain": "fresh_dsn", "supabase": "migrated_supabase_dsn"}[request.param]
    dsn: str = request.getfixturevalue(name)
    return dsn


TABLES = """
    SELECT c.oid::regclass::text AS name, c.relrowsecurity, c.relforcerowsecurity,
        ARRAY(SELECT p.polname::text FROM pg_policy p WHERE p.polrelid = c.oid) AS policies,
        ARRAY(SELECT a.attname::text FROM pg_attribute a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                AND a.attgenerated = '' AND a.attidentity <> 'a') AS columns
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('public', 'playhall_auth') AND c.relkind IN ('r', 'p')
    ORDER BY 1
"""


async def test_every_table_is_under_row_level_security(layout_dsn: str) -> None:
    connection = await asyncpg.connect(layout_dsn)
    try:
        tables = await connection.fetch(TABLES)
    finally:
        await connection.close()
    open_ones = [
        table["name"]
        for table in tables
        if not (table["relrowsecurity"] and table["relforcerowsecurity"] and table["policies"])
    ]
    assert len(tables) > len(EVERYBODY)
    assert open_ones == [], "SELECT playhall_auth.secure(…) belongs into the step that makes them"


@pytest.mark.parametrize("who", ["anon", "stranger", "owner"])
async def test_every_table_and_verb_allows_what_the_table_of_access_says(
    owner: asyncpg.Connection, who: str
) -> None:
    claims = {"anon": None, "stranger": EVE, "owner": ADA}[who]
    allowed = {}
    for table in await owner.fetch(TABLES):
        if found := await _verbs(owner, claims, table, skip_own=who == "stranger"):
            allowed[table["name"]] = found
    expected = EVERYBODY | (OWN if who == "owner" else {})
    assert allowed == expected, "say in access.py what is meant, or change the policies"


async def _assert_as_the_table_of_access_says(owner: asyncpg.Connection) -> None:
    for who in ("anon", "owner"):
        await test_every_table_and_verb_allows_what_the_table_of_access_says(owner, who)


async def _verbs(
    owner: asyncpg.Connection, who: Requester | None, table: asyncpg.Record, *, skip_own: bool
) -> str:
    name = table["name"]
    others = ""
    if skip_own:  # a stranger's own rows are not the question
        own = {"profiles": f"id <> '{EVE.user_id}'", "players": f"user_id <> '{EVE.user_id}'"}
        others = f" WHERE {own[name]}" if name in own else ""
    found = []
    if await _is_allowed(owner, who, f"SELECT count(*) FROM {name}{others}"):
        found.append("S")
    columns = [
        column
        for column in sorted(table["columns"])
        if await _is_allowed(owner, who, f'UPDATE {name} SET "{column}" = DEFAULT{others}')
    ]
    found += [f"U:{','.join(columns)}"] if columns else []
    for letter, statement in (
        ("I", f"INSERT INTO {name} DEFAULT VALUES"),
        ("D", f"DELETE FROM {name}{others}"),
        ("T", f"TRUNCATE {name}"),
    ):
        if await _is_allowed(owner, who, statement):
            found.append(letter)
    return " ".join(found)


async def _is_allowed(owner: asyncpg.Connection, who: Requester | None, statement: str) -> bool:
    """Try a statement as somebody, and take it back."""
    transaction = owner.transaction()
    await transaction.start()
    try:
        await _speak_for(owner, who)
        if statement.startswith("SELECT"):
            return bool(await owner.fetchval(statement))
        return not (await owner.execute(statement)).endswith(" 0")
    except DENIED:
        return False
    except asyncpg.PostgresError:
        return True  # it got past the rights, and some constraint stopped it
    finally:
        await transaction.rollback()


async def _speak_for(owner: asyncpg.Connection, who: Requester | None) -> None:
    claims = f'{{"sub": "{who.user_id}"}}' if who else ""
    role = "authenticated" if who else "anon"
    await owner.execute("SELECT set_config('request.jwt.claims', $1, true)", claims)
    await owner.execute(f"SET LOCAL ROLE {role}")


async def test_table_that_nobody_secured_is_found(owner: asyncpg.Connection) -> None:
    await owner.execute("CREATE TABLE notes (id int)")
    tables = {table["name"]: table for table in await owner.fetch(TABLES)}
    assert not tables["notes"]["relrowsecurity"]


@pytest.mark.parametrize(
    "mistake",
    [
        "GRANT DELETE ON matches TO authenticated;"
        "CREATE POLICY oops ON matches FOR DELETE TO authenticated USING (true)",
        "GRANT SELECT ON playhall_auth.sessions TO anon;"
        "GRANT USAGE ON SCHEMA playhall_auth TO anon;"
        "CREATE POLICY oops ON playhall_auth.sessions FOR SELECT TO anon USING (true)",
        *(
            pytest.param(each, marks=pytest.mark.long("every table and verb once more"))
            for each in (
                "GRANT UPDATE (xp_total) ON profiles TO authenticated",
                "DROP POLICY readable ON player_lifetime_stats",
            )
        ),
    ],
)
async def test_mistake_in_the_rights_is_found(owner: asyncpg.Connection, mistake: str) -> None:
    await owner.execute(mistake)
    with pytest.raises(AssertionError, match=r"access\.py"):
        await _assert_as_the_table_of_access_says(owner)


# ------------------------------------------------------------------ the rules by name


async def test_nobody_closes_anothers_lobby(owner: asyncpg.Connection, rls: RlsDatabase) -> None:
    close = "UPDATE lobbies SET status = 'CLOSED' WHERE id = $1"
    async with rls.as_user(EVE) as connection:
        assert await connection.execute(close, LOBBY) == "UPDATE 0"
    assert await owner.fetchval("SELECT status FROM lobbies WHERE id = $1", LOBBY) == "OPEN"
    async with rls.as_user(ADA) as connection:
        assert await connection.execute(close, LOBBY) == "UPDATE 1"


async def test_host_cannot_make_a_lobby_anothers_or_play_in_it_without_the_server(
    owner: asyncpg.Connection, rls: RlsDatabase
) -> None:
    for statement in (
        f"UPDATE lobbies SET host_user_id = '{EVE.user_id}' WHERE id = '{LOBBY}'",
        f"UPDATE lobbies SET status = 'PLAYING' WHERE id = '{LOBBY}'",
        f"UPDATE lobbies SET version = 9223372036854775807 WHERE id = '{LOBBY}'",
        f"UPDATE lobbies SET fill_at = now() WHERE id = '{LOBBY}'",
    ):
        with pytest.raises(Forbidden):
            async with rls.as_user(ADA) as connection:
                await connection.execute(statement)


@pytest.mark.parametrize(
    "change",
    [
        "display_name = repeat('x', 65)",
        "display_name = ''",
        "display_name = E'two\\nlines'",
        "display_name = U&'turned \\202E round'",
        "avatar_seed = repeat('x', 65)",
        "color = '</script>'",
    ],
)
async def test_own_row_takes_no_name_that_the_server_would_refuse(
    owner: asyncpg.Connection, rls: RlsDatabase, change: str
) -> None:
    table = "players" if change[0] != "d" else "profiles"
    own = f"user_id = '{ADA.user_id}'" if table == "players" else f"id = '{ADA.user_id}'"
    with pytest.raises(asyncpg.CheckViolationError):
        async with rls.as_user(ADA) as connection:
            await connection.execute(f"UPDATE {table} SET {change} WHERE {own}")  # a test's own


async def test_own_row_takes_a_name_of_any_script(
    owner: asyncpg.Connection, rls: RlsDatabase
) -> None:
    rename = "UPDATE players SET display_name = $1 WHERE user_id = $2"
    async with rls.as_user(ADA) as connection:
        for name in ("Zoë", "李雷", "नमस्ते", "👩\u200d🚀"):
            assert await connection.execute(rename, name, ADA.user_id) == "UPDATE 1"


async def test_private_lobby_is_seen_by_its_members_only(
    owner: asyncpg.Connection, rls: RlsDatabase
) -> None:
    await owner.execute(
        "UPDATE lobbies SET mode = 'peer', is_public = false, host_peer_id = 'p' WHERE id = $1",
        LOBBY,
    )
    seen = "SELECT count(*) FROM lobbies WHERE id = $1"
    secrets = "SELECT host_peer_id, join_code FROM lobby_for_members($1)"
    async with rls.as_user(ADA) as connection:
        assert await connection.fetchval(seen, LOBBY) == 1
        assert tuple(await connection.fetchrow(secrets, LOBBY)) == ("p", "ABC234")
    async with rls.as_user(EVE) as connection:
        assert await connection.fetchval(seen, LOBBY) == 0
        assert await connection.fetchrow(secrets, LOBBY) is None
    with pytest.raises(Forbidden):
        async with rls.as_user(None) as connection:
            await connection.fetchrow(secrets, LOBBY)


async def test_private_game_at_a_table_is_seen_by_those_in_the_lobby_with_the_tables(
    owner: asyncpg.Connection, rls: RlsDatabase
) -> None:
    table = await owner.fetchval(
        "INSERT INTO lobbies (is_public, table_of, table_no) VALUES (false, $1, 0) RETURNING id",
        LOBBY,
    )
    game = await rows.add_game(owner)
    await owner.execute(
        "UPDATE games SET is_public = false, lobby_id = $2 WHERE id = $1", game, table
    )
    seen = "SELECT count(*) FROM games WHERE id = $1"
    for who, count in ((ADA, 1), (EVE, 0)):
        async with rls.as_user(who) as connection:
            assert await connection.fetchval(seen, game) == count


@pytest.mark.parametrize("column", ["host_peer_id", "join_code", "password_hash"])
async def test_secrets_of_a_lobby_are_no_column_for_anybody(
    owner: asyncpg.Connection, rls: RlsDatabase, column: str
) -> None:
    with pytest.raises(Forbidden):
        async with rls.as_user(ADA) as connection:
            await connection.fetch(f"SELECT {column} FROM lobbies")


async def test_seed_and_live_events_are_the_servers_alone(
    owner: asyncpg.Connection, rls: RlsDatabase
) -> None:
    live = await owner.fetchval(
        """
        INSERT INTO games (session_seed, config, status, ruleset, ruleset_version)
        VALUES ('secret', '{}', 'in_progress', 'relay', 1) RETURNING id
        """
    )
    await owner.execute(
        "INSERT INTO game_events (game_id, event_index, type, payload, hash)"
        " VALUES ($1, 0, 'dealt', '{}', decode(repeat('00', 16), 'hex'))",
        live,
    )
    count = "SELECT count(*) FROM game_events WHERE game_id = $1"
    async with rls.as_user(ADA) as connection:
        assert await connection.fetchval(count, str(live)) == 0
        assert await connection.fetchval(count, GAME) == 10
    with pytest.raises(Forbidden):
        async with rls.as_user(ADA) as connection:
            await connection.fetch("SELECT session_seed FROM games")


async def test_private_game_and_its_results_are_seen_by_who_took_part_only(
    owner: asyncpg.Connection, rls: RlsDatabase
) -> None:
    await owner.execute("UPDATE games SET is_public = false WHERE id = $1", GAME)
    for table, key in (
        ("games", "id"),
        ("game_events", "game_id"),
        ("game_summaries", "game_id"),
        ("matches", "game_id"),
    ):
        count = f"SELECT count(*) > 0 FROM {table} WHERE {key} = $1"
        async with rls.as_user(ADA) as connection:
            assert await connection.fetchval(count, GAME)
        async with rls.as_user(EVE) as connection:
            assert not await connection.fetchval(count, GAME)
        async with rls.as_user(None) as connection:
            assert not await connection.fetchval(count, GAME)


async def test_definer_functions_pin_their_search_path_and_are_not_public(
    owner: asyncpg.Connection,
) -> None:
    functions = await owner.fetch(
        """
        SELECT p.oid::regprocedure::text AS name, p.proconfig, p.prosecdef,
            EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
                WHERE a.grantee = 0) AS is_public
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE n.nspname IN ('public', 'playhall_auth') AND p.prosecdef
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
        """
    )
    assert functions
    for function in functions:
        assert 'search_path=""' in (function["proconfig"] or []), function["name"]
        assert not function["is_public"], function["name"]


async def test_views_show_what_their_reader_may_see(owner: asyncpg.Connection) -> None:
    views = await owner.fetch(
        "SELECT relname, reloptions FROM pg_class WHERE relkind = 'v'"
        " AND relnamespace = 'public'::regnamespace"
    )
    assert [
        v["relname"] for v in views if "security_invoker=true" not in (v["reloptions"] or [])
    ] == []


# ------------------------------------------------------------------ beyond rows

# Built-in functions with effects that everybody may call, and what bounds each kind.
HARMLESS: Final = (
    "binary_upgrade_.*",  # work during an upgrade of the server only
    "amvalidate|.*_to_xml.*|ts_stat|ts_rewrite|current_query|currtid2",  # read as the caller
    "brin_.*|gin_clean_pending_list",  # ask for the owner of the index
    "(curr|last|next|set)val|pg_sequence_last_value|pg_get_sequence_data",  # by rights on it
    "pg_(copy|create|drop|sync|logical|replication|isolation)_.*(slot|slots).*",  # REPLICATION
    "pg_logical_slot_.*|pg_replication_slot_advance",
    "pg_(clear|restore)_(attribute|relation)_stats|pg_extension_config_dump",  # by rights on it
    "pg_(nextoid|stop_making_pinned_objects|import_system_collations)",  # superusers
    "pg_(cancel|terminate)_backend",  # one's own role's sessions
    "pg_advisory_unlock.*",  # gives back what nobody here can take
    "set_config|setseed|random|random_normal|array_s(ample|huffle)|uuidv[47]|gen_random_uuid",
    "clock_timestamp|timeofday|txid_status",
    "pg_(stat|control|last|current|xact|wal|get|is|available|notification)_.*",  # read state
    "pg_(relation|table|total_relation|indexes|database|tablespace)_size",
    "pg_(blocking_pids|safe_snapshot_blocking_pids|lock_status|prepared_xact|partition_.*)",
    "pg_(collation|database_collation)_actual_version|pg_jit_available",
    "pg_isolation_test_session_is_blocked|plpgsql_(call_handler|validator)",
)


@pytest.fixture(scope="module")
def migrated_dsn(databases: Databases) -> Iterator[str]:
    """A database that was migrated where it is; rights on a whole database are not copied."""
    dsn = databases.create()
    runner.upgrade(dsn)
    yield dsn
    databases.drop(dsn)


@pytest.fixture
async def hardened(migrated_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(migrated_dsn)
    yield connection
    await connection.close()


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
async def test_people_call_no_built_in_function_that_holds_up_or_fills(
    hardened: asyncpg.Connection, role: str
) -> None:
    callable_ones = await hardened.fetch(
        """
        SELECT DISTINCT proname::text AS name FROM pg_proc
        WHERE pronamespace = 'pg_catalog'::regnamespace AND provolatile = 'v' AND prokind <> 'a'
            AND prorettype <> 'trigger'::regtype
            AND NOT 'internal'::regtype = ANY (proargtypes::oid[])
            AND has_function_privilege($1, oid, 'EXECUTE')
        """,
        role,
    )
    left = [
        row["name"]
        for row in callable_ones
        if not any(re.fullmatch(harmless, row["name"]) for harmless in HARMLESS)
    ]
    assert callable_ones
    assert sorted(left) == []


BEYOND_ROWS: Final = (
    "SELECT lo_create(0)",
    "SELECT lo_creat(-1)",
    "SELECT lo_from_bytea(0, 'x')",
    "SELECT lo_import('/etc/passwd')",
    "CREATE TEMP TABLE mine (n int)",
    "CREATE TEMP VIEW mine AS SELECT 1",
    "CREATE TABLE public.mine (n int)",
    "CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql RETURN 1",
    "CREATE SCHEMA mine",
    "SELECT pg_advisory_lock(7310865489172336748)",
    "SELECT pg_try_advisory_xact_lock(1)",
    "SELECT pg_sleep(0)",
    "SELECT pg_logical_emit_message(true, 'x', 'y')",
    "SELECT pg_export_snapshot()",
    "SELECT playhall_auth.harden()",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "SELECT pg_read_file('PG_VERSION')",
    "LOCK TABLE game_events IN ACCESS EXCLUSIVE MODE",
)


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
async def test_people_reach_nothing_beyond_their_rows(
    hardened: asyncpg.Connection, role: str
) -> None:
    reached = []
    for statement in BEYOND_ROWS:
        try:
            async with hardened.transaction():
                await hardened.execute(f"SET LOCAL ROLE {role}")
                await hardened.execute(statement)
        except DENIED:
            continue
        reached.append(statement)
    assert reached == []


async def test_restrictive_policies_leave_the_owner_of_the_tables_alone(
    hardened: asyncpg.Connection,
) -> None:
    """The owner may take the roles of people; a backup that it makes must have every row."""
    policies = await hardened.fetch(
        "SELECT polrelid::regclass::text AS name, pg_get_expr(polqual, polrelid) AS expression"
        " FROM pg_policy WHERE NOT polpermissive"
    )
    assert policies
    for policy in policies:
        assert policy["expression"].startswith("((CURRENT_USER <> ALL"), policy["name"]


async def test_people_lock_only_tables_whose_rows_they_may_delete(
    hardened: asyncpg.Connection,
) -> None:
    """PostgreSQL lets whoever may delete rows lock the table; rights on columns allow no lock."""
    tables = await hardened.fetch(TABLES)
    locked: dict[str, list[str]] = {"anon": [], "authenticated": []}
    for role, found in locked.items():
        for table in tables:
            try:
                async with hardened.transaction():
                    await hardened.execute(f"SET LOCAL ROLE {role}")
                    await hardened.execute(f"LOCK TABLE {table['name']} IN ROW EXCLUSIVE MODE")
                    found.append(table["name"])
            except DENIED:
                pass
    deletable = sorted(name for name, rights in OWN.items() if " D" in rights)
    assert locked == {"anon": [], "authenticated": deletable}


async def test_server_may_still_take_its_locks(fresh_dsn: str) -> None:
    connection = await asyncpg.connect(fresh_dsn)
    await connection.execute("SET ROLE playhall_server")
    await connection.execute("SELECT pg_advisory_xact_lock(1), pg_try_advisory_xact_lock(1, 2)")
    with pytest.raises(DENIED):
        await connection.execute("SELECT lo_create(0)")
    await connection.close()
