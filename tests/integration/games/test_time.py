"""Time in rules: timers, deadlines shared by seats, and the times that a log keeps."""

import asyncio
from datetime import timedelta

import asyncpg
import orjson
import pytest

from protocol.errors import GameOver, PlayhallError, Quarantined
from server.gamekit.clocks import TimeControl
from server.gamekit.contract import Event, Timer
from server.rulesets.reversi import RULESET
from tests.integration.games.conftest import Room, act

OPENING = {"type": "place", "cell": 19}
ROCK = {"type": "throw", "throw": "rock"}


def clock(main_s: float, increment_s: float = 0.0) -> dict[str, object]:
    return TimeControl(main_s=main_s, increment_s=increment_s).model_dump()


async def test_clock_that_reaches_zero_ends_the_game_without_a_move(room: Room) -> None:
    game = await room.game("reversi", [None, None], clock=clock(1.0))
    await room.completed(game.game_id)
    *_, flagged, completed = await room.store.read_log(game.game_id)
    assert flagged.type == "time_ran_out"
    assert completed.type == "game_completed"
    first = (await room.store.read_log(game.game_id))[0]
    assert flagged.at - first.at >= timedelta(seconds=1)


async def test_move_after_the_clock_has_reached_zero_comes_too_late(room: Room) -> None:
    game = await room.game("reversi", [None, None], clock=clock(1.0))
    room.registry._turns[game.game_id].stop()  # as if the loop were behind
    await asyncio.sleep(1.05)
    with pytest.raises(GameOver):
        await act(game, 0, 1, OPENING)
    await room.completed(game.game_id)
    assert [row.type for row in await room.store.read_log(game.game_id)] == [
        "game_created",
        "time_ran_out",
        "game_completed",
    ]


async def test_taken_over_game_has_the_same_clocks_to_the_millisecond(room: Room) -> None:
    game = await room.game("reversi", [None, None], clock=clock(60.0, 2.0))
    await act(game, 0, 1, OPENING)
    before = (game.fold.timer, game.fold.state.clock, game.snapshot(1))
    room.registry._drop(game)
    again = await room.registry.find(game.game_id)
    assert again is not game
    assert (again.fold.timer, again.fold.state.clock, again.snapshot(1)) == before


async def test_time_of_an_event_is_under_the_hash_chain(room: Room, fresh_dsn: str) -> None:
    game = await room.game("reversi", [None, None], clock=clock(60.0))
    await act(game, 0, 1, OPENING)
    rows = await room.store.read_log(game.game_id)
    assert [item.event.payload["_at"] for item in game.tail] == [
        int(row.at.timestamp() * 1000 + 0.5) for row in rows
    ]
    owner = await asyncpg.connect(fresh_dsn)
    await owner.execute("ALTER TABLE game_events DISABLE TRIGGER USER")
    await owner.execute(
        "UPDATE game_events SET created_at = created_at - '1 s'::interval "
        "WHERE game_id = $1 AND event_index = 1",
        game.game_id,
    )
    await owner.close()
    room.registry._drop(game)
    with pytest.raises(Quarantined):
        await room.registry.find(game.game_id)


async def test_no_event_is_older_than_the_one_before_it_whatever_the_clock_says(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = await room.game("reversi", [None, None], clock=clock(600.0))
    now_ms = game.fold.at_ms
    monkeypatch.setattr(game._clock, "now_ms", lambda: now_ms - 3_600_000)
    await act(game, 0, 1, OPENING)
    assert [item.event.at_ms for item in game.tail][-1] == now_ms
    room.registry._drop(game)
    assert (await room.registry.find(game.game_id)).fold.state.board[19] == 0


async def test_timer_that_stays_due_sets_the_game_aside(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(RULESET), "decide_timer", lambda *_: [Event("nothing_happened", {"_v": 1})]
    )
    monkeypatch.setattr(type(RULESET), "next_timer", lambda *_: Timer("again", 0))
    game = await room.game("reversi", [None, None])
    async with asyncio.timeout(20):
        while not await room.registry.is_quarantined(game.game_id):
            await asyncio.sleep(0.01)
    assert room.registry.faults.raised["reversi", "timer"] == 1


async def test_seats_of_a_turn_share_its_deadline_and_the_late_are_played_for(room: Room) -> None:
    game = await room.game("rock_paper_scissors", [None, None], wins=1, turn_timeout_s=1.0)
    deadline_ms = game.fold.deadline_ms
    assert not isinstance(await act(game, 1, 1, ROCK), PlayhallError)
    assert game.fold.deadline_ms == deadline_ms
    await room.completed(game.game_id)
    rows = await room.store.read_log(game.game_id)
    assert [row.type for row in rows] == [
        "game_created",
        "thrown",
        "thrown",
        "round_revealed",
        "game_completed",
    ]
    assert orjson.loads(rows[2].payload)["throw"] == "nothing"


async def test_all_whose_time_is_up_are_played_for_at_once(room: Room) -> None:
    game = await room.game("rock_paper_scissors", [None, None], wins=1, turn_timeout_s=1.0)
    await room.completed(game.game_id)
    rows = await room.store.read_log(game.game_id)
    assert len(rows) == 10 * 3 + 2  # ten rounds in which nobody threw


async def test_bots_throw_at_the_same_time(room: Room) -> None:
    game = await room.game("rock_paper_scissors", ["random", "random"], wins=3)
    await room.completed(game.game_id)
    (summary,) = await room.fetch("SELECT * FROM game_summaries")
    assert summary["highest_score"] == 3
