"""The states of one game's place in the log: the table is what the code does, and all of it.

The log is a real one that is not running; the tests take and settle as its writers do. They are
asynchronous because a log belongs to an event loop.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from persistence.database import Database
from persistence.eventlog.writer import (
    QUEUED_EVENTS_MAX,
    SOLO_BATCHES_MAX,
    TRANSITIONS,
    EventLogWriter,
    EventRow,
    GameBatch,
    GameLog,
    IllegalTransition,
    LogInput,
    LogState,
    OwnerFenced,
    RowsLost,
    RowsRefused,
)
from protocol.ids import GameId, new_id

AT = datetime(2026, 1, 2, tzinfo=UTC)
ROW = EventRow(0, "moved", b"{}", AT, b"hash")


class Place:
    """One game's place in an idle log, and how its owner was called."""

    def __init__(self) -> None:
        self.log = EventLogWriter(Database.unopened(), writers=1)
        self.calls: list[object] = []
        self.on_committed: Callable[[], None] = lambda: None
        self.game: GameLog = self.log.open_game(
            GameId(new_id()), 1, committed=self._committed, failed=self.calls.append
        )
        self.batch: GameBatch | None = None

    def _committed(self, rows: list[EventRow]) -> None:
        self.calls.append(len(rows))
        self.on_committed()

    def append(self, rows: int = 1) -> None:
        self.game.append([ROW] * rows)

    def take(self) -> None:
        """Take as the writer does: whoever stands in line, and once for each time."""
        self.batch = self.game.take_batch()
        self.log.waiting.remove(self.game)

    def settle(self, lost: RowsLost | None = None) -> None:
        self.game.settle(self.batch or GameBatch(self.game, [ROW], None), lost)

    @property
    def times_in_line(self) -> int:
        return self.log.waiting.count(self.game)


def reach(state: LogState) -> Place:
    """Bring a game into a state by what its owner and its writer do."""
    place = Place()
    if state is LogState.DEAD:
        place.game.detach_owner()
    if state in (LogState.QUEUED, LogState.WRITING, LogState.SOLO):
        place.append()
    if state in (LogState.WRITING, LogState.SOLO):
        place.take()
    if state is LogState.SOLO:
        place.game.move_to_solo()
    assert place.game.state is state
    return place


def commit(place: Place) -> None:
    place.settle()


INPUTS: dict[LogInput, Callable[[Place], Any]] = {
    LogInput.APPEND: Place.append,
    LogInput.TAKE: Place.take,
    LogInput.SET_ASIDE: lambda place: place.game.move_to_solo(),
    LogInput.COMMIT: commit,
    LogInput.LOSE: lambda place: place.settle(OwnerFenced()),
    LogInput.FORGET: lambda place: place.game.detach_owner(),
}

# These happen inside of a commit, and change the state that it began in: they have tests below.
DURING_COMMIT = {LogInput.COMMIT_MORE, LogInput.OWNER_RAISED}


async def test_every_state_and_input_is_tried() -> None:
    assert set(TRANSITIONS) == set(LogState)
    assert set(INPUTS) | DURING_COMMIT == set(LogInput)


@pytest.mark.parametrize("state", LogState)
@pytest.mark.parametrize("event", INPUTS)
async def test_the_table_says_what_happens(state: LogState, event: LogInput) -> None:
    place = reach(state)
    if event not in TRANSITIONS[state]:
        with pytest.raises(IllegalTransition, match=f"{event.name} is not allowed in {state.name}"):
            INPUTS[event](place)
        assert place.game.state is state
        assert place.calls == []
        return
    INPUTS[event](place)
    assert place.game.state is TRANSITIONS[state][event]


@pytest.mark.parametrize("state", [LogState.WRITING, LogState.SOLO])
async def test_rows_that_came_meanwhile_are_next_in_line(state: LogState) -> None:
    place = reach(state)
    place.append(2)
    assert (place.times_in_line, place.log.queued) == (0, 2)
    place.settle()
    assert place.game.state is TRANSITIONS[state][LogInput.COMMIT_MORE] is LogState.QUEUED
    assert (place.times_in_line, place.calls) == (1, [1])


@pytest.mark.parametrize("meanwhile", [0, 2])
async def test_owner_that_appends_when_called_stands_in_line_once(meanwhile: int) -> None:
    place = reach(LogState.WRITING)
    if meanwhile:
        place.append(meanwhile)
    place.on_committed = place.append
    place.settle()
    assert place.game.state is LogState.QUEUED
    assert (place.times_in_line, place.log.queued) == (1, meanwhile + 1)


@pytest.mark.parametrize("meanwhile", [0, 2])
async def test_owner_that_raises_when_called_has_nothing_more_written(meanwhile: int) -> None:
    place = reach(LogState.WRITING)
    if meanwhile:
        place.append(meanwhile)

    def raising() -> None:
        raise RuntimeError("an owner's bug")

    place.on_committed = raising
    place.settle()
    assert place.game.state is LogState.DEAD
    assert isinstance(place.calls[-1], RowsRefused)
    assert (place.times_in_line, place.log.queued) == (0, 0)


async def test_owner_that_goes_and_raises_when_called_is_not_called_again() -> None:
    place = reach(LogState.WRITING)

    def going() -> None:
        place.game.detach_owner()
        raise RuntimeError("an owner's bug")

    place.on_committed = going
    place.settle()
    assert (place.game.state, place.calls) == (LogState.DEAD, [1])


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (state, event)
        for state in LogState
        for event in sorted(DURING_COMMIT, key=str)
        if event not in TRANSITIONS[state]
    ],
)
async def test_what_happens_during_a_commit_is_refused_elsewhere(
    state: LogState, event: LogInput
) -> None:
    game = reach(state).game
    with pytest.raises(IllegalTransition):
        game._move(event)
    assert game.state is state


async def test_owner_that_goes_when_called_has_nothing_more_written() -> None:
    place = reach(LogState.SOLO)
    place.append()
    place.on_committed = place.game.detach_owner
    place.settle()
    assert place.game.state is LogState.DEAD
    assert (place.times_in_line, place.log.queued) == (0, 0)


@pytest.mark.parametrize(
    ("state", "event"),
    [
        *((state, LogInput.FORGET) for state in LogState),
        *((state, LogInput.LOSE) for state in (LogState.WRITING, LogState.SOLO, LogState.DEAD)),
    ],
)
async def test_rows_that_die_while_they_wait_are_not_waited_for(
    state: LogState, event: LogInput
) -> None:
    """A log that went on counting them would never be drained, and have less room for ever."""
    place = reach(state)
    place.append(3)
    INPUTS[event](place)
    assert place.log.queued == 0


async def test_writer_passes_over_a_game_that_died_in_line() -> None:
    place, other = reach(LogState.QUEUED), Place()
    place.game.detach_owner()
    other.game = place.log.open_game(GameId(new_id()), 1, committed=print, failed=print)
    other.append()
    taken = await place.log._writers[0]._take()
    assert [batch.game for batch in taken] == [other.game]


async def test_forgotten_owner_is_not_called_when_its_last_batch_ends() -> None:
    for lost in (None, OwnerFenced()):
        place = reach(LogState.WRITING)
        place.game.detach_owner()
        place.settle(lost)
        assert place.calls == []


async def test_log_has_no_more_room_when_so_many_events_wait() -> None:
    place = Place()
    place.append(QUEUED_EVENTS_MAX - 1)
    assert place.log.require_room()
    place.append()
    assert not place.log.require_room()
    place.take()
    assert place.log.require_room()


async def test_writers_wait_when_the_solo_lane_is_full() -> None:
    log = EventLogWriter(Database.unopened(), writers=1)

    async def set_one_aside() -> None:
        game = log.open_game(GameId(new_id()), 1, committed=print, failed=print)
        game.append([ROW])
        await log.settle_alone(game.take_batch())

    for _ in range(SOLO_BATCHES_MAX):
        await asyncio.wait_for(set_one_aside(), 10)
    one_more = asyncio.create_task(set_one_aside())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not one_more.done()
    one_more.cancel()
