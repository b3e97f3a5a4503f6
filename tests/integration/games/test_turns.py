"""Turns that pass by themselves: deadlines, the absent, bots, and those who come back."""

import asyncio
from itertools import count

from protocol.errors import PlayhallError
from server.domains.play.games.live_game import LiveGame
from tests.integration.games.conftest import Room, act


async def until(game: LiveGame, committed: int) -> None:
    async with asyncio.timeout(20):
        while game.committed < committed:
            await asyncio.sleep(0.01)


def kinds(rows: list[object]) -> list[str]:
    return [row.type for row in rows]  # type: ignore[attr-defined]


async def test_overdue_turn_is_played_for_the_player(room: Room) -> None:
    game = await room.game("four_in_a_row", [None, None], turn_timeout_s=1.0)
    start = game.committed
    await until(game, start + 1)
    assert game.fold.turn is not None
    assert game.fold.turn.seats == (1,)


async def test_seat_that_was_left_is_played_at_once(room: Room) -> None:
    game = await room.game("el_dorado", [None, "random", "random"], rounds=1)
    game.record_presence("player_left", 0)
    await room.completed(game.game_id)
    rows = await room.store.read_log(game.game_id)
    assert kinds(rows).count("player_bid") == 3  # type: ignore[arg-type]


async def test_bots_play_on_until_a_person_is_to_act(room: Room) -> None:
    game = await room.game("el_dorado", [None, "random", "random"], rounds=1)
    numbers = count(1)
    async with asyncio.timeout(20):
        while not game.fold.table.completed:
            turn = game.fold.turn
            if turn is not None and turn.seats == (0,) and game.is_settled:
                move = game.fold.ruleset.view(game.fold.state, 0)["legal_moves"][0]
                assert not isinstance(await act(game, 0, next(numbers), move), PlayhallError)
            await asyncio.sleep(0.002)
    await room.completed(game.game_id)


async def test_deadline_counts_from_the_event_that_began_the_turn(room: Room) -> None:
    game = await room.game("four_in_a_row", [None, None], turn_timeout_s=60.0)
    rows = await room.store.read_log(game.game_id)
    deadline_ms = int(rows[-1].at.timestamp() * 1000 + 0.5) + 60_000
    assert game.fold.deadline_ms == deadline_ms
    await asyncio.sleep(0.01)
    assert isinstance(await act(game, 1, 1, {"type": "drop", "column": 3}), PlayhallError)
    game.record_presence("player_disconnected", 0)
    assert game.fold.at_ms > game.fold.turn_at_ms
    assert game.fold.deadline_ms == deadline_ms  # nothing that happens in a turn prolongs it
