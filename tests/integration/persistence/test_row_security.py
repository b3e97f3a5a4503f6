"""Row level security: every table, verb and role, from the catalogue; and the rules by name.

The database is asked as a person's own program could ask it: as `anon` or `authenticated` with
the claims of a token. Anything else than "not allowed" or "no such row" counts as allowed.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from migrations import runner
from persistence.behalf import Behalf, Requester
from protocol.errors import Forbidden
from protocol.ids import SessionId, UserId
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
    rows = [DATA.joinpath(f"{revision}.sql").read_text() for revision in runner.revisions()]
    await connection.execute("\n".join(rows))
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
def layout_dsn(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    """A migrated database of either layout, as the login that migrated it."""
    if request.param == "plain":
        dsn = databases.create()
        runner.upgrade(dsn)
        yield dsn
        databases.drop(dsn)
    else:
        dsn = request.getfixturevalue("supabase_dsn")
        runner.upgrade(dsn)
        yield dsn


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
        "GRANT UPDATE (xp_total) ON profiles TO authenticated",
        "GRANT SELECT ON playhall_auth.sessions TO anon;"
        "GRANT USAGE ON SCHEMA playhall_auth TO anon;"
        "CREATE POLICY oops ON playhall_auth.sessions FOR SELECT TO anon USING (true)",
        "DROP POLICY readable ON player_lifetime_stats",
    ],
)
async def test_mistake_in_the_rights_is_found(owner: asyncpg.Connection, mistake: str) -> None:
    await owner.execute(mistake)
    with pytest.raises(AssertionError, match=r"access\.py"):
        await _assert_as_the_table_of_access_says(owner)


# ------------------------------------------------------------------ the rules by name


async def test_nobody_closes_anothers_lobby(owner: asyncpg.Connection, behalf: Behalf) -> None:
    close = "UPDATE lobbies SET status = 'CLOSED' WHERE id = $1"
    async with behalf.of(EVE) as connection:
        assert await connection.execute(close, LOBBY) == "UPDATE 0"
    assert await owner.fetchval("SELECT status FROM lobbies WHERE id = $1", LOBBY) == "OPEN"
    async with behalf.of(ADA) as connection:
        assert await connection.execute(close, LOBBY) == "UPDATE 1"


async def test_host_cannot_make_a_lobby_anothers_or_play_in_it_without_the_server(
    owner: asyncpg.Connection, behalf: Behalf
) -> None:
    for statement in (
        f"UPDATE lobbies SET host_user_id = '{EVE.user_id}' WHERE id = '{LOBBY}'",
        f"UPDATE lobbies SET status = 'PLAYING' WHERE id = '{LOBBY}'",
        f"UPDATE lobbies SET version = 9223372036854775807 WHERE id = '{LOBBY}'",
        f"UPDATE lobbies SET fill_at = now() WHERE id = '{LOBBY}'",
    ):
        with pytest.raises(Forbidden):
            async with behalf.of(ADA) as connection:
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
    owner: asyncpg.Connection, behalf: Behalf, change: str
) -> None:
    table = "players" if change[0] != "d" else "profiles"
    own = f"user_id = '{ADA.user_id}'" if table == "players" else f"id = '{ADA.user_id}'"
    with pytest.raises(asyncpg.CheckViolationError):
        async with behalf.of(ADA) as connection:
            await connection.execute(f"UPDATE {table} SET {change} WHERE {own}")  # a test's own


async def test_own_row_takes_a_name_of_any_script(
    owner: asyncpg.Connection, behalf: Behalf
) -> None:
    rename = "UPDATE players SET display_name = $1 WHERE user_id = $2"
    async with behalf.of(ADA) as connection:
        for name in ("Zoë", "李雷", "नमस्ते", "👩\u200d🚀"):
            assert await connection.execute(rename, name, ADA.user_id) == "UPDATE 1"


async def test_private_lobby_is_seen_by_its_members_only(
    owner: asyncpg.Connection, behalf: Behalf
) -> None:
    await owner.execute(
        "UPDATE lobbies SET mode = 'peer', is_public = false, host_peer_id = 'p' WHERE id = $1",
        LOBBY,
    )
    seen = "SELECT count(*) FROM lobbies WHERE id = $1"
    secrets = "SELECT host_peer_id, join_code FROM lobby_for_members($1)"
    async with behalf.of(ADA) as connection:
        assert await connection.fetchval(seen, LOBBY) == 1
        assert tuple(await connection.fetchrow(secrets, LOBBY)) == ("p", "ABC234")
    async with behalf.of(EVE) as connection:
        assert await connection.fetchval(seen, LOBBY) == 0
        assert await connection.fetchrow(secrets, LOBBY) is None
    with pytest.raises(Forbidden):
        async with behalf.of(None) as connection:
            await connection.fetchrow(secrets, LOBBY)


@pytest.mark.parametrize("column", ["host_peer_id", "join_code", "password_hash"])
async def test_secrets_of_a_lobby_are_no_column_for_anybody(
    owner: asyncpg.Connection, behalf: Behalf, column: str
) -> None:
    with pytest.raises(Forbidden):
        async with behalf.of(ADA) as connection:
            await connection.fetch(f"SELECT {column} FROM lobbies")


async def test_seed_and_live_events_are_the_servers_alone(
    owner: asyncpg.Connection, behalf: Behalf
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
    async with behalf.of(ADA) as connection:
        assert await connection.fetchval(count, str(live)) == 0
        assert await connection.fetchval(count, GAME) == 10
    with pytest.raises(Forbidden):
        async with behalf.of(ADA) as connection:
            await connection.fetch("SELECT session_seed FROM games")


async def test_private_game_and_its_results_are_seen_by_who_took_part_only(
    owner: asyncpg.Connection, behalf: Behalf
) -> None:
    await owner.execute("UPDATE games SET is_public = false WHERE id = $1", GAME)
    for table, key in (
        ("games", "id"),
        ("game_events", "game_id"),
        ("game_summaries", "game_id"),
        ("matches", "game_id"),
    ):
        count = f"SELECT count(*) > 0 FROM {table} WHERE {key} = $1"
        async with behalf.of(ADA) as connection:
            assert await connection.fetchval(count, GAME)
        async with behalf.of(EVE) as connection:
            assert not await connection.fetchval(count, GAME)
        async with behalf.of(None) as connection:
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
        assert function["proconfig"] == ['search_path=""'], function["name"]
        assert not function["is_public"], function["name"]


async def test_views_show_what_their_reader_may_see(owner: asyncpg.Connection) -> None:
    views = await owner.fetch(
        "SELECT relname, reloptions FROM pg_class WHERE relkind = 'v'"
        " AND relnamespace = 'public'::regnamespace"
    )
    assert [
        v["relname"] for v in views if "security_invoker=true" not in (v["reloptions"] or [])
    ] == []
