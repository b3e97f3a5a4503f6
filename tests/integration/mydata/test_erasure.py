"""An erasure leaves no row that names the person, and the log as it was."""

from typing import Final

import asyncpg
import orjson
import pytest

from persistence.profiles.personal_data import PersonalDataStore
from tests.integration.mydata.conftest import (
    ADA,
    DISPLAY_NAME,
    EMAIL,
    MATCH,
    PLAYER,
    USERNAME,
    tables_with,
)

NAMES: Final = (EMAIL, USERNAME, DISPLAY_NAME)
# Ids only: that it was done stays on record and is sent to listeners, and the trash is emptied when
# the object is gone.
ID_MAY_STAY: Final = {"audit_log", "event_outbox", "file_trash", "webhook_deliveries"}
EVENTS: Final = (
    "SELECT md5(string_agg(e::text, '' ORDER BY game_id, event_index)) FROM game_events e"
)


async def test_no_row_of_any_table_names_her(
    owner: asyncpg.Connection, store: PersonalDataStore
) -> None:
    for text in (ADA, *NAMES):
        assert await tables_with(owner, text)
    assert await store.erase(ADA) == PLAYER
    for name in NAMES:
        assert await tables_with(owner, name) == set()
    assert await tables_with(owner, ADA) <= ID_MAY_STAY


async def test_log_is_as_it_was_and_her_player_stays_nameless(
    owner: asyncpg.Connection, store: PersonalDataStore
) -> None:
    before = await owner.fetchval(EVENTS)
    await store.erase(ADA)
    assert await owner.fetchval(EVENTS) == before
    player = await owner.fetchrow("SELECT * FROM players WHERE id = $1", PLAYER)
    assert player is not None
    assert (player["user_id"], player["display_name"]) == (None, "Somebody gone")
    assert player["erased_at"] is not None
    assert (
        await owner.fetchval("SELECT winner_id::text FROM matches WHERE id = $1", MATCH) == PLAYER
    )


async def test_names_of_others_stay(owner: asyncpg.Connection, store: PersonalDataStore) -> None:
    await store.erase(ADA)
    players = orjson.loads(await owner.fetchval("SELECT players FROM game_summaries"))
    assert [(seat["display_name"], seat["score"]) for seat in players] == [
        ("Somebody gone", 7),
        ("Bob", 1),
    ]


async def test_replay_with_her_name_is_thrown_away_and_due_again(
    owner: asyncpg.Connection, store: PersonalDataStore
) -> None:
    await owner.execute(
        f"""
        DELETE FROM files WHERE match_id = '{MATCH}';
        INSERT INTO files (match_id, bucket, path, key, size, content_type, sha256, is_public)
        SELECT '{MATCH}', 'replays', 'r', 'replays/r/1', 1, 'x', sha256(''), true;
        UPDATE matches SET replay_url = '/r', replay_due_at = now() + interval '1 h'
        WHERE id = '{MATCH}'
        """
    )
    await store.erase(ADA)
    assert await owner.fetchval("SELECT count(*) FROM file_trash WHERE key = 'replays/r/1'") == 1
    assert await owner.fetchval(
        "SELECT replay_url IS NULL AND replay_due_at <= now() FROM matches WHERE id = $1", MATCH
    )


async def test_every_reference_to_an_account_says_what_becomes_of_it(
    owner: asyncpg.Connection,
) -> None:
    unsaid = await owner.fetch(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'f'"
        " AND confrelid IN ('auth.users'::regclass, 'profiles'::regclass)"
        " AND confdeltype NOT IN ('c', 'n')"
    )
    assert unsaid == [], "ON DELETE CASCADE where a row is the person's alone, SET NULL elsewhere"


async def test_table_of_a_later_step_is_found(
    owner: asyncpg.Connection, store: PersonalDataStore
) -> None:
    await owner.execute(
        f"""
        CREATE TABLE notes (body text,
            profile uuid REFERENCES profiles ON DELETE CASCADE,
            player uuid REFERENCES players ON DELETE CASCADE,
            reader uuid REFERENCES players ON DELETE SET NULL);
        INSERT INTO notes (body, profile, player, reader) VALUES
            ('her account''s', '{ADA}', NULL, NULL), ('her player''s', NULL, '{PLAYER}', NULL),
            ('read by her', NULL, NULL, '{PLAYER}')
        """
    )
    await store.erase(ADA)
    assert [tuple(row) for row in await owner.fetch("SELECT body, reader FROM notes")] == [
        ("read by her", None)
    ]


async def test_row_that_names_her_without_a_reference_is_noticed(
    owner: asyncpg.Connection, store: PersonalDataStore
) -> None:
    await owner.execute(f"CREATE TABLE gossip AS SELECT '{DISPLAY_NAME} was here' AS body")
    await store.erase(ADA)
    assert await tables_with(owner, DISPLAY_NAME) == {"gossip"}


async def test_erasure_that_fails_leaves_everything(
    owner: asyncpg.Connection, store: PersonalDataStore
) -> None:
    await owner.execute(
        f"CREATE TABLE bond (holder uuid REFERENCES profiles);INSERT INTO bond VALUES ('{ADA}')"
    )
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await store.erase(ADA)
    assert await tables_with(owner, EMAIL) == {"auth.users"}
    assert await owner.fetchval("SELECT display_name FROM players WHERE id = $1", PLAYER) == (
        DISPLAY_NAME
    )


async def test_erasure_is_on_record_by_ids(
    owner: asyncpg.Connection, store: PersonalDataStore
) -> None:
    await store.erase(ADA)
    acts = await owner.fetch("SELECT actor, target FROM audit_log WHERE action = 'erase'")
    assert [tuple(act) for act in acts] == [(ADA, ADA)]


async def test_erasure_leaves_an_event_with_her_id_and_nothing_else(
    owner: asyncpg.Connection, store: PersonalDataStore
) -> None:
    await store.erase(ADA)
    [event] = await owner.fetch("SELECT * FROM event_outbox WHERE name = 'user.erased'")
    assert orjson.loads(event["payload"]) == {"user_id": ADA}
    with_player = await owner.fetchval(
        "SELECT count(*) FROM event_outbox e"
        " WHERE position($1 IN e::text) > 0 AND position($2 IN e::text) > 0",
        ADA,
        PLAYER,
    )
    assert with_player == 0, "nothing says which player was hers"
