"""A game from its log: the same game, or none at all."""

import asyncpg
import pytest

from persistence.games.store import GameStore
from protocol.errors import MoveRefused, Quarantined, WrongNode
from server.domains.play.games.live_game import LiveGame
from tests.integration.games.conftest import Recorder, Room, act


async def forget(room: Room, game: LiveGame) -> None:
    """Lose a game's memory, as a crash does; the log is all that is left."""
    room.registry._drop(game)


async def test_recovered_game_goes_on_where_it_stopped(room: Room) -> None:
    game = await room.game("four_in_a_row", [None, None])
    first = await act(game, 0, 1, {"type": "drop", "column": 3})
    refused = await act(game, 0, 2, {"type": "drop", "column": 3})
    assert isinstance(refused, MoveRefused)
    await forget(room, game)
    again = await room.registry.find(game.game_id)
    assert again is not game
    assert again.head == game.head
    assert again.fold.ruleset.view(again.fold.state, 0) == game.fold.ruleset.view(
        game.fold.state, 0
    )
    assert again.fold.deadline_ms == game.fold.deadline_ms
    assert await act(again, 0, 1, {"type": "drop", "column": 6}) == first
    repeated = await act(again, 0, 2, {"type": "drop", "column": 6})
    assert isinstance(repeated, MoveRefused)
    assert repeated.event_index == refused.event_index
    assert await act(again, 1, 1, {"type": "drop", "column": 0}) == game.head + 1


async def test_game_of_a_live_node_is_not_taken(room: Room) -> None:
    game = await room.game("relay", [None, None])
    await room.fetch(
        "INSERT INTO nodes (id, address, started_at, lease_until) "
        "VALUES ('there', 'http://there:1', now(), now() + interval '1 minute')"
    )
    await room.fetch("UPDATE games SET owner_node = 'there' WHERE id = $1", game.game_id)
    await forget(room, game)
    with pytest.raises(WrongNode) as refused:
        await room.registry.find(game.game_id)
    assert refused.value.address == "http://there:1"
    await room.fetch("UPDATE nodes SET lease_until = now() - interval '1 second'")
    assert await room.registry.adopt_orphaned() == 1
    assert room.registry.find_loaded(game.game_id) is not None


# What is done to a log, and what is said of it.
DAMAGE = {
    "a row is missing": (
        "DELETE FROM game_events WHERE game_id = $1 AND event_index = 1",
        "2 events are there, 3 were written",
    ),
    "the last row is missing": (
        "DELETE FROM game_events WHERE game_id = $1 AND event_index = 2",
        "2 events are there, 3 were written",
    ),
    "a row is missing and the head was moved": (
        "WITH moved AS (UPDATE games SET next_event_index = 2 WHERE id = $1) "
        "DELETE FROM game_events WHERE game_id = $1 AND event_index = 1",
        "event 1 is missing",
    ),
    "a payload was altered": (
        "UPDATE game_events SET payload = payload || '{\"x\": 1}' "
        "WHERE game_id = $1 AND event_index = 1",
        "event 1 breaks the hash chain",
    ),
    "a hash was altered": (
        "UPDATE game_events SET hash = decode(repeat('00', 16), 'hex') "
        "WHERE game_id = $1 AND event_index = 1",
        "event 1 breaks the hash chain",
    ),
    "a type was altered": (
        "UPDATE game_events SET type = 'x' WHERE game_id = $1 AND event_index = 1",
        "event 1 breaks the hash chain",
    ),
    "the seed was altered": (
        "UPDATE games SET session_seed = 'other' WHERE id = $1",
        "the first event does not commit to this game's seed",
    ),
}


@pytest.mark.parametrize(("damage", "reason"), DAMAGE.values(), ids=DAMAGE)
async def test_damaged_log_is_set_aside_and_others_are_not(
    room: Room, fresh_dsn: str, damage: str, reason: str
) -> None:
    game, other = [await room.game("relay", [None, None]) for _ in range(2)]
    for one in (game, other):
        await act(one, 0, 1, {"x": 1})
        await act(one, 0, 2, {"x": 2})
        await forget(room, one)
    owner = await asyncpg.connect(fresh_dsn)
    await owner.execute("ALTER TABLE game_events DISABLE TRIGGER USER")
    await owner.execute("ALTER TABLE games DISABLE TRIGGER USER")
    await owner.execute(damage, game.game_id)
    await owner.close()
    for _ in range(2):
        with pytest.raises(Quarantined):
            await room.registry.find(game.game_id)
    [row] = await room.fetch("SELECT * FROM games WHERE id = $1", game.game_id)
    assert row["status"] == "in_progress"
    assert row["quarantine_reason"] == reason
    assert await act(await room.registry.find(other.game_id), 0, 3, {"x": 3}) == other.head + 1


async def test_damaged_log_keeps_no_other_game_from_being_adopted(
    room: Room, fresh_dsn: str
) -> None:
    games = [await room.game("relay", [None, None]) for _ in range(3)]  # adopted in this order
    for game in games:
        await forget(room, game)
    owner = await asyncpg.connect(fresh_dsn)
    await owner.execute("ALTER TABLE game_events DISABLE TRIGGER USER")
    damage, _ = DAMAGE["a type was altered"]
    await owner.execute(damage.replace("event_index = 1", "event_index = 0"), games[0].game_id)
    await owner.close()
    assert await room.registry.reclaim_own() == 2
    assert {game.game_id for game in room.registry.games()} == {games[1].game_id, games[2].game_id}


@pytest.mark.parametrize("by", ["there", "here"])
async def test_game_that_was_taken_over_is_dropped_and_its_followers_come_back_for_it(
    room: Room, by: str
) -> None:
    taken, kept = [await room.game("relay", [None, None]) for _ in range(2)]
    for game in (taken, kept):
        game.subscribers.admit(watcher := Recorder(), None)
        if game is taken:
            of_taken = watcher
    await GameStore(room.database, node=by).claim_game(taken.game_id)
    await room.registry.unload_lost()
    assert room.registry.games() == [kept]
    assert [why.reason for why in of_taken.hung_up] == ["wrong_node"]
    assert watcher.hung_up == []


async def test_former_owner_sets_no_game_aside(room: Room) -> None:
    game = await room.game("relay", [None, None])
    await GameStore(room.database, node="there").claim_game(game.game_id)
    await room.store.quarantine(game.game_id, "its rules failed", owner_epoch=game.owner_epoch)
    assert not await room.registry.is_quarantined(game.game_id)
    stored = await room.store.find(game.game_id)
    assert stored is not None
    assert not stored.quarantined
