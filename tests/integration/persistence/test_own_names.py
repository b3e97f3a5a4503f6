"""Names that people write into their own rows, past the server, are held to the same."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from protocol.text import is_visible
from tests.fixtures.names import BLANK, FINE, RESERVED

ADA = "00000000-0000-4000-8000-00000000ada0"
PERSON = """
    WITH account AS (INSERT INTO auth.users (id) VALUES ($1)),
    profile AS (INSERT INTO profiles (id) VALUES ($1))
    INSERT INTO players (user_id, display_name, avatar_seed, color)
    VALUES ($1::uuid::text, 'Ada', '', '')
"""
COLUMNS = [("profiles", "display_name"), ("players", "display_name")]


@pytest.fixture
async def ada(fresh_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A person's own program on the database: as `authenticated`, under row level security."""
    connection = await asyncpg.connect(fresh_dsn)
    await connection.execute(PERSON, ADA)
    await connection.execute("SET ROLE authenticated")
    claims = f'{{"sub": "{ADA}", "role": "authenticated"}}'
    await connection.execute("SELECT set_config('request.jwt.claims', $1, false)", claims)
    yield connection
    await connection.close()


async def accepted(connection: asyncpg.Connection, table: str, column: str, name: str) -> bool:
    """Try to change a name of one's own."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        changed = await connection.execute(f"UPDATE {table} SET {column} = $1", name)
    except asyncpg.CheckViolationError:
        return False
    else:
        assert changed == "UPDATE 1"
        return True
    finally:
        await transaction.rollback()


@pytest.mark.parametrize(("table", "column"), COLUMNS)
async def test_names_are_accepted_as_the_server_accepts_them(
    ada: asyncpg.Connection, table: str, column: str
) -> None:
    taken = [name for name in BLANK if await accepted(ada, table, column, name)]
    assert taken == []
    taken = [name for name in RESERVED if await accepted(ada, table, column, name)]
    assert [ascii(name) for name in taken] == []
    refused = [name for name in FINE if not await accepted(ada, table, column, name)]
    assert refused == []


async def test_reserved_usernames_are_refused(ada: asyncpg.Connection) -> None:
    for name in ("admin", "playhall-support", "m0derator", "system_1"):
        assert not await accepted(ada, "profiles", "username", name)
    assert await accepted(ada, "profiles", "username", "madmin")


async def test_operator_may_give_a_reserved_name_and_its_bearer_keeps_it(
    ada: asyncpg.Connection,
) -> None:
    await ada.execute("RESET ROLE")
    await ada.execute("UPDATE profiles SET display_name = 'Admin', username = 'admin'")
    await ada.execute("SET ROLE authenticated")
    changed = "UPDATE profiles SET display_name = 'Admin', preferences = '{}'"
    assert await ada.execute(changed) == "UPDATE 1"
    await ada.execute("RESET ROLE")
    assert await ada.execute("UPDATE profiles SET xp_total = xp_total + 1") == "UPDATE 1"


async def test_no_character_is_shown_by_the_database_alone(ada: asyncpg.Connection) -> None:
    """Of every code point by itself: what the server refuses as blank, the database does too.

    Not the other way round: a newer Unicode may know characters that the database's rule does not.
    """
    await ada.execute("RESET ROLE")
    definition = await ada.fetchval(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conname = 'profiles_display_name_shows'"
    )
    rule = definition.removeprefix("CHECK (").removesuffix(")").replace("display_name", "chr(n)")
    shown = await ada.fetch(
        "SELECT n FROM generate_series(1, 1114111) n"
        f" WHERE n NOT BETWEEN 55296 AND 57343 AND {rule}"
    )
    blank = [f"U+{n:04X}" for (n,) in shown if not is_visible(chr(n))]
    assert len(shown) > 900_000
    assert len(blank) < 300, blank  # marks that came after Unicode 14
