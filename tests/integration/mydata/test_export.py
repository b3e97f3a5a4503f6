"""An export is complete, and tells no secret."""

import re
from typing import Final

import asyncpg
import orjson
import pytest

from persistence.profiles.personal_data import BY_WALLET, PersonalDataStore
from protocol.ids import UserId, new_id
from tests.integration.mydata.conftest import ADA, PLAYER, tables_with

# Who did what to whom is the operator's record of itself; the trash is emptied at once; an event
# has her id and nothing else of her, and goes when its listeners have it.
KEPT_APART: Final = {"audit_log", "event_outbox", "file_trash", "webhook_deliveries"}


async def exported(store: PersonalDataStore, user_id: UserId = ADA) -> dict[str, bytes]:
    parts = {}
    async with store.begin_export(user_id) as personal:
        for name, rows in (await personal.iterate_parts()).items():
            parts[name] = b"\n".join([row async for row in rows])
    return {name: rows for name, rows in parts.items() if rows}


async def test_every_table_that_names_her_is_in_it(
    owner: asyncpg.Connection, store: PersonalDataStore
) -> None:
    naming = await tables_with(owner, ADA) | await tables_with(owner, PLAYER)
    parts = await exported(store)
    assert {f"tables/{name}" for name in naming - KEPT_APART} <= parts.keys() | {
        "tables/game_summaries"  # its rows are in games/games, without the names of others
    }
    assert b'"score": 7' in parts["games/games"]


async def test_what_refers_to_what_is_hers_alone_is_in_it(store: PersonalDataStore) -> None:
    assert "tables/playhall_auth.refresh_tokens" in await exported(store)


async def test_what_names_a_wallet_of_hers_is_in_it(
    owner: asyncpg.Connection, store: PersonalDataStore
) -> None:
    hers, other = "0x" + "b" * 40, "0x" + "d" * 40
    columns = {
        "votes": ("epoch_votes", "voter_address"),
        "bots": ("bot_identity_owners", "owner_address"),
        "bot_tokens": ("bot_tokens", "created_by_address"),
        "loadouts": ("bot_avatar_loadouts", "selected_by_address"),
        "payouts": ("epoch_payouts", "recipient_address"),
    }
    assert set(columns) == set(BY_WALLET)
    await owner.execute("SET session_replication_role = replica")  # whose they are, and no more
    for table, column in columns.values():
        await owner.execute(f"UPDATE {table} SET {column} = '{hers}'")
    parts = await exported(store)
    for name, (_, column) in columns.items():
        assert {orjson.loads(row)[column] for row in parts[f"wallets/{name}"].split(b"\n")} == {
            hers
        }
    for table, column in columns.values():
        await owner.execute(f"UPDATE {table} SET {column} = '{other}'")
    assert not [name for name in await exported(store) if name.startswith("wallets/")]


async def test_inputs_to_real_time_games_are_in_it_without_those_of_others(
    owner: asyncpg.Connection, store: PersonalDataStore
) -> None:
    await owner.execute(
        """
        WITH hers AS (
            SELECT m.game_id, mp.seat FROM match_players mp JOIN matches m ON m.id = mp.match_id
            WHERE mp.player_id = $1 AND m.game_id IS NOT NULL LIMIT 1
        )
        INSERT INTO game_events (game_id, event_index, hash, type, payload)
        SELECT game_id, 1000 + tick, decode(repeat('00', 16), 'hex'), 'tick',
            jsonb_build_object('tick', tick, 'inputs',
            CASE tick WHEN 1 THEN jsonb_build_array(jsonb_build_array(seat, 1, '"hers"'::jsonb),
                jsonb_build_array(seat + 1, 1, '"another''s"'::jsonb))
            ELSE jsonb_build_array(jsonb_build_array(seat + 1, 2, '"another''s"'::jsonb)) END)
        FROM hers, generate_series(1, 2) AS tick
        """,
        PLAYER,
    )
    moves = [orjson.loads(row) for row in (await exported(store))["games/moves"].split(b"\n")]
    [tick] = [move["payload"] for move in moves if move["type"] == "tick"]
    assert [move for _, _, move in tick["inputs"]] == ["hers"]


async def test_others_are_in_it_as_ids_only(
    owner: asyncpg.Connection, store: PersonalDataStore
) -> None:
    await owner.execute("UPDATE players SET display_name = 'Bob Bobson' WHERE display_name = 'Bob'")
    text = b"".join((await exported(store)).values())
    assert b"Bob" not in text


async def test_others_in_her_lobby_are_no_rows_of_hers(
    owner: asyncpg.Connection, store: PersonalDataStore
) -> None:
    await owner.execute(
        "INSERT INTO lobby_members (lobby_id, player_id, seat) SELECT l.id, p.id, 1"
        " FROM lobbies l, players p WHERE l.mode = 'server' AND p.user_id IS NULL"
        " ON CONFLICT DO NOTHING"
    )
    rows = (await exported(store))["tables/lobby_members"].split(b"\n")
    assert {orjson.loads(row)["player_id"] for row in rows} == {PLAYER}


async def test_no_secret_is_in_it(owner: asyncpg.Connection, store: PersonalDataStore) -> None:
    await owner.execute(
        "UPDATE playhall_auth.refresh_tokens SET successor = 'salt-of-a-token';"
        "UPDATE lobbies SET password_hash = 'hash-of-a-lobby'"
    )
    parts = await exported(store)
    text = b"".join(parts.values())
    for secret in (b"salt-of-a-token", b"hash-of-a-lobby", rb"$argon2id$", rb"\x01", rb"\\x01"):
        assert secret not in text
    keys = {
        key for rows in parts.values() for row in rows.split(b"\n") for key in orjson.loads(row)
    }
    assert [key for key in keys if re.search("hash|password|secret|sealed|_token", key)] == []


async def test_table_of_a_later_step_is_found(
    owner: asyncpg.Connection, store: PersonalDataStore
) -> None:
    await owner.execute(
        f"""
        CREATE TABLE notes (
            id int PRIMARY KEY, profile uuid REFERENCES profiles (id) ON DELETE CASCADE,
            body text, reset_token text, salt text);
        CREATE TABLE note_lines (note int REFERENCES notes ON DELETE CASCADE, line text);
        COMMENT ON COLUMN notes.salt IS 'secret: for the taste';
        INSERT INTO notes VALUES (1, '{ADA}', 'hers', 't', 's'), (2, NULL, 'no one''s', 't', 's');
        INSERT INTO note_lines VALUES (1, 'a line of hers'), (2, 'a line of no one''s');
        """
    )
    parts = await exported(store)
    assert orjson.loads(parts["tables/notes"]) == {"id": 1, "profile": ADA, "body": "hers"}
    assert orjson.loads(parts["tables/note_lines"]) == {"note": 1, "line": "a line of hers"}


async def test_somebody_else_gets_nothing_of_hers(
    owner: asyncpg.Connection, store: PersonalDataStore
) -> None:
    eve = UserId(new_id())
    await owner.execute("INSERT INTO auth.users (id) VALUES ($1)", eve)
    assert (await exported(store, eve)).keys() == {"tables/auth.users"}


async def test_export_is_on_record(owner: asyncpg.Connection, store: PersonalDataStore) -> None:
    await exported(store)
    acts = await owner.fetch("SELECT actor, target FROM audit_log WHERE action = 'export'")
    assert [tuple(act) for act in acts] == [(ADA, ADA)]


@pytest.mark.parametrize("table", ["public.games", "playhall_auth.signing_keys"])
async def test_tables_that_name_nobody_cannot_be_asked_for(
    owner: asyncpg.Connection, table: str
) -> None:
    with pytest.raises(asyncpg.NoDataFoundError):
        await owner.fetch(f"SELECT playhall_auth.person_rows('{ADA}', '{table}')")
