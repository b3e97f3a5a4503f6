"""A database with a row of Ada's in every table, and words that only she is called by."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import asyncpg
import pytest

from migrations import runner
from persistence.database import Database
from persistence.profiles.personal_data import PersonalDataStore
from protocol.ids import PlayerId, UserId
from tests.integration.persistence.conftest import supabase_dsn

__all__ = ["supabase_dsn"]

DATA: Final = Path(__file__).parents[1] / "persistence" / "data"
ADA: Final = UserId("00000000-0000-4000-8000-000000000001")
PLAYER: Final = PlayerId("00000000-0000-4000-8000-000000000003")
MATCH: Final = "00000000-0000-4000-8000-000000000007"
EMAIL: Final = "zebulah.quux@example.org"
USERNAME: Final = "zebulah-quux"
DISPLAY_NAME: Final = "Zebulah Quux"

CALLED: Final = f"""
    UPDATE auth.users SET email = '{EMAIL}' WHERE id = '{ADA}';
    UPDATE profiles SET username = '{USERNAME}', display_name = '{DISPLAY_NAME}',
        username_changed_at = NULL WHERE id = '{ADA}';
    UPDATE players SET display_name = '{DISPLAY_NAME}', platform_links = '{{"x": "{USERNAME}"}}'
        WHERE id = '{PLAYER}';
    UPDATE lobbies SET name = 'At {DISPLAY_NAME}''s' WHERE host_player_id = '{PLAYER}';
    UPDATE game_summaries SET players = '[
        {{"player_id": "{PLAYER}", "display_name": "{DISPLAY_NAME}", "score": 7}},
        {{"player_id": "00000000-0000-4000-8000-000000000004", "display_name": "Bob", "score": 1}}]'
"""


@pytest.fixture
async def owner(fresh_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """The database with all these rows, as its superuser."""
    connection = await asyncpg.connect(fresh_dsn)
    rows = [DATA.joinpath(f"{revision}.sql").read_text() for revision in runner.revisions()]
    await connection.execute("\n".join(rows))
    await connection.execute("ALTER TABLE profiles DISABLE TRIGGER profiles_username_seldom")
    await connection.execute(CALLED)
    await connection.execute("ALTER TABLE profiles ENABLE TRIGGER profiles_username_seldom")
    yield connection
    await connection.close()


@pytest.fixture
def store(owner: asyncpg.Connection, database: Database) -> PersonalDataStore:
    """What the server does with that database."""
    return PersonalDataStore(database)


async def tables_with(owner: asyncpg.Connection, text: str) -> set[str]:
    """Look through every row of every table of ours for a text."""
    names = await owner.fetch(
        "SELECT oid::regclass::text FROM pg_class"
        " WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace IN"
        " ('public'::regnamespace, 'playhall_auth'::regnamespace, 'auth'::regnamespace)"
    )
    found = set()
    for (name,) in names:
        if await owner.fetchval(
            f"SELECT EXISTS (SELECT FROM {name} t WHERE position(lower($1) IN lower(t::text)) > 0)",
            text,
        ):
            found.add(name)
    return found
