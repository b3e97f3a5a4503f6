"""What never happens in the database, whoever tries: each rule, broken once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from persistence.database import Database
from tests.fixtures import rows


@pytest.fixture
async def owner(fresh_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection: what is refused here is refused to everybody."""
    connection = await asyncpg.connect(fresh_dsn)
    yield connection
    await connection.close()


# ------------------------------------------------------------------ the log


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE game_events SET type = 'other'",
        "UPDATE game_events SET event_index = 7",
        "DELETE FROM game_events",
        "TRUNCATE game_events",
        "TRUNCATE game_events_3",
        "TRUNCATE games CASCADE",
        "DELETE FROM games",
    ],
)
@pytest.mark.parametrize("as_replica", [False, True])
async def test_the_log_cannot_be_rewritten_even_by_a_superuser(
    owner: asyncpg.Connection, statement: str, as_replica: bool
) -> None:
    game_id = await rows.add_game(owner)
    await rows.add_event(owner, game_id, 0)
    if as_replica:  # how triggers are usually got round
        await owner.execute("SET session_replication_role = replica")
    with pytest.raises(asyncpg.RestrictViolationError, match="refused"):
        await owner.execute(statement)
    assert await owner.fetchval("SELECT count(*) FROM game_events WHERE type = 'played'") == 1


@pytest.mark.parametrize(
    "verb", ["UPDATE game_events SET type = ''", "DELETE FROM game_events", "TRUNCATE game_events"]
)
async def test_the_servers_role_has_no_right_to_rewrite_the_log(
    database: Database, verb: str
) -> None:
    single = await database.open_unpooled_connection()
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await single.execute(verb)
    await single.close()


async def test_events_are_deleted_only_once_their_archive_is_released(
    owner: asyncpg.Connection,
) -> None:
    game_id = await rows.add_game(owner)
    await rows.add_event(owner, game_id, 0)
    await owner.execute(
        "INSERT INTO game_archives (game_id, object_key, events, head_hash, content_sha256,"
        " content_bytes, object_bytes, last_event_at)"
        " VALUES ($1, 'key', 1, decode(repeat('00', 16), 'hex'), sha256(''), 1, 1, now())",
        game_id,
    )
    with pytest.raises(asyncpg.RestrictViolationError, match="refused"):
        await owner.execute("DELETE FROM game_events")
    await owner.execute("UPDATE game_archives SET released_at = now()")
    await owner.execute("DELETE FROM game_events")
    with pytest.raises(asyncpg.RestrictViolationError, match="the only copy"):
        await owner.execute("DELETE FROM game_archives")


async def test_the_servers_role_appends_and_reads(database: Database) -> None:
    async with database.acquire() as connection:
        game_id = await rows.add_game(connection)
        await rows.add_event(connection, game_id, 0)
        assert await connection.fetchval("SELECT count(*) FROM game_events") == 1


async def test_an_index_is_taken_once(owner: asyncpg.Connection) -> None:
    game_id = await rows.add_game(owner)
    await rows.add_event(owner, game_id, 0)
    with pytest.raises(asyncpg.UniqueViolationError):
        await rows.add_event(owner, game_id, 0)


async def test_an_event_belongs_to_a_game(owner: asyncpg.Connection) -> None:
    # From PostgreSQL 18 on, it is the writers that see to it: `integration/log/test_append`.
    await owner.execute("SELECT playhall_auth.choose_event_form(false)")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await rows.add_event(owner, uuid4(), 0)


async def test_a_negative_index_is_refused(owner: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="event_index"):
        await rows.add_event(owner, await rows.add_game(owner), -1)


async def test_a_hash_of_another_size_is_refused(owner: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="hash"):
        await rows.add_event(owner, await rows.add_game(owner), 0, rows.HASH + b"\0")


@pytest.mark.parametrize("use_newest", [False, True])
async def test_an_events_id_follows_from_its_key(
    owner: asyncpg.Connection, use_newest: bool
) -> None:
    choose = "SELECT playhall_auth.choose_event_form($1)"
    await owner.execute(choose, use_newest)
    game_id = await rows.add_game(owner)
    await rows.add_event(owner, game_id, 12)
    expected = await owner.fetchval("SELECT md5($1)::uuid", f"{game_id}:12")
    assert await owner.fetchval("SELECT id FROM game_events") == expected
    await owner.execute(choose, not use_newest)
    assert await owner.fetchval("SELECT id FROM game_events") == expected
    with pytest.raises(asyncpg.GeneratedAlwaysError):
        await owner.execute("INSERT INTO game_events (id) VALUES ($1)", uuid4())


async def test_events_are_spread_over_eight_parts(owner: asyncpg.Connection) -> None:
    for _ in range(64):
        await rows.add_event(owner, await rows.add_game(owner), 0)
    assert await owner.fetchval("SELECT count(DISTINCT tableoid) FROM game_events") == 8


# ------------------------------------------------------------------ games


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("status = 'created'", "status moves only forward"),
        ("owner_epoch = 4", "owner_epoch never decreases"),
        ("next_event_index = 9", "next_event_index never decreases"),
        ("ruleset = 'other'", "what a game began with is fixed"),
        ("ruleset_version = 2", "what a game began with is fixed"),
        ("session_seed = 'other'", "what a game began with is fixed"),
        ("""config = '{"seats": 5}'""", "what a game began with is fixed"),
        ("id = gen_random_uuid()", "what a game began with is fixed"),
    ],
)
async def test_a_game_does_not_go_back(owner: asyncpg.Connection, change: str, why: str) -> None:
    await rows.add_game(owner)
    await owner.execute("UPDATE games SET owner_epoch = 5, next_event_index = 10")
    with pytest.raises(asyncpg.RestrictViolationError, match=why):
        await owner.execute(f"UPDATE games SET {change}")


async def test_a_completed_game_stays_completed(owner: asyncpg.Connection) -> None:
    game_id = await rows.add_game(owner)
    async with owner.transaction():
        await rows.add_summary(owner, game_id)
        await owner.execute("UPDATE games SET status = 'completed', completed_at = now()")
    with pytest.raises(asyncpg.RestrictViolationError, match="only forward"):
        await owner.execute("UPDATE games SET status = 'in_progress', completed_at = NULL")


async def test_a_game_goes_forward(owner: asyncpg.Connection) -> None:
    game_id = await rows.add_game(owner, status="created")
    await owner.execute(
        "UPDATE games SET status = 'in_progress', started_at = now(), config = config,"
        " owner_epoch = 2, next_event_index = 1"
    )
    async with owner.transaction():
        await owner.execute("UPDATE games SET status = 'completed', completed_at = now()")
        await rows.add_summary(owner, game_id)  # the order within the transaction is free
    assert await owner.fetchval("SELECT status FROM games") == "completed"


async def test_a_completed_game_without_a_summary_is_refused_at_commit(
    owner: asyncpg.Connection,
) -> None:
    await rows.add_game(owner)
    completing = owner.transaction()
    await completing.start()
    await owner.execute("UPDATE games SET status = 'completed', completed_at = now()")
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="has no summary"):
        await completing.commit()
    assert await owner.fetchval("SELECT status FROM games") == "in_progress"


@pytest.mark.parametrize("change", ["status = 'completed'", "completed_at = now()"])
async def test_status_and_time_of_completion_go_together(
    owner: asyncpg.Connection, change: str
) -> None:
    await rows.add_game(owner)
    with pytest.raises(asyncpg.CheckViolationError, match="games_completed_has_time"):
        await owner.execute(f"UPDATE games SET {change}")


async def test_an_unknown_status_is_refused(owner: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await rows.add_game(owner, status="paused")


async def test_a_quarantine_has_a_reason(owner: asyncpg.Connection) -> None:
    await rows.add_game(owner)
    with pytest.raises(asyncpg.CheckViolationError, match="games_quarantine_has_reason"):
        await owner.execute("UPDATE games SET quarantined_at = now()")


@pytest.mark.parametrize("statement", ["DELETE FROM game_summaries", "TRUNCATE game_summaries"])
async def test_a_summary_is_kept(owner: asyncpg.Connection, statement: str) -> None:
    await rows.add_summary(owner, await rows.add_game(owner))
    with pytest.raises(asyncpg.RestrictViolationError):
        await owner.execute(statement)


async def test_moving_the_head_touches_no_index(owner: asyncpg.Connection) -> None:
    await rows.add_game(owner)
    before = await owner.fetchval("SELECT ctid::text FROM games")
    for head in range(1, 20):
        await owner.execute("UPDATE games SET next_event_index = $1", head)
    await owner.execute("SELECT pg_stat_force_next_flush()")
    moved = await owner.fetchrow(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'games'"
    )
    assert before != await owner.fetchval("SELECT ctid::text FROM games")
    assert moved is not None
    assert tuple(moved) == (19, 19)


# ------------------------------------------------------------------ profiles


@pytest.mark.parametrize(
    ("username", "constraint"),
    [
        ("Ada", "profiles_username_lowercase"),
        ("ad", "profiles_username_length"),
        ("a" * 25, "profiles_username_length"),
    ],
)
async def test_a_bad_username_is_refused(
    owner: asyncpg.Connection, username: str, constraint: str
) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match=constraint):
        await rows.add_profile(owner, username)


async def test_a_username_is_taken_once_but_may_be_left_open(owner: asyncpg.Connection) -> None:
    await rows.add_profile(owner, None)
    await rows.add_profile(owner, None)
    await rows.add_profile(owner, "ada")
    with pytest.raises(asyncpg.UniqueViolationError):
        await rows.add_profile(owner, "ada")


async def test_a_deleted_account_takes_its_profile_and_sessions_along(
    owner: asyncpg.Connection,
) -> None:
    user_id = await rows.add_profile(owner, "ada")
    await owner.execute("INSERT INTO playhall_auth.sessions (user_id) VALUES ($1)", user_id)
    await owner.execute("DELETE FROM auth.users")
    counts = "SELECT (SELECT count(*) FROM profiles), (SELECT count(*) FROM playhall_auth.sessions)"
    assert tuple(await owner.fetchrow(counts) or ()) == (0, 0)


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ("", None),
        ("{}", None),
        (
            '{"sub": "00000000-0000-4000-8000-000000000001"}',
            "00000000-0000-4000-8000-000000000001",
        ),
    ],
)
async def test_auth_uid_reads_the_requests_claims(
    database: Database, claims: str, expected: str | None
) -> None:
    async with database.transaction() as connection:
        await connection.execute("SELECT set_config('request.jwt.claims', $1, true)", claims)
        assert await connection.fetchval("SELECT auth.uid()") == expected


# ------------------------------------------------------------------ lobbies


@pytest.mark.parametrize("code", ["ABC23", "ABC2345", "ABC10Z", "ABCIO2", "abc234"])
async def test_a_join_code_of_other_letters_is_refused(
    owner: asyncpg.Connection, code: str
) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="lobbies_join_code_check"):
        await rows.add_lobby(owner, join_code=code)
    with pytest.raises(asyncpg.CheckViolationError, match="room_directory_join_code_check"):
        await owner.execute(
            "INSERT INTO room_directory (game_id, join_code, max_players, current_players)"
            " VALUES ($1, $2, 2, 0)",
            await rows.add_game(owner),
            code,
        )


async def test_a_join_code_is_free_again_once_its_lobby_is_closed(
    owner: asyncpg.Connection,
) -> None:
    await rows.add_lobby(owner, join_code="ABC234")
    with pytest.raises(asyncpg.UniqueViolationError):
        await rows.add_lobby(owner, join_code="ABC234")
    await owner.execute("UPDATE lobbies SET status = 'CLOSED'")
    await rows.add_lobby(owner, join_code="ABC234")


@pytest.mark.parametrize("seats", [0, 65])
async def test_a_lobby_has_1_to_64_seats(owner: asyncpg.Connection, seats: int) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="lobbies_seats_check"):
        await rows.add_lobby(owner, seats=seats)


async def test_a_seat_is_taken_once(owner: asyncpg.Connection) -> None:
    lobby_id = await rows.add_lobby(owner)
    await rows.join(owner, lobby_id, seat=0)
    with pytest.raises(asyncpg.UniqueViolationError, match="lobby_members_seat_taken_once"):
        await rows.join(owner, lobby_id, seat=0)


async def test_a_player_without_a_seat_is_refused(owner: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="lobby_members_players_sit"):
        await rows.join(owner, await rows.add_lobby(owner), seat=None, role="player")


async def test_a_spectator_on_a_seat_is_refused(owner: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="lobby_members_players_sit"):
        await rows.join(owner, await rows.add_lobby(owner), seat=0, role="spectator")


async def test_a_lobby_lists_players_by_seat_then_spectators(owner: asyncpg.Connection) -> None:
    lobby_id = await rows.add_lobby(owner)
    watching = await rows.join(owner, lobby_id, seat=None, role="spectator")
    second = await rows.join(owner, lobby_id, seat=1)
    first = await rows.join(owner, lobby_id, seat=0)
    assert await rows.listed(owner, lobby_id) == [first, second, watching]

    await owner.execute("UPDATE lobby_members SET seat = 2 WHERE player_id = $1", first)
    assert await rows.listed(owner, lobby_id) == [second, first, watching]

    await owner.execute("DELETE FROM lobby_members WHERE player_id = $1", second)
    assert await rows.listed(owner, lobby_id) == [first, watching]

    await owner.execute("DELETE FROM lobby_members")
    assert await rows.listed(owner, lobby_id) == []


async def test_players_who_join_at_once_are_all_listed(database: Database) -> None:
    async with database.acquire() as connection:
        lobby_id = await rows.add_lobby(connection)

    async def join(seat: int) -> Any:
        async with database.transaction() as connection:
            return await rows.join(connection, lobby_id, seat=seat)

    async with asyncio.TaskGroup() as tasks:
        joins = [tasks.create_task(join(seat)) for seat in range(16)]
    async with database.acquire() as connection:
        assert await rows.listed(connection, lobby_id) == [join.result() for join in joins]


async def test_a_deleted_lobby_takes_its_members_along(owner: asyncpg.Connection) -> None:
    await rows.join(owner, await rows.add_lobby(owner), seat=0)
    await owner.execute("DELETE FROM lobbies")
    assert await owner.fetchval("SELECT count(*) FROM lobby_members") == 0


# ------------------------------------------------------------------ results


async def test_the_same_players_statistics_are_one_row(owner: asyncpg.Connection) -> None:
    player_id = await rows.add_player(owner)
    add = "INSERT INTO player_lifetime_stats (player_id) VALUES ($1)"
    await owner.execute(add, player_id)
    with pytest.raises(asyncpg.UniqueViolationError):
        await owner.execute(add, player_id)


async def test_a_game_is_one_match(owner: asyncpg.Connection) -> None:
    game_id = await rows.add_game(owner)
    await owner.execute("INSERT INTO matches (game_id) VALUES ($1)", game_id)
    with pytest.raises(asyncpg.UniqueViolationError):
        await owner.execute("INSERT INTO matches (game_id) VALUES ($1)", game_id)
