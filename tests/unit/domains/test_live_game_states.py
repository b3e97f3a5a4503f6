"""The states of one live game: the table is what the code does, and all of it.

The game and its log are real; the log is not running, and the tests settle what it was given. They
are asynchronous because a log belongs to an event loop.
"""

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from persistence.broker.memory import MemoryBroker
from persistence.database import Database
from persistence.eventlog.writer import (
    EventLogWriter,
    IllegalTransition,
    LogState,
    OwnerFenced,
    RowsLost,
    RowsRefused,
    ValuesUnstorable,
)
from persistence.games.model import NewGame, NewPlayer
from protocol.errors import GameOver, NotCommitted, Overloaded, PlayhallError, Quarantined
from protocol.ids import LobbyId, PlayerId, new_id
from server.core.clock import Clock
from server.core.subscriptions import Subscriptions
from server.domains.play.games.live_game import (
    TRANSITIONS,
    LiveGame,
    LiveGameCallbacks,
    LiveGameInput,
    LiveGameState,
)
from server.domains.play.games.recorder import draw_seed, prepare_game
from server.domains.play.games.ruleset_failures import RulesetFailures
from server.rulesets import find_rulesets

MOVE = {"type": "move"}
END = {"type": "end"}


class Table:
    """A relay for two with an idle log, and how its registry and its players were called."""

    def __init__(self) -> None:
        clock = Clock()
        self.calls: list[str] = []
        self.replies: list[int | PlayhallError] = []
        self.on_call: Callable[[], None] = lambda: None
        self.log = EventLogWriter(Database.unopened(), writers=1)
        players = tuple(NewPlayer(PlayerId(new_id()), None) for _ in range(2))
        new = NewGame(
            ruleset="relay",
            config={},
            players=players,
            lobby_id=LobbyId(new_id()),
            lobby_version=0,
            is_public=True,
            join_code=None,
            seats=2,
        )
        made = prepare_game(
            new, find_rulesets()["relay"], node="here", moment=clock.moment(), seed=draw_seed()
        )
        self.game = LiveGame(
            made.row.id,
            made.recorder,
            owner_epoch=1,
            lobby_id=None,
            log=self.log,
            clock=clock,
            may_serve=lambda: True,
            faults=RulesetFailures(clock.monotonic),
            callbacks=LiveGameCallbacks(
                settled=lambda _: self._hear("settled"),
                completed=lambda _: self._hear("completed"),
                lost=lambda _, __: self._hear("lost"),
                failed=lambda _: self._hear("failed"),
            ),
            topic=Subscriptions(MemoryBroker()).kind("game").hold(made.row.id, owned=True),
        )

    def _hear(self, what: str) -> None:
        self.calls.append(what)
        self.on_call()

    def act(self, move: dict[str, Any] = MOVE) -> None:
        cmd_no = self.game.fold.table.seats[0].cmd_no + 1
        self.game.act(0, cmd_no, dict(move), self.replies.append)

    def settle(self, lost: RowsLost | None = None) -> None:
        """Let everything that was decided be committed, or lost."""
        if self.game._log.state is LogState.IDLE:
            self.act()
        self.game._log.settle(self.game._log.take_batch(), lost)

    def fail(self) -> None:
        self.game.stop_for_fault("evolve", ValueError("a bug of the rules"))

    def raise_when_called(self) -> None:
        def once() -> None:
            self.on_call = lambda: None
            raise RuntimeError("a bug of the registry")

        self.on_call = once


def reach(state: LiveGameState, *, ahead: dict[str, Any] | None = None) -> Table:
    """Bring a game into a state by what happens to it; `ahead` is a move that is on its way."""
    table = Table()
    if ahead is None and state is LiveGameState.FAILING:
        ahead = MOVE
    if state in (LiveGameState.ENDING, LiveGameState.COMPLETED):
        ahead = END
    if ahead is not None:
        table.act(ahead)
    if state is LiveGameState.SUSPENDED:
        table.game.close()
    elif state in (LiveGameState.FAILING, LiveGameState.FAILED):
        table.fail()
    elif state is LiveGameState.UNLOADED:
        table.game.unload()
    elif state is LiveGameState.COMPLETED:
        table.settle()
    assert table.game.state is state
    return table


def registry_raises_at_the_end() -> Table:
    table = reach(LiveGameState.ENDING)
    table.raise_when_called()
    return table


def registry_raises_at_the_fault() -> Table:
    table = reach(LiveGameState.FAILING)
    table.raise_when_called()
    return table


S, I = LiveGameState, LiveGameInput  # noqa: E741 - a column of states, a column of inputs
MOVING, ENDED = {"ahead": MOVE}, {"ahead": END}
# Each transition of the table, by what really happens: where it begins, what is done, and what the
# registry is called.
HAPPENS: list[tuple[S, I, Callable[[], Table], Callable[[Table], object], list[str]]] = [
    (S.PLAYING, I.END_DECIDED, Table, lambda t: t.act(END), []),
    (S.PLAYING, I.RULES_FAILED, lambda: reach(S.PLAYING, **MOVING), Table.fail, []),
    (S.PLAYING, I.UNSTORABLE, Table, lambda t: t.settle(ValuesUnstorable()), ["failed"]),
    (S.PLAYING, I.ROWS_LOST, Table, lambda t: t.settle(OwnerFenced()), ["lost"]),
    (S.PLAYING, I.SUSPEND, Table, lambda t: t.game.close(), []),
    (S.PLAYING, I.UNLOAD, Table, lambda t: t.game.unload(), []),
    (S.ENDING, I.END_COMMITTED, lambda: reach(S.ENDING), Table.settle, ["completed"]),
    (
        S.ENDING,
        I.UNSTORABLE,
        lambda: reach(S.ENDING),
        lambda t: t.settle(ValuesUnstorable()),
        ["failed"],
    ),
    (S.ENDING, I.ROWS_LOST, lambda: reach(S.ENDING), lambda t: t.settle(RowsRefused()), ["lost"]),
    (S.ENDING, I.SUSPEND, lambda: reach(S.ENDING), lambda t: t.game.close(), []),
    (S.ENDING, I.UNLOAD, lambda: reach(S.ENDING), lambda t: t.game.unload(), []),
    (
        S.SUSPENDED,
        I.END_COMMITTED,
        lambda: reach(S.SUSPENDED, **ENDED),
        Table.settle,
        ["completed"],
    ),
    (
        S.SUSPENDED,
        I.ALL_COMMITTED,
        lambda: reach(S.SUSPENDED, **MOVING),
        Table.settle,
        ["settled"],
    ),
    (
        S.SUSPENDED,
        I.UNSTORABLE,
        lambda: reach(S.SUSPENDED, **MOVING),
        lambda t: t.settle(ValuesUnstorable()),
        ["failed"],
    ),
    (
        S.SUSPENDED,
        I.ROWS_LOST,
        lambda: reach(S.SUSPENDED, **MOVING),
        lambda t: t.settle(OwnerFenced()),
        ["lost"],
    ),
    (S.FAILING, I.ALL_COMMITTED, lambda: reach(S.FAILING), Table.settle, ["failed"]),
    (
        S.FAILING,
        I.ROWS_LOST,
        lambda: reach(S.FAILING),
        lambda t: t.settle(RowsRefused()),
        ["failed"],
    ),
    # The log tells the registry of a loss, as its first word on it was not heard.
    (S.COMPLETED, I.ROWS_LOST, registry_raises_at_the_end, Table.settle, ["completed", "lost"]),
    (S.FAILED, I.ROWS_LOST, registry_raises_at_the_fault, Table.settle, ["failed", "failed"]),
    *(
        (state, I.SUSPEND, lambda state=state: reach(state), lambda t: t.game.close(), [])
        for state in (S.SUSPENDED, S.FAILING, S.COMPLETED, S.FAILED, S.UNLOADED)
    ),
    *(
        (state, I.UNLOAD, lambda state=state: reach(state), lambda t: t.game.unload(), [])
        for state in (S.SUSPENDED, S.FAILING, S.COMPLETED, S.FAILED, S.UNLOADED)
    ),
]


def names(what: object) -> str | None:
    return what.name if isinstance(what, LiveGameState | LiveGameInput) else ""


async def test_every_transition_of_the_table_happens_here() -> None:
    listed = {(state, event) for state, events in TRANSITIONS.items() for event in events}
    assert {(state, event) for state, event, *_ in HAPPENS} == listed
    assert set(TRANSITIONS) == set(LiveGameState)


@pytest.mark.parametrize(("state", "event", "begin", "do", "calls"), HAPPENS, ids=names)
async def test_the_table_says_what_happens(
    state: LiveGameState,
    event: LiveGameInput,
    begin: Callable[[], Table],
    do: Callable[[Table], object],
    calls: list[str],
) -> None:
    table = begin()
    table.calls.clear()
    do(table)
    after = TRANSITIONS[state][event]
    assert table.game.state is after
    assert table.calls == calls
    assert (table.game.fault is not None) == (after in (S.FAILING, S.FAILED))


@pytest.mark.parametrize("state", LiveGameState)
async def test_what_the_table_does_not_list_is_refused(state: LiveGameState) -> None:
    for event in LiveGameInput:
        if event in TRANSITIONS[state]:
            continue
        game = reach(state).game
        with pytest.raises(IllegalTransition, match=f"{event.name} is not allowed in {state.name}"):
            game._move(event)
        assert game.state is state


@pytest.mark.parametrize(
    ("state", "refusal"),
    [
        (S.ENDING, GameOver),
        (S.SUSPENDED, Overloaded),
        (S.FAILING, Quarantined),
        (S.COMPLETED, GameOver),
        (S.FAILED, Quarantined),
        (S.UNLOADED, Overloaded),
    ],
    ids=names,
)
async def test_a_command_is_refused_in_every_state_but_playing(
    state: LiveGameState, refusal: type[PlayhallError]
) -> None:
    table = reach(state)
    with pytest.raises(refusal):
        table.act()
    assert table.game.state is state


@pytest.mark.parametrize("state", [S.SUSPENDED, S.UNLOADED], ids=names)
async def test_a_game_whose_end_was_decided_is_over_whatever_became_of_it(
    state: LiveGameState,
) -> None:
    with pytest.raises(GameOver):
        reach(state, ahead=END).act()


@pytest.mark.parametrize("state", LiveGameState)
async def test_a_failure_counts_only_where_the_game_is_played(state: LiveGameState) -> None:
    table = reach(state)
    table.calls.clear()
    fault = table.game.fault
    table.fail()
    if state is S.PLAYING:
        assert (table.game.state, table.calls) == (S.FAILED, ["failed"])
    else:
        assert (table.game.state, table.game.fault, table.calls) == (state, fault, [])


async def test_a_node_that_was_fenced_does_not_set_a_failing_game_aside() -> None:
    table = reach(S.FAILING)
    table.settle(OwnerFenced())
    assert table.calls == ["lost"]
    assert [type(reply) for reply in table.replies] == [NotCommitted]
    assert table.game.state is S.FAILED


async def test_whoever_is_sent_the_end_finds_the_game_completed() -> None:
    table = Table()
    seen: list[tuple[str, int]] = []
    table.act(END)
    table.game.call_when_committed(lambda _: seen.append((table.game.status, table.game.head)))
    assert table.game.status == "in_progress"
    table.settle()
    assert seen == [("completed", table.game.fold.next_index - 1)]


@pytest.mark.parametrize("seed", range(50))
async def test_invariants_hold_whatever_happens(seed: int) -> None:
    """Those that the module's docstring lists, after any mix of moves, commits, losses and ends."""
    chance, table = random.Random(seed), Table()
    game, log = table.game, table.game._log

    def settle(lost: RowsLost | None) -> None:
        if log.state is LogState.QUEUED:
            log.settle(log.take_batch(), lost)

    happenings: dict[Callable[[], object], float] = {
        table.act: 12,
        lambda: table.act(END): 1,
        lambda: game.record_presence("player_disconnected", 1, table.replies.append): 1,
        lambda: game.call_when_committed(table.replies.append): 2,
        lambda: settle(None): 8,
        lambda: settle(chance.choice([OwnerFenced(), RowsRefused(), ValuesUnstorable()])): 0.5,
        table.fail: 0.3,
        table.raise_when_called: 0.3,
        game.close: 0.3,
        game.unload: 0.1,
    }
    for happening in chance.choices(list(happenings), list(happenings.values()), k=60):
        with suppress(PlayhallError, RuntimeError):
            happening()
        assert game.fold.next_index == game.committed + len(game._ahead)
        assert not game.is_settled or game._recorder.hash == game._hash
        owed = [index for index, _, _ in game._owed]
        assert owed == sorted(owed)
        assert all(index >= game.committed for index in owed)
        assert (game.fault is not None) == (game.state in (S.FAILING, S.FAILED))
        assert not game.tail or game.tail[-1].event_index == game.head
