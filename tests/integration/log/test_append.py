"""The first promises of the log: contiguous, fenced, one game's trouble its own."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from persistence.database import Database
from persistence.eventlog.completion import Completion
from persistence.eventlog.hashchain import genesis_hash
from persistence.eventlog.writer import (
    SQL,
    EventRow,
    GameBatch,
    LogState,
    OwnerFenced,
    RowsLost,
    RowsRefused,
)
from persistence.games.model import GameRow, LobbyChanged
from persistence.games.store import GameStore
from protocol.history import GameSummary
from protocol.ids import GameId, LobbyId, new_id
from tests.integration.log.conftest import AT, Bench, Written

INSERT_EVENT = (
    "INSERT INTO game_events (game_id, event_index, type, payload, created_at, hash)"
    " VALUES ($1, $2, 'moved', '{}', $3, $4)"
)


COMPLETION = Completion(
    at=AT,
    summary=GameSummary(
        players=[{"player_id": new_id(), "seat_index": 0}],
        rounds=[],
        final_scores={},
        highest_bid=None,
        highest_score=None,
        lowest_score=None,
        most_consecutive_wins=None,
        most_consecutive_losses=None,
        highest_misplay=None,
    ),
    results=(),
    winner_id=None,
)

last_or_not = pytest.mark.parametrize("completion", [None, COMPLETION], ids=["more", "last"])


@pytest.fixture
async def owner(fresh_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection."""
    connection = await asyncpg.connect(fresh_dsn)
    yield connection
    await connection.close()


async def test_appended_events_are_stored_in_order_without_a_gap(bench: Bench) -> None:
    games = [await bench.game() for _ in range(20)]
    chance = random.Random(7)
    for _ in range(300):
        chance.choice(games).append(chance.randint(1, 3))
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    for game in games:
        await game.until(committed=game.next_index - 1)
        assert await bench.indexes(game) == list(range(game.next_index))
        assert game.committed == list(range(1, game.next_index))


async def test_many_games_share_a_batch(bench: Bench) -> None:
    games = [await bench.game() for _ in range(50)]
    before = bench.log.metrics.batches
    for game in games:
        game.append(2)
    for game in games:
        await game.until(committed=2)
    assert bench.log.metrics.batches - before == 1


async def test_a_game_does_not_wait_for_a_writer_that_is_busy_while_another_is_idle(
    bench: Bench,
) -> None:
    held, *others = [await bench.game() for _ in range(8)]
    intruder = await bench.database.open_unpooled_connection()
    try:
        transaction = intruder.transaction()
        await transaction.start()
        # An event of the same index that may yet be committed: the writer's statement waits for it.
        await intruder.execute(INSERT_EVENT, held.game_id, held.next_index, AT, held.hash)
        held.append(1)
        assert held.handle is not None
        async with asyncio.timeout(20):
            while held.handle.state is not LogState.WRITING:
                await asyncio.sleep(0)
        for game in others:
            game.append(1)
        for game in others:
            await game.until(committed=1)
        # Not in the solo lane, where it is once the database has given its statement up.
        assert held.handle.state is LogState.WRITING
        await transaction.rollback()
        await held.until(committed=1)
    finally:
        await intruder.close()


async def test_append_compares_no_game_with_all_others(owner: asyncpg.Connection) -> None:
    await owner.execute(
        "INSERT INTO games (session_seed, config, status, ruleset, ruleset_version)"
        " SELECT 's', '{}', 'in_progress', 'relay', 1 FROM generate_series(1, 1000)"
    )
    await owner.execute("ANALYZE games")
    await owner.execute("SET plan_cache_mode = force_generic_plan")
    await owner.execute(f"PREPARE append AS {SQL['append']}")
    lines = await owner.fetch(f"EXPLAIN EXECUTE append({', '.join(['NULL'] * 10)})")
    plan = "\n".join(line for (line,) in lines)
    assert "Join Filter" not in plan, plan


async def test_what_was_written_is_read_back_the_same(bench: Bench) -> None:
    game = await bench.game()
    game.append(1, text='ä€😀\u2028"\\', number=1e16, small=-0.0, deep=[{"a": [None, True, 1.5]}])
    await game.until(committed=1)
    row = (await bench.store.read_events(game.game_id, after=0))[0]
    assert row.at == AT
    assert row.hash == game.hash


@last_or_not
async def test_stale_owner_writes_nothing(bench: Bench, completion: Completion | None) -> None:
    game = await bench.game()
    other = GameStore(bench.database, node="there")
    claim = await other.claim_game(game.game_id)
    assert claim is not None
    assert (claim.owner_epoch, claim.next_event_index) == (2, 1)
    game.append(1, completion)
    assert isinstance(await game.fate(), OwnerFenced)
    assert await bench.indexes(game) == [0]


@last_or_not
async def test_stale_owner_does_not_take_the_rows_of_the_next_for_its_own(
    bench: Bench, completion: Completion | None
) -> None:
    game = await bench.game()
    await GameStore(bench.database, node="there").claim_game(game.game_id)
    other = Written(game.game_id, bench.log, next_index=1, hash=game.hash)
    other.open(owner_epoch=2)
    other.append(1, by="the next owner")
    await other.until(committed=1)
    game.append(1, completion)  # the head is where these would have brought it
    assert isinstance(await game.fate(), OwnerFenced)
    assert [row.hash for row in await bench.store.read_log(game.game_id)][1:] == [other.hash]


@last_or_not
async def test_rows_at_another_head_are_not_written(
    bench: Bench, completion: Completion | None
) -> None:
    game = await bench.game()
    game.next_index = 5
    game.append(1, completion)
    assert isinstance(await game.fate(), OwnerFenced)
    assert await bench.indexes(game) == [0]


@last_or_not
async def test_rows_that_are_there_are_committed_and_not_written_again(
    bench: Bench, owner: asyncpg.Connection, completion: Completion | None
) -> None:
    # As where the answer to the first statement was lost: whoever asks again cannot know.
    game = await bench.game()
    rows = game.rows(2)
    for times in (1, 2):
        game.open().append(rows, completion)
        await game.until(committed=2 * times)
    assert game.lost == []
    assert await bench.indexes(game) == [0, 1, 2]
    ends = "SELECT count(*) FROM game_summaries WHERE game_id = $1"
    assert await owner.fetchval(ends, game.game_id) == (completion is not None)


async def test_nothing_follows_the_end(bench: Bench) -> None:
    game = await bench.game()
    game.append(1, COMPLETION)
    await game.until(committed=1)
    game.open().append(game.rows(1))
    assert isinstance(await game.fate(), OwnerFenced)
    assert await bench.indexes(game) == [0, 1]


@last_or_not
async def test_events_of_a_game_that_is_not_there_are_not_written(
    bench: Bench, owner: asyncpg.Connection, completion: Completion | None
) -> None:
    # From PostgreSQL 18 on no foreign key sees to it.
    missing = Written(GameId(new_id()), bench.log)
    missing.open()
    others = [await bench.game() for _ in range(8)]
    for game in (missing, *others):
        game.append(2, completion)
    for game in others:
        await game.until(committed=2)
    written = await owner.fetchval(
        "SELECT count(*) FROM game_events WHERE game_id = $1", missing.game_id
    )
    assert (written, missing.committed) == (0, [])


async def test_fenced_game_does_not_hurt_its_batch_mates(bench: Bench) -> None:
    games = [await bench.game() for _ in range(6)]
    await bench.store.claim_game(games[3].game_id)
    for game in games:
        game.append(2)
    await games[3].until(lost=1)
    for game in games[:3] + games[4:]:
        await game.until(committed=2)


async def test_locked_game_does_not_hold_up_the_others(
    bench: Bench, fresh_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried_alone = asyncio.Event()
    put_back = bench.log._put_back

    def noted(batch: GameBatch) -> None:
        tried_alone.set()
        put_back(batch)

    monkeypatch.setattr(bench.log, "_put_back", noted)
    games = [await bench.game() for _ in range(6)]
    holder = await asyncpg.connect(fresh_dsn)
    lock = holder.transaction()
    await lock.start()
    await holder.execute("SELECT FROM games WHERE id = $1 FOR UPDATE", games[0].game_id)
    before = bench.log.metrics.batches
    for game in games:
        game.append(1)
    for game in games[1:]:
        await game.until(committed=1)
    assert games[0].committed == []
    # In the statement that they share: it has not waited for the lock until it was given up.
    assert bench.log.metrics.batches - before == 1
    await asyncio.wait_for(tried_alone.wait(), 30)
    await lock.rollback()
    await games[0].until(committed=1)
    await holder.close()


async def test_event_that_the_database_refuses_fails_its_game_alone(bench: Bench) -> None:
    games = [await bench.game() for _ in range(9)]
    for game in games:
        game.append(1)
    bad = games[4].rows(1)[0]._replace(payload=b'{"text":"\\u0000"}')
    assert games[4].handle is not None
    games[4].handle.append([bad])
    await games[4].until(lost=1)
    assert isinstance(games[4].lost[0], RowsRefused)
    for game in games[:4] + games[5:]:
        await game.until(committed=1)


async def test_owner_that_raises_when_called_takes_no_other_game_along(bench: Bench) -> None:
    games = [await bench.game() for _ in range(6)]
    losses: list[RowsLost] = []

    def raising(_: list[EventRow]) -> None:
        raise RuntimeError("an owner's bug")

    bad = bench.log.open_game(games[2].game_id, 1, committed=raising, failed=losses.append)
    for game in games[:2] + games[3:]:
        game.append(2)
    bad.append(games[2].rows(1))
    for game in games[:2] + games[3:]:
        await game.until(committed=2)
    async with asyncio.timeout(10):
        while not losses:
            await asyncio.sleep(0.01)
    assert await bench.indexes(games[2]) == [0, 1]  # committed, though nobody heard it
    bad.append(games[2].rows(1))  # dead: nothing more is written until it is read again
    games[0].append(1)
    await games[0].until(committed=3)
    assert await bench.indexes(games[2]) == [0, 1]
    assert bench.log.metrics.failures == 1


class OddRow(EventRow):
    """A row that cannot even be laid out for the database."""

    @property
    def event_index(self) -> int:  # type: ignore[override]  # that is the bug
        raise RuntimeError("a bug of ours")


async def test_rows_that_meet_a_bug_on_their_way_fail_their_game_alone(bench: Bench) -> None:
    games = [await bench.game() for _ in range(9)]
    for game in games[:4] + games[5:]:
        game.append(1)
    assert games[4].handle is not None
    games[4].handle.append([OddRow(*games[4].rows(1)[0])])
    await games[4].until(lost=1)
    assert isinstance(games[4].lost[0], RowsRefused)
    for game in games[:4] + games[5:]:
        await game.until(committed=1)
    games[0].append(1)
    await games[0].until(committed=2)
    assert bench.log.metrics.failures >= 1


async def test_terminated_connection_neither_loses_nor_repeats(bench: Bench, postgres: str) -> None:
    games = [await bench.game() for _ in range(10)]
    killer = await asyncpg.connect(postgres)
    for _ in range(30):
        for game in games:
            game.append(1)
        await asyncio.sleep(0.003)
        await killer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'playhall' AND query LIKE 'WITH batch%'"
        )
    await killer.close()
    for game in games:
        await game.until(committed=30)
        assert await bench.indexes(game) == list(range(31))


async def test_rows_whose_connection_is_lost_are_acknowledged_only_once_they_are_there(
    bench: Bench, owner: asyncpg.Connection
) -> None:
    game = await bench.game()
    intruder = await bench.database.open_unpooled_connection()
    transaction = intruder.transaction()
    await transaction.start()
    # An event of the same index that may yet be committed: what would write one waits for it.
    await intruder.execute(INSERT_EVENT, game.game_id, game.next_index, AT, game.hash)
    game.append(1)
    terminated: set[int] = set()
    for _ in range(2):  # the writer's connection, and that of the solo lane
        async with asyncio.timeout(20):
            while not (waiting := await _waiting_appends(owner) - terminated):
                assert (game.committed, game.lost) == ([], [])
                await asyncio.sleep(0.01)
        for pid in waiting:
            await owner.execute("SELECT pg_terminate_backend($1, 5000)", pid)
        terminated |= waiting
    await asyncio.sleep(0.1)
    assert (game.committed, game.lost) == ([], [])
    await transaction.rollback()
    await intruder.close()
    assert await game.fate() is None
    assert await bench.indexes(game) == [0, 1]


async def _waiting_appends(owner: asyncpg.Connection) -> set[int]:
    """Find the backends whose append waits for another transaction."""
    found = await owner.fetch(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
        " AND query LIKE 'WITH batch%' AND wait_event_type = 'Lock'"
    )
    return {pid for (pid,) in found}


async def test_game_of_a_lobby_that_changed_is_not_made(bench: Bench, database: Database) -> None:
    game = await bench.game()
    lobby = LobbyId(new_id())
    async with database.acquire() as connection:
        await connection.execute(
            "INSERT INTO lobbies (id, status, config, name, mode, ruleset, seats, version) "
            "VALUES ($1, 'OPEN', '{}', 'x', 'server', 'relay', 2, 2)",
            lobby,
        )
    stale = GameRow(
        id=GameId(new_id()),
        ruleset="relay",
        ruleset_version=1,
        seed="seed",
        config={},
        node="here",
        created_at=AT,
        lobby_id=lobby,
        lobby_version=1,
    )
    with pytest.raises(LobbyChanged):
        await bench.log.create_game(stale, game.rows(1))
    assert await bench.store.find(stale.id) is None


async def test_game_is_made_once_though_the_answer_is_lost(bench: Bench) -> None:
    game = Written(GameId(new_id()), bench.log)
    game.hash = genesis_hash(game.game_id)
    rows = game.rows(2)
    row = GameRow(
        id=game.game_id,
        ruleset="relay",
        ruleset_version=1,
        seed="seed",
        config={},
        node="here",
        created_at=AT,
    )
    await bench.log.create_game(row, rows)
    await bench.log.create_game(row, rows)
    # Also when both are under way at the same time, and neither sees what the other does.
    twice = replace(row, id=GameId(new_id()))
    await asyncio.gather(*(bench.log.create_game(twice, rows) for _ in range(4)))
    assert await bench.indexes(game) == [0, 1]
    assert len(await bench.store.read_log(twice.id)) == 2
