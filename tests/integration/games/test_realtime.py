"""Real-time games on a real log: ticks, inputs with numbers, patches, and another owner."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import orjson
import pytest

from persistence.eventlog.writer import EventRow
from playhall.game import apply_merge_patch
from protocol.errors import CmdNoGap, InvalidField, MoveRefused, Overloaded, PlayhallError
from server.core.clock import Clock
from server.domains.play.games import delayed_views, live_game
from server.domains.play.games.inputs import INPUTS_PER_TICK_MAX, INPUTS_QUEUED_MAX
from server.domains.play.games.live_game import LiveGame
from server.domains.play.games.recovery import recover_game
from server.domains.play.games.ruleset_failures import RulesetFailures
from server.gateway.session.sessions import Session
from server.rulesets.arena import RULESET
from tests.integration.games.conftest import Asked, Recorder, Room, act

RIGHT = {"type": "steer", "x": 1, "y": 0}
LEFT = {"type": "steer", "x": -1, "y": 0}
UP = {"type": "steer", "x": 0, "y": -1}


async def rows_of(room: Room, game: LiveGame) -> list[EventRow]:
    return await room.store.read_log(game.game_id)


def look_on(game: LiveGame, viewer: int | None) -> tuple[Recorder, dict[str, Any]]:
    """Follow a game as a connection does; gives what comes, and the view that it starts from."""
    follower = Recorder()
    snapshot = game.snapshot(viewer)
    game.patches.bring_up_to_date(viewer, snapshot["view"])
    game.subscribers.admit(follower, viewer)
    return follower, orjson.loads(orjson.dumps(snapshot))


def follow(snapshot: dict[str, Any], frames: list[dict[str, Any]]) -> tuple[int, Any]:
    """Apply the patches to a view as a client does; gives the tick and the view."""
    tick, view = snapshot["tick"], snapshot["view"]
    for patch in frames:
        if patch["type"] == "game.patch" and patch["tick"] > tick:
            assert patch["since"] <= tick
            view, tick = apply_merge_patch(view, patch["changes"]), patch["tick"]
    return tick, view


async def test_input_is_answered_with_the_event_of_its_tick(room: Room) -> None:
    game = await room.game("arena", [None, None], duration_s=600)
    index = await act(game, 0, 1, RIGHT)
    rows = await rows_of(room, game)
    assert [row.type for row in rows] == ["game_created", "tick"]
    tick = orjson.loads(rows[index].payload)
    assert tick["inputs"] == [[0, 1, RIGHT]]
    assert tick["_tick"] >= 1
    assert game.fold.state.runners[0].steer == (1, 0)


async def test_ticks_without_inputs_pass_and_are_not_logged(room: Room) -> None:
    game = await room.game("arena", [None, None], duration_s=600)
    game.fold.state.runners[0].x = 0
    await act(game, 0, 1, RIGHT)
    before, x = game.fold.tick, game.fold.state.runners[0].x
    await asyncio.sleep(0.5)
    assert game.fold.tick - before >= 5
    assert game.fold.state.runners[0].x > x
    assert len(await rows_of(room, game)) == 2


async def test_silent_game_logs_an_empty_tick_now_and_then(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_game, "SILENCE_S", 0.2)
    game = await room.game("arena", [None], duration_s=600)
    async with asyncio.timeout(20):
        while game.committed < 3:
            await asyncio.sleep(0.02)
    assert orjson.loads((await rows_of(room, game))[1].payload)["inputs"] == []


async def test_inputs_act_once_and_in_order_however_often_they_are_sent(room: Room) -> None:
    game = await room.game("arena", [None, None], duration_s=600)
    asked = [Asked() for _ in range(6)]
    for reply, (cmd_no, move) in zip(
        asked, [(1, RIGHT), (2, UP), (1, RIGHT), (2, UP), (3, RIGHT), (3, RIGHT)], strict=True
    ):
        game.act(0, cmd_no, move, reply)
    with pytest.raises(CmdNoGap, match="number 4"):
        game.act(0, 5, RIGHT, Asked())
    first = [await asyncio.wait_for(each.future, 10) for each in asked]
    assert first[0] == first[2]
    assert len(set(map(str, first))) == 1
    logged = [
        i for row in (await rows_of(room, game))[1:] for i in orjson.loads(row.payload)["inputs"]
    ]
    assert logged == [[0, 1, RIGHT], [0, 2, UP], [0, 3, RIGHT]]
    assert await act(game, 0, 2, UP) == first[0]


async def test_inputs_of_all_seats_are_logged_in_the_order_in_which_they_came(room: Room) -> None:
    game = await room.game("arena", [None, None], duration_s=600)
    turns = room.registry._turns[game.game_id]
    turns.stop()
    came = [(1, 1), (0, 1), (0, 2), (1, 2), (0, 3)]
    asked = [Asked() for _ in came]
    for (seat, cmd_no), reply in zip(came, asked, strict=True):
        game.act(seat, cmd_no, RIGHT, reply)
    turns.restart()
    assert len({await asyncio.wait_for(each.future, 10) for each in asked}) == 1  # one tick
    inputs = orjson.loads((await rows_of(room, game))[1].payload)["inputs"]
    assert [(seat, cmd_no) for seat, cmd_no, _ in inputs] == came


async def test_log_folds_to_the_state_that_was_played(room: Room) -> None:
    game = await room.game("arena", [None, None], duration_s=600)
    for number, move in enumerate([RIGHT, LEFT, UP], start=1):
        await act(game, 0, number, move)
        await asyncio.sleep(0.2)
    await act(game, 0, 4, RIGHT)
    room.registry._turns[game.game_id].stop()
    stored = await room.store.find(game.game_id)
    assert stored is not None
    fold = recover_game(stored, await rows_of(room, game), RULESET).fold
    fold.advance_to(game.fold.tick)
    for viewer in (0, 1, None):
        assert RULESET.view(fold.state, viewer) == RULESET.view(game.fold.state, viewer)


async def test_input_that_cannot_be_parsed_uses_its_number_in_its_turn(room: Room) -> None:
    game = await room.game("arena", [None, None], duration_s=600)
    asked = [Asked() for _ in range(3)]
    for number, move in enumerate([RIGHT, {"type": "fly"}, UP], start=1):
        game.act(0, number, move, asked[number - 1])
    one, refused, three = [await asyncio.wait_for(each.future, 10) for each in asked]
    assert isinstance(refused, MoveRefused)
    assert refused.event_index == one + 1
    assert three == one + 2
    assert game.fold.table.seats[0].misplays == 1


async def test_too_many_or_too_large_inputs_are_refused_and_lose_no_number(room: Room) -> None:
    game = await room.game("arena", [None], duration_s=600)
    room.registry._turns[game.game_id].stop()
    with pytest.raises(InvalidField, match="1024"):
        game.act(0, 1, {"type": "x" * 2000}, Asked())
    with pytest.raises(InvalidField, match="move"):
        game.act(0, 1, {"type": "\x00"}, Asked())
    asked = [Asked() for _ in range(INPUTS_QUEUED_MAX)]
    for number, reply in enumerate(asked, start=1):
        game.act(0, number, RIGHT, reply)
    with pytest.raises(Overloaded):
        game.act(0, INPUTS_QUEUED_MAX + 1, RIGHT, Asked())
    room.registry._turns[game.game_id].restart()
    assert all([isinstance(await each.future, int) for each in asked])
    taken = [orjson.loads(row.payload)["inputs"] for row in (await rows_of(room, game))[1:]]
    assert max(map(len, taken)) == INPUTS_PER_TICK_MAX


async def test_patches_bring_every_viewer_to_the_state(room: Room) -> None:
    game = await room.game("arena", [None, None, "wanderer"], duration_s=600)
    early, start = look_on(game, 0)
    await act(game, 0, 1, RIGHT)
    await asyncio.sleep(0.15)
    late, later = look_on(game, None)  # shares the first one's view, between two patches
    await act(game, 1, 1, UP)
    await asyncio.sleep(0.4)
    room.registry._turns[game.game_id].stop()
    game.patches.publish()
    async with asyncio.timeout(10):
        while not game.is_settled:
            await asyncio.sleep(0.01)
    view = orjson.loads(orjson.dumps(RULESET.view(game.fold.state, 0)))
    assert follow(start, early.events) == (game.fold.tick, view)
    assert follow(later, late.events) == (game.fold.tick, view)
    acks = [each["ack"] for each in early.events if each["type"] == "game.patch"]
    assert acks[-1] == 1
    assert "tick" not in {each.get("event") for each in early.events}


class Spectator:
    """As much of a session as a delayed view needs."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.socket = self
        self.closing = False
        self.send = self.recorder.deliver

    def follow(self, _: object, stop: Callable[[], None]) -> None:
        self.unfollow = stop


async def test_delayed_view_that_went_too_far_is_folded_again(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is waited for, so ticks pass whose events are not committed yet.
    monkeypatch.setattr(delayed_views, "SETTLED_S", 0.0)
    game = await room.game("arena", [None, None], duration_s=600)
    clock, spectator = Clock(), Spectator()
    view = delayed_views.DelayedView(
        game,
        store=room.store,
        clock=clock,
        faults=RulesetFailures(clock.monotonic),
        delay_s=0.0,
        is_stopped=room.registry.is_quarantined,
    )
    live, start = look_on(game, 0)
    view.admit(cast("Session", spectator))
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(view.run())
        for number, move in enumerate([RIGHT, UP, {**RIGHT, "x": -1}], start=1):
            await act(game, 0, number, move)
            await asyncio.sleep(0.7)
        await asyncio.sleep(1)
        spectator.unfollow()
    states = [each for each in spectator.recorder.events if each["type"] == "game.state"]
    assert len(states) > 1
    frames = spectator.recorder.events
    last = max(n for n, each in enumerate(frames) if each["type"] == "game.state")
    _, shown = follow(frames[last], frames[last + 1 :])
    # Since the last input, the runner has only moved sideways: it went up for as long.
    _, expected = follow(start, live.events)
    assert shown["runners"]["0"]["y"] == expected["runners"]["0"]["y"]


async def test_viewer_who_joins_while_nothing_changes_costs_the_others_no_patch(
    room: Room,
) -> None:
    game = await room.game("arena", [None], duration_s=600)
    room.registry._turns[game.game_id].stop()
    early, start = look_on(game, 0)
    game.pass_tick()
    game.patches.publish()
    game.pass_tick()
    late, later = look_on(game, None)
    game.act(0, 1, RIGHT if game.fold.state.runners[0].x < 500 else {**RIGHT, "x": -1}, Asked())
    for _ in range(3):
        game.pass_tick()
        game.patches.publish()
    async with asyncio.timeout(10):
        while not game.is_settled:
            await asyncio.sleep(0.01)
    view = orjson.loads(orjson.dumps(RULESET.view(game.fold.state, 0)))
    assert follow(start, early.events) == (game.fold.tick, view)
    assert follow(later, late.events) == (game.fold.tick, view)


async def test_limited_sight_sends_nothing_of_what_is_out_of_it(room: Room) -> None:
    game = await room.game("arena", ["wanderer", "wanderer", None], duration_s=600, sight=100)
    for seat, spot in enumerate([(0, 0), (500, 500), (1000, 1000)]):
        game.fold.state.runners[seat].x, game.fold.state.runners[seat].y = spot
    follower, start = look_on(game, 2)
    await asyncio.sleep(0.5)
    assert set(start["view"]["runners"]) == {"2"}
    for patch in follower.events:
        assert set(patch["changes"].get("runners", {})) <= {"2"}


async def test_time_alone_ends_the_game_and_its_log_verifies(room: Room) -> None:
    game = await room.game("arena", ["gatherer", "wanderer"], duration_s=5)
    room.registry._turns[game.game_id]._start -= 4.5  # let it be nearly over
    follower, _ = look_on(game, None)
    await room.completed(game.game_id)
    rows = await rows_of(room, game)
    assert rows[-1].type == "game_completed"
    assert orjson.loads(rows[-1].payload)["_tick"] == 5 * 20
    assert [each["event"] for each in follower.events if each["type"] == "game.event"] == [
        "game_completed"
    ]
    (summary,) = await room.fetch("SELECT * FROM game_summaries")
    assert summary["highest_score"] is not None


async def test_next_owner_goes_on_from_the_log_and_the_time(room: Room) -> None:
    game = await room.game("arena", [None, "wanderer"], duration_s=600)
    index = await act(game, 0, 1, RIGHT)
    await asyncio.sleep(0.3)
    seen = game.fold.tick
    room.registry._drop(game)
    await asyncio.sleep(0.3)
    again = await room.registry.find(game.game_id)
    assert again is not game
    assert await act(again, 0, 1, RIGHT) == index  # the same answer
    assert isinstance(await act(again, 0, 2, UP), int)
    assert again.fold.tick > seen  # no viewer sees it go back
    logged = [orjson.loads(row.payload)["_tick"] for row in await rows_of(room, again)]
    assert logged == sorted(logged)


async def test_step_that_fails_sets_the_game_aside_and_answers_what_waits(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = await room.game("arena", [None], duration_s=600)

    def fail(*_: object) -> None:
        raise ZeroDivisionError("in step")

    waits = Asked()
    game.act(0, 1, RIGHT, waits)
    monkeypatch.setattr(type(RULESET), "step", fail)
    answer = await asyncio.wait_for(waits.future, 10)
    assert isinstance(answer, PlayhallError)
    async with asyncio.timeout(10):
        while not await room.registry.is_quarantined(game.game_id):
            await asyncio.sleep(0.01)


async def test_inputs_that_wait_are_answered_when_the_node_goes_away(room: Room) -> None:
    game = await room.game("arena", [None], duration_s=600)
    room.registry._turns[game.game_id].stop()
    waits = Asked()
    game.act(0, 1, RIGHT, waits)
    room.registry.stop_accepting()
    with suppress(asyncio.CancelledError):
        assert isinstance(await asyncio.wait_for(waits.future, 10), Overloaded)
    assert len(await rows_of(room, game)) == 1
