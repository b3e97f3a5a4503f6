"""Moves: answered after their commit, acting once, refused with what the rules say."""

import asyncio

import asyncpg
import pytest

from protocol.errors import (
    CmdNoGap,
    GameOver,
    InvalidField,
    MoveRefused,
    NotCommitted,
    Overloaded,
    Unavailable,
)
from server.domains.play.games.live_game import AHEAD_EVENTS_MAX, LiveGame
from server.gamekit.table import MISPLAYS_LOGGED_MAX
from tests.integration.games.conftest import Asked, Recorder, Room, act

DROP = {"type": "drop", "column": 3}


async def board(room: Room) -> LiveGame:
    return await room.game("four_in_a_row", [None, None])


async def relay(room: Room, seats: int = 2) -> LiveGame:
    return await room.game("relay", [None] * seats)


async def test_move_is_answered_with_the_index_of_its_first_event(room: Room) -> None:
    game = await relay(room)
    head = game.head
    assert await act(game, 0, 1, {"hello": 1}) == head + 1
    assert await act(game, 1, 1, {"hello": 2}) == head + 2


async def test_nothing_leaves_before_it_is_committed(room: Room, fresh_dsn: str) -> None:
    game = await relay(room)
    watcher, asked, snapshot = Recorder(), Asked(), Asked()
    game.subscribers.admit(watcher, None)
    holder = await asyncpg.connect(fresh_dsn)
    lock = holder.transaction()
    await lock.start()
    await holder.execute("SELECT FROM games WHERE id = $1 FOR UPDATE", game.game_id)
    game.act(0, 1, {"x": 1}, asked)
    game.call_when_committed(snapshot)
    game.act(0, 1, {"x": 1}, repeated := Asked())
    await asyncio.sleep(0.2)
    assert watcher.events == []
    assert not asked.future.done()
    assert not snapshot.future.done()
    assert not repeated.future.done()
    await lock.rollback()
    await holder.close()
    index = await asked.future
    assert await repeated.future == await snapshot.future == index
    assert [event["event_index"] for event in watcher.events] == [index]


async def test_repeated_command_acts_once_and_gets_its_first_reply(room: Room) -> None:
    game = await relay(room)
    first = await act(game, 0, 1, {"x": 1})
    assert await act(game, 0, 1, {"x": 2}) == first
    assert game.head == first
    rows = await room.store.read_log(game.game_id)
    assert len(rows) == game.head + 1


async def test_skipped_command_number_is_refused(room: Room) -> None:
    game = await relay(room)
    with pytest.raises(CmdNoGap, match="number 1"):
        await act(game, 0, 2, {"x": 1})


async def test_refused_move_is_logged_with_its_number_and_repeats_its_refusal(room: Room) -> None:
    game = await board(room)
    head = game.head
    refused = await act(game, 1, 1, DROP)
    assert isinstance(refused, MoveRefused)
    assert (refused.rule, refused.event_index) == ("not_your_turn", head + 1)
    again = await act(game, 1, 1, DROP)
    assert isinstance(again, MoveRefused)
    assert (again.rule, again.event_index, again.message) == (
        "not_your_turn",
        head + 1,
        refused.message,
    )
    assert game.head == head + 1
    assert game.fold.table.seats[1].misplays == 1


async def test_refused_moves_stop_being_logged_at_the_cap(room: Room) -> None:
    game = await board(room)
    for n in range(MISPLAYS_LOGGED_MAX):
        assert isinstance(await act(game, 1, n + 1, DROP), MoveRefused)
    head = game.head
    with pytest.raises(Exception, match="too many illegal moves"):
        await act(game, 1, MISPLAYS_LOGGED_MAX + 1, DROP)
    assert game.head == head
    assert game.fold.table.seats[1].cmd_no == MISPLAYS_LOGGED_MAX


async def test_move_that_the_database_could_not_keep_is_refused_and_changes_nothing(
    room: Room,
) -> None:
    game = await relay(room)
    head = game.fold.next_index
    for bad in ({"nul": "\0"}, {"big": "x" * 40_000}):
        with pytest.raises(InvalidField):
            await act(game, 0, 1, bad)
    assert game.fold.next_index == head
    assert await act(game, 0, 1, {"fine": True}) == head


async def test_moves_are_pipelined_and_answered_in_order(room: Room) -> None:
    game = await relay(room, 4)
    watcher = Recorder()
    game.subscribers.admit(watcher, 2)
    asked = []
    for n in range(1, 101):
        for seat in range(4):
            game.act(seat, n, {"n": n}, one := Asked())
            asked.append(one)
    indexes = [await one.future for one in asked]
    assert all(isinstance(index, int) for index in indexes)
    assert indexes == list(range(indexes[0], indexes[0] + 400))  # type: ignore[operator]
    assert [event["event_index"] for event in watcher.events] == indexes


async def test_lost_ownership_refuses_what_waits_and_disconnects_the_followers(room: Room) -> None:
    game = await relay(room)
    watcher, asked = Recorder(), Asked()
    game.subscribers.admit(watcher, None)
    await room.fetch("UPDATE games SET owner_epoch = 7 WHERE id = $1", game.game_id)
    game.act(0, 1, {"x": 1}, asked)
    assert isinstance(await asked.future, NotCommitted)
    assert watcher.events == []
    assert [why.reason for why in watcher.hung_up] == ["wrong_node"]
    assert room.registry.find_loaded(game.game_id) is None
    with pytest.raises(Overloaded):
        await act(game, 0, 2, {"x": 2})


async def test_game_that_is_over_takes_no_move(room: Room) -> None:
    game = await board(room)
    moves = [(seat, n) for n in range(1, 4) for seat in (0, 1)] + [(0, 4)]
    for seat, n in moves:
        assert isinstance(await act(game, seat, n, {"type": "drop", "column": seat}), int)
    await room.completed(game.game_id)
    with pytest.raises(GameOver):
        await act(game, 1, 4, DROP)


async def test_reply_comes_after_the_events_that_it_is_about(room: Room) -> None:
    game = await relay(room)
    heard: list[object] = []

    class Follower(Recorder):
        def deliver(self, frames: bytes) -> None:
            super().deliver(frames)
            heard.append(self.events[-1]["event_index"])

    replied = asyncio.Event()

    def reply(what: object) -> None:
        heard.append(("ok", what))
        replied.set()

    game.subscribers.admit(Follower(), 0)
    game.act(0, 1, {"x": 1}, reply)
    await asyncio.wait_for(replied.wait(), 10)
    assert heard == [game.head, ("ok", game.head)]


async def test_why_a_move_was_refused_is_shown_to_the_mover_alone(room: Room) -> None:
    game = await board(room)
    mover, other, spectator = Recorder(), Recorder(), Recorder()
    for follower, viewer in ((mover, 1), (other, 0), (spectator, None)):
        game.subscribers.admit(follower, viewer)
    assert isinstance(await act(game, 1, 1, DROP), MoveRefused)
    assert mover.events[0]["payload"]["code"] == "not_your_turn"
    for follower in (other, spectator):
        assert follower.events[0]["payload"].keys() == {"seat", "player_id", "_v"}


async def test_game_runs_ahead_of_the_disk_by_so_many_events(room: Room) -> None:
    game = await relay(room)
    asked = [Asked() for _ in range(AHEAD_EVENTS_MAX)]
    for number, reply in enumerate(asked, start=1):  # without a moment for the writers
        game.act(0, number, {"x": 1}, reply)
    with pytest.raises(Overloaded):
        game.act(0, AHEAD_EVENTS_MAX + 1, {"x": 1}, Asked())
    assert all([isinstance(await each.future, int) for each in asked])
    assert isinstance(await act(game, 0, AHEAD_EVENTS_MAX + 1, {"x": 1}), int)


async def test_node_without_a_lease_answers_from_memory_what_was_committed_and_no_more(
    room: Room,
) -> None:
    game = await relay(room)
    first = await act(game, 0, 1, {"x": 1})
    game._may_serve = lambda: False
    assert await act(game, 0, 1, {"x": 1}) == first
    with pytest.raises(Unavailable):
        await act(game, 0, 2, {"x": 2})
    with pytest.raises(Unavailable):
        game.record_presence("player_left", 1)
    assert game.fold.next_index == game.head + 1
