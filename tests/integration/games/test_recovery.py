"""A game from its log: the same game, or none at all."""

import asyncpg
import pytest

from protocol.errors import MoveRefused, Quarantined, WrongNode
from server.domains.play.games.live_game import LiveGame
from tests.integration.games.conftest import Room, act


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


DAMAGE = {
    "a row is missing": "DELETE FROM game_events WHERE game_id = $1 AND event_index = 1",
    "a payload was altered": "UPDATE game_events SET payload = payload || '{\"x\": 1}' "
    "WHERE game_id = $1 AND event_index = 1",
    "a hash was altered": "UPDATE game_events SET hash = decode(repeat('00', 16), 'hex') "
    "WHERE game_id = $1 AND event_index = 1",
    "a type was altered": "UPDATE game_events SET type = 'x' "
    "WHERE game_id = $1 AND event_index = 1",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
async def test_damaged_log_is_set_aside_and_others_are_not(
    room: Room, fresh_dsn: str, damage: str
) -> None:
    game, other = [await room.game("relay", [None, None]) for _ in range(2)]
    for one in (game, other):
        await act(one, 0, 1, {"x": 1})
        await act(one, 0, 2, {"x": 2})
        await forget(room, one)
    owner = await asyncpg.connect(fresh_dsn)
    await owner.execute("ALTER TABLE game_events DISABLE TRIGGER USER")
    await owner.execute(damage, game.game_id)
    await owner.close()
    for _ in range(2):
        with pytest.raises(Quarantined):
            await room.registry.find(game.game_id)
    [row] = await room.fetch("SELECT * FROM games WHERE id = $1", game.game_id)
    assert row["status"] == "in_progress"
    assert row["quarantine_reason"]
    assert await act(await room.registry.find(other.game_id), 0, 3, {"x": 3}) == other.head + 1
