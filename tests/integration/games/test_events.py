"""The event that a game's end leaves, in the transaction that ends it."""

from protocol.domain_events import GameCompleted, LobbyClosed
from tests.fixtures.rows import events_in
from tests.integration.games.conftest import Room


async def test_end_of_a_game_leaves_one_event_with_its_result(room: Room) -> None:
    game = await room.game("four_in_a_row", ["random", "random"])
    await room.completed(game.game_id)
    async with room.database.acquire() as connection:
        completed, closed = await events_in(connection)
        match = await connection.fetchrow("SELECT * FROM matches WHERE game_id = $1", game.game_id)
        players = await connection.fetch(
            "SELECT player_id, seat, score, is_winner, forfeited FROM match_players ORDER BY seat"
        )
        times = await connection.fetchrow(
            "SELECT e.occurred_at = g.completed_at AS is_same FROM event_outbox e, games g"
            " WHERE e.name = 'game.completed'"
        )
    assert isinstance(completed, GameCompleted)
    assert completed.game_id == game.game_id
    assert completed.lobby_id == game.lobby_id
    assert completed.ruleset == "four_in_a_row"
    assert completed.winner_id == match["winner_id"]
    assert completed.uncounted is None
    assert [player.model_dump() for player in completed.players] == [dict(row) for row in players]
    assert completed.started_at is not None
    assert completed.started_at <= completed.completed_at
    assert completed.completed_at.endswith("Z")
    assert times["is_same"]
    assert closed == LobbyClosed(
        lobby_id=game.lobby_id,
        mode="server",
        ruleset="four_in_a_row",
        game_id=game.game_id,
        match_id=None,
    )
