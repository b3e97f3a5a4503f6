"""Rows that other programs write with the specified columns alone."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from persistence.epochs.claims import CLAIMED

BOT = """
    INSERT INTO bot_identities (slug, chain_id, contract_address, token_id)
    VALUES ('bot_abc123', 1, '0x{address}', 7) RETURNING id
"""
PROFILE = """
    INSERT INTO epoch_profiles (profile_key, version, config)
    SELECT 'plain-v1', 2, config FROM epoch_profiles WHERE profile_key = 'daily-v1' RETURNING id
"""
EPOCH = """
    INSERT INTO epochs (day_date, profile_id, phase, starts_at, freeze_at, ends_at)
    VALUES ('2031-01-01', $1, 'live', '2031-01-01', '2031-01-01 23:00', '2031-01-02') RETURNING id
"""
# What has no right value that a database could fill in, by table: the column, and an INSERT.
REFUSED = {
    "games": ("ruleset", "(session_seed, config, status) VALUES ('s', '{}', 'created')"),
    "epoch_payouts": (
        "events_digest",
        "(epoch_id, bot_identity_id, recipient_address, bps)"
        " VALUES (gen_random_uuid(), gen_random_uuid(), '0x', 1)",
    ),
    "game_events": (
        "hash",
        "(game_id, event_index, type, payload) VALUES (gen_random_uuid(), 0, 'a', '{}')",
    ),
}


@pytest.fixture
async def owner(fresh_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect as the owner of the tables."""
    connection = await asyncpg.connect(fresh_dsn)
    yield connection
    await connection.close()


async def test_bot_that_is_inserted_gets_a_player(owner: asyncpg.Connection) -> None:
    bot = await owner.fetchval(BOT.format(address="ab" * 20))
    player = await owner.fetchrow(
        "SELECT p.display_name, p.is_bot FROM bot_identities b JOIN players p ON p.id = b.player_id"
        " WHERE b.id = $1",
        bot,
    )
    assert tuple(player) == ("bot_abc123", True)


async def test_events_of_a_day_that_are_inserted_are_numbered(owner: asyncpg.Connection) -> None:
    day = await owner.fetchval(EPOCH, await owner.fetchval(PROFILE))
    for _ in range(2):
        await owner.execute(
            "INSERT INTO epoch_events (epoch_id, event_type) VALUES ($1, $2)", day, CLAIMED
        )
    versions = await owner.fetch("SELECT version FROM epoch_events WHERE epoch_id = $1", day)
    assert sorted(version for (version,) in versions) == [1, 2]
    assert await owner.fetchval("SELECT version FROM epochs WHERE id = $1", day) == 2


async def test_lobby_that_is_inserted_has_four_seats(owner: asyncpg.Connection) -> None:
    assert await owner.fetchval("INSERT INTO lobbies (status) VALUES ('OPEN') RETURNING seats") == 4


@pytest.mark.parametrize("table", REFUSED)
async def test_what_has_no_right_value_is_refused_by_its_column(
    owner: asyncpg.Connection, table: str
) -> None:
    column, rest = REFUSED[table]
    with pytest.raises(asyncpg.NotNullViolationError) as refused:
        await owner.execute(f"INSERT INTO {table} {rest}")
    assert refused.value.column_name == column
