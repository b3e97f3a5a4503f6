"""The only writer of game events.

    Log       the owner of all that follows: starts the writers, runs the solo lane, creates games
    _Writer   one connection, one statement at a time, which commits rows of many games at once
    GameLog   one game's place in the log: the rows that wait, and at most one batch under way

Games with rows stand in one line. Whenever a writer is idle and something waits, it takes all that
waits, of many games, and commits it in one statement. There is no timer. A game that the statement
could not settle goes to the solo lane, which finds out one game's fate at a time, so that one
game's failure touches no other.

The states of a game
====================

`TRANSITIONS` is the whole machine. An input that a state does not list raises `IllegalTransition`:
it is a bug of ours, never something that a client or the database can cause. ::

             APPEND           TAKE             SET_ASIDE
      IDLE ---------> QUEUED -------> WRITING -----------> SOLO
       ^                ^                |                  |
       |                +----------------+------------------+  COMMIT_MORE: rows came meanwhile
       |                                 |                  |
       +---------------------------------+------------------+  COMMIT: nothing waits

      LOSE:          from WRITING and SOLO to DEAD, which nothing leaves
      OWNER_RAISED:  from IDLE and QUEUED to DEAD, as it is called after its batch is settled
      FORGET:        from every state to DEAD

    state     rows wait   a batch is under way          in line
    IDLE      no          no                            no
    QUEUED    yes         no                            once
    WRITING   perhaps     in a writer's statement       no
    SOLO      perhaps     in the solo lane              no
    DEAD      no          perhaps, but it is the last   perhaps; writers pass over it

What the database may answer, and where that leads::

    answer                                  the writer                the solo lane
    the game is returned                    COMMIT                    COMMIT
    it is not: locked, fenced, moved on     SET_ASIDE                 locked: again later; else LOSE
    none (connection lost, server down)     SET_ASIDE, all of them    again, after a pause
    the rows are refused                    halve; alone: LOSE        LOSE
    a bug of ours raised                    SET_ASIDE, all of them    LOSE

A batch with a completion never enters the shared statement: it is SET_ASIDE as soon as it is taken.

Invariants
==========

1. A row is in exactly one place: `GameLog._rows`, one `GameBatch`, or the database.
   `EventLogWriter.queued` is the number of rows in all `_rows`.
2. A game has at most one batch under way. A batch names the head that it expects, so a second one
   would be refused for as long as the first is not committed, and taken for fenced.
3. A row's fate is reported once, and only when it is known: `committed`, in order, or `failed`,
   after which the game is DEAD and its owner must read the log again. An owner that called `forget`
   is not called. An owner that raises when it is called is lost as well, and the writers go on.
4. Nothing is reported before its transaction has committed. Replies and events wait for that call,
   so whatever a client has seen is in the database.

Lock order
==========

The row of `games` comes first: nothing here locks anything else of a game before it. Many of them
are locked in id order, and rows that others hold are skipped, not waited for. A completion then
locks its players' rows of `player_lifetime_stats`, in id order as well. They stand for all else
that it changes of a player (the row of the ruleset, the XP), which has no order of its own. The
lobby comes last. `complete_game` has all of it, in this order.

Crash points
============

A node may be killed, or cut off from its database, at any line. What matters is on which side of
the commit that is:

- Before it, the rows are gone and nobody has heard of them. The client sends its command again.
- After it, before `settle`: the rows are in the log, and nobody has heard of it. The next owner
  folds them. A command that is sent again finds its number used and gets the first answer.
- Where this node cannot know on which side it was, it asks the database until it does. It never
  assumes: sending the rows again blindly would look like being fenced, and calling them lost would
  make a client repeat what has happened.
"""

import asyncio
import logging
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any, Final, NamedTuple, TypeVar

import asyncpg
import orjson

from persistence.database import Connection, Database
from persistence.errors import DATABASE_ERRORS, is_bad_value, is_transient
from persistence.eventlog.completion import NO_XP, Completion, XpRule
from persistence.games.model import GameRow, LobbyChanged
from persistence.group_commit import GroupCommit
from persistence.hook_points import HookPoint
from persistence.queries import load_queries
from protocol.domain_events import GameCompleted
from protocol.errors import NotCommitted, Overloaded, Unavailable
from protocol.history import GameSummary
from protocol.ids import GameId, LobbyId

SQL = load_queries("eventlog/writer")


def append_columns(games: Sequence[tuple[GameId, int, Sequence["EventRow"]]]) -> tuple[Any, ...]:
    """Lay the rows of some games out as the columns of `append`.

    Each game is (id, owner epoch, rows); rows name their game by its place, from 1 on.
    """
    ids = [game_id for game_id, _, _ in games]
    epochs = [epoch for _, epoch, _ in games]
    expected = [rows[0].event_index for _, _, rows in games]
    counts = [len(rows) for _, _, rows in games]
    nths = [nth for nth, (_, _, rows) in enumerate(games, 1) for _ in rows]
    every = [row for _, _, rows in games for row in rows]
    return ids, epochs, expected, counts, nths, *row_columns(every)


def row_columns(rows: Sequence["EventRow"]) -> tuple[Any, ...]:
    """Lay rows out as columns: indexes, types, payloads, times, hashes."""
    return tuple(map(list, zip(*rows, strict=True)))


def _completion_columns(completion: Completion, xp: XpRule) -> tuple[Any, ...]:
    """Lay out what comes of a game's end, as `complete_game` takes it after the events."""
    results = completion.results
    if completion.uncounted is not None:
        xp = NO_XP
    return (
        completion.at,
        completion.winner_id,
        completion.uncounted,
        [result.player_id for result in results],
        [result.seat for result in results],
        [result.score for result in results],
        [result.counted_score for result in results],
        [result.counted_tricks for result in results],
        [result.is_winner for result in results],
        [result.forfeited for result in results],
        xp.per_game,
        xp.per_win,
        *_event_columns(completion),
        *_summary_columns(completion.summary),
    )


def _event_columns(completion: Completion) -> tuple[Any, ...]:
    """Lay out the event of a game's end; the statement adds what is in the game's row."""
    columns = {
        "winner_id": completion.winner_id,
        "uncounted": completion.uncounted,
        "players": [
            {
                "player_id": result.player_id,
                "seat": result.seat,
                "score": result.score,
                "is_winner": result.is_winner,
                "forfeited": result.forfeited,
            }
            for result in completion.results
        ],
    }
    return GameCompleted.name, GameCompleted.version, orjson.dumps(columns)


def _summary_columns(summary: GameSummary) -> tuple[Any, ...]:
    # `complete_game` takes the columns in the order of the model's fields.
    return tuple(
        value if value is None or isinstance(value, int) else orjson.dumps(value)
        for _, value in summary
    )


log = logging.getLogger(__name__)
T = TypeVar("T")

# A statement takes no further game beyond one of these; what one game has is never split.
BATCH_EVENTS_MAX = 1000
BATCH_BYTES_MAX = 1024 * 1024
# Commands are refused beyond this. It bounds the memory that an outage of the database can cost.
QUEUED_EVENTS_MAX = 20_000
# More than one, so that a game whose statement hangs does not hold up the completions, and so many
# that games which end together do not wait for each other. Each holds a connection of the pool, of
# which they never take more than half: completions that wait for a lock must not stop all else.
SOLO_WORKERS_MAX = 6
# Beyond this the writers wait, and the queue before them fills until commands are refused.
SOLO_BATCHES_MAX = 1000
RETRY_PAUSE_S = 0.25
CREATE_TRIES = 3
DRAIN_LOOK_S = 0.01


# Upper bounds of the commit latency histogram, seconds.
LATENCY_BOUNDS_S = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.5, 2.0)


@dataclass(slots=True)
class LogMetrics:
    """Totals since the start, and a histogram of how long a batch took to commit."""

    events: int = 0
    batches: int = 0
    completions: int = 0
    retries: int = 0
    failures: int = 0  # bugs that were contained
    latency_s: float = 0.0
    latency_counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS_S) + 1))

    def count_batch(self, events: int, seconds: float) -> None:
        """Count one committed batch."""
        self.events += events
        self.batches += 1
        self.latency_s += seconds
        self.latency_counts[bisect_left(LATENCY_BOUNDS_S, seconds)] += 1


class EventRow(NamedTuple):
    """One event as it is stored: canonical payload, link of the hash chain."""

    event_index: int
    type: str
    payload: bytes
    at: datetime
    hash: bytes


class _MadeGame(NamedTuple):
    """A new game, and how `create_games` takes it with its first events."""

    game_id: GameId
    lobby_id: LobbyId | None
    row: bytes


def _made_game(game: GameRow, rows: Sequence[EventRow]) -> _MadeGame:
    events = [
        {
            "event_index": row.event_index,
            "type": row.type,
            "payload": orjson.Fragment(row.payload),
            "created_at": row.at,
            "hash": row.hash.hex(),
        }
        for row in rows
    ]
    encoded = orjson.dumps({**game.create_parameters(), "events": events})
    return _MadeGame(game.id, game.lobby_id, encoded)


class RowsLost(Exception):
    """The rows were not written and never will be by this owner."""


class OwnerFenced(RowsLost):
    """Another node owns the game now, or the log has moved on."""


class RowsRefused(RowsLost):
    """The database does not accept these events."""


class ValuesUnstorable(RowsRefused):
    """The events hold values that the database cannot store, and never will."""


class _Locked(Exception):
    """Somebody else holds the game's row just now; who that is may have written the rows."""


class IllegalTransition(Exception):
    """A state machine was given an input that its state does not allow: a bug of ours."""

    def __init__(self, state: Enum, event: Enum) -> None:
        super().__init__(f"{event.name} is not allowed in {state.name}")


class LogState(Enum):
    """Where one game's rows are on their way to the database."""

    IDLE = auto()  # all that was appended is committed
    QUEUED = auto()  # rows wait for a writer
    WRITING = auto()  # a batch is in a writer's statement
    SOLO = auto()  # a batch is in the solo lane, perhaps for a long time
    DEAD = auto()  # nothing is written any more


class LogInput(Enum):
    """What happens to one game's place in the log."""

    APPEND = auto()  # the owner has more rows
    TAKE = auto()  # a writer takes all that waits
    SET_ASIDE = auto()  # the writer hands the batch to the solo lane
    COMMIT = auto()  # the batch is in the database, and nothing came meanwhile
    COMMIT_MORE = auto()  # the batch is in the database, and more rows wait
    LOSE = auto()  # the batch is not in the database, and never will be
    OWNER_RAISED = auto()  # when it was called with a commit
    FORGET = auto()  # the owner is gone


# Names of the module, as a look-up through the class costs more than the comparison.
IDLE: Final = LogState.IDLE
QUEUED: Final = LogState.QUEUED
WRITING: Final = LogState.WRITING
SOLO: Final = LogState.SOLO
DEAD: Final = LogState.DEAD

TRANSITIONS: Final[Mapping[LogState, Mapping[LogInput, LogState]]] = {
    IDLE: {
        LogInput.APPEND: QUEUED,
        LogInput.OWNER_RAISED: DEAD,
        LogInput.FORGET: DEAD,
    },
    QUEUED: {
        LogInput.APPEND: QUEUED,
        LogInput.TAKE: WRITING,
        LogInput.OWNER_RAISED: DEAD,
        LogInput.FORGET: DEAD,
    },
    WRITING: {
        LogInput.APPEND: WRITING,
        LogInput.SET_ASIDE: SOLO,
        LogInput.COMMIT: IDLE,
        LogInput.COMMIT_MORE: QUEUED,
        LogInput.LOSE: DEAD,
        LogInput.FORGET: DEAD,
    },
    SOLO: {
        LogInput.APPEND: SOLO,
        LogInput.COMMIT: IDLE,
        LogInput.COMMIT_MORE: QUEUED,
        LogInput.LOSE: DEAD,
        LogInput.FORGET: DEAD,
    },
    # A batch that was under way when the owner went goes its way: it may be set aside and end in
    # either manner. There is no TAKE and no COMMIT_MORE, as nothing waits.
    DEAD: {
        LogInput.APPEND: DEAD,
        LogInput.SET_ASIDE: DEAD,
        LogInput.COMMIT: DEAD,
        LogInput.LOSE: DEAD,
        LogInput.OWNER_RAISED: DEAD,
        LogInput.FORGET: DEAD,
    },
}


class GameBatch(NamedTuple):
    """One game's rows on their way to the database."""

    game: "GameLog"
    rows: list[EventRow]
    completion: Completion | None


def _nobody(_: object) -> None:
    """Stand in for an owner that wants to hear nothing more."""


class GameLog:
    """One game's place in the log, for as long as this node owns it at this epoch.

    `append`, `take` and `settle` run once or more for every event of the server. They change the
    state by themselves, as `TRANSITIONS` says, and leave to it what they do not expect. A test
    drives every state with every input and compares the two.
    """

    __slots__ = (
        "_completion",
        "_rows",
        "bytes",
        "committed",
        "failed",
        "game_id",
        "log",
        "owner_epoch",
        "state",
    )

    def __init__(
        self,
        log: "EventLogWriter",
        game_id: GameId,
        owner_epoch: int,
        *,
        committed: Callable[[list[EventRow]], None],
        failed: Callable[[RowsLost], None],
    ) -> None:
        self.log = log
        self.game_id = game_id
        self.owner_epoch = owner_epoch  # fences every write; a new owner makes a new `GameLog`
        self.committed = committed
        self.failed = failed
        self.state: LogState = IDLE
        self.bytes = 0  # of the payloads that wait
        self._rows: list[EventRow] = []
        # Comes with the last rows. They may still be waiting behind a batch that is under way, so
        # it belongs to whatever batch takes them.
        self._completion: Completion | None = None

    def append(self, rows: list[EventRow], completion: Completion | None = None) -> None:
        """Queue the next rows; with a completion they are the game's last."""
        state = self.state
        if state is DEAD:
            return  # the owner hears of its loss, or wants to hear nothing
        self._rows += rows
        self._completion = completion
        self.log.queued += len(rows)
        for row in rows:  # mostly one; a generator for `sum` costs more than it adds
            self.bytes += len(row.payload)
        # Only from IDLE: in every other state the game is in line already, or comes back to it
        # in `settle`. A second place in line would be taken with no rows.
        if state is IDLE:
            self.state = QUEUED
            self.log.offer(self)

    def take_batch(self) -> GameBatch:
        """Take all that waits; nothing more is taken until `settle`."""
        if self.state is not QUEUED:
            raise IllegalTransition(self.state, LogInput.TAKE)
        self.state = WRITING
        batch = GameBatch(self, self._rows, self._completion)
        # A new list, as the batch keeps the old one: rows that come now are the next batch's.
        self._rows, self._completion, self.bytes = [], None, 0
        self.log.queued -= len(batch.rows)
        return batch

    def move_to_solo(self) -> None:
        """Leave the writer's statement for the solo lane; the batch stays under way."""
        self._move(LogInput.SET_ASIDE)

    def settle(self, batch: GameBatch, lost: RowsLost | None) -> None:
        """Report to the owner how a batch ended, and offer what came meanwhile."""
        if lost is not None:
            self._die(LogInput.LOSE, lost)
            return
        # The state moves on before the owner is called: what it appends in that call must find the
        # game without a batch under way, or in need of no second place in line.
        more = bool(self._rows)
        state = self.state
        if state is WRITING or state is SOLO:
            self.state = QUEUED if more else IDLE
        else:
            self._move(LogInput.COMMIT)
        try:
            self.committed(batch.rows)
        except Exception:
            self.log.log_failure(f"the owner of game {self.game_id}")
            # The rows are in the log; what the owner has made of them is not known.
            self._die(LogInput.OWNER_RAISED, RowsRefused("its owner failed"))
            return
        # After the call, as the owner may have raised, or gone: then these rows are not written.
        # Those that it appended itself, where none waited, stand in line already.
        if more and self.state is QUEUED:
            self.log.offer(self)

    def detach_owner(self) -> None:
        """Call nobody back any more: the game is over, or its owner is gone.

        Rows that wait are dropped; nobody was promised them. They exist only where another node
        took the game, which would refuse them anyway.
        """
        self._move(LogInput.FORGET)
        self._drop_waiting()
        # The owner holds this log, and the callbacks hold the owner. Without them, neither waits
        # for the garbage collector, and a batch under way keeps the game's state alive no longer.
        self.committed = self.failed = _nobody

    def _die(self, event: LogInput, lost: RowsLost) -> None:
        # Before the owner is called, as it may append or forget in that call.
        self._move(event)
        self._drop_waiting()
        try:
            self.failed(lost)
        except Exception:
            self.log.log_failure(f"the owner of game {self.game_id}, which was lost,")

    def _drop_waiting(self) -> None:
        # These were decided on top of rows that are lost, so none of them may be written. They
        # must leave the count as well, or `drain` would wait for them for ever.
        self.log.queued -= len(self._rows)
        self._rows, self._completion, self.bytes = [], None, 0

    def _move(self, event: LogInput) -> None:
        after = TRANSITIONS[self.state].get(event)
        if after is None:
            raise IllegalTransition(self.state, event)
        self.state = after


class EventLogWriter:
    """The log of all games of this node. `run` must be running for anything to commit.

    `queued` counts the events that wait for a writer, `xp` is what a game brings its players.
    """

    def __init__(self, database: Database, *, writers: int, xp: XpRule = NO_XP) -> None:
        self._database = database
        self._xp = xp
        self._solo: asyncio.Queue[GameBatch] = asyncio.Queue()  # bounded by its room
        # Held from `settle_alone` until the batch is settled, also while it waits for a retry.
        # A bound on the queue would not do: a batch that goes back in line would wait for the very
        # workers that put it there.
        self._solo_room = asyncio.BoundedSemaphore(SOLO_BATCHES_MAX)
        # Every game that is QUEUED, once, and games that died in line. One line for all writers: in
        # a line of its writer's own, a game would wait for that one while another is idle.
        self.waiting: deque[GameLog] = deque()
        self._idle: list[_Writer] = []
        self._writers = [_Writer(self, database) for _ in range(writers)]
        self._creations = GroupCommit[_MadeGame, bool](self._create_together)
        self.metrics = LogMetrics()
        self.queued = 0

    async def run(self) -> None:
        """Write what is appended, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for writer in self._writers:
                group.create_task(writer.run(), name="log writer")
            for _ in range(min(SOLO_WORKERS_MAX, max(1, self._database.connections_max // 2))):
                group.create_task(self._settle_alone(), name="log solo lane")
            group.create_task(self._creations.run(), name="log creations")

    def offer(self, game: GameLog) -> None:
        """Put a game that has rows in line, and wake a writer that is idle."""
        self.waiting.append(game)
        if self._idle:
            self._idle.pop().wake()

    def note_idle(self, writer: "_Writer") -> None:
        """Have a writer woken by the next game that comes."""
        self._idle.append(writer)

    def log_failure(self, what: str) -> None:
        """Log a bug that is being handled and was contained, and count it."""
        self.metrics.failures += 1
        log.exception("%s failed", what)

    def require_room(self) -> bool:
        """Say whether more events may be decided now; if not, refuse as overloaded."""
        return self.queued < QUEUED_EVENTS_MAX

    def open_game(
        self,
        game_id: GameId,
        owner_epoch: int,
        *,
        committed: Callable[[list[EventRow]], None],
        failed: Callable[[RowsLost], None],
    ) -> GameLog:
        """Open a game that this node owns at this epoch."""
        return GameLog(self, game_id, owner_epoch, committed=committed, failed=failed)

    async def drain(self) -> None:
        """Wait until nothing waits and nothing is under way."""
        # In this order: rows go from the queue to a writer and from there to the solo lane. If
        # nothing is decided any more, whatever was seen to be empty stays empty.
        while self.queued or any(w.busy for w in self._writers):  # noqa: ASYNC110 - at the end
            await asyncio.sleep(DRAIN_LOOK_S)
        await self._solo.join()

    # ------------------------------------------------------------------ creating

    async def create_game(self, game: GameRow, rows: Sequence[EventRow]) -> None:
        """Create a game with its first events, and start its lobby, in one transaction.

        Raises `LobbyChanged` where the lobby is not as it was read, `Overloaded` where too many
        are being created, `Unavailable` where the database cannot be reached. Safe against a lost
        answer: the id is there then.
        """
        made = _made_game(game, rows)
        if not await self._creations.commit(made):
            await self._create_alone(made)
        self.metrics.events += len(rows)

    async def _create_together(self, games: Sequence[_MadeGame]) -> list[bool]:
        """Create many games in one statement; says of each whether that is known to have worked."""
        is_lent = False
        try:
            async with self._database.acquire() as connection:
                is_lent = True
                created = {row["id"] for row in await _create(connection, games)}
        except Exception as error:  # of one of them, or an answer was lost: each of them finds out
            if isinstance(error, Overloaded) and not is_lent:
                raise  # each of them would wait for the same pool
            log.warning("creating %d games at once: %r; one by one", len(games), error)
            return [False] * len(games)
        return [game.game_id in created for game in games]

    async def _create_alone(self, game: _MadeGame) -> None:
        """Create a game that was not created with others, and find out why if it cannot be."""
        for _ in range(CREATE_TRIES):
            try:
                async with self._database.transaction() as connection:
                    # Without it the statement would pass over a lobby that is locked: perhaps by an
                    # earlier try whose answer was lost, which has ended after this.
                    await connection.execute(SQL["lock_lobby_of_game"], game.lobby_id)
                    if not (
                        await _create(connection, [game])
                        or await connection.fetchval(SQL["is_created"], game.game_id)
                    ):
                        raise LobbyChanged
            except (Unavailable, Overloaded):
                await asyncio.sleep(RETRY_PAUSE_S)
            else:
                return
        raise Unavailable

    # ------------------------------------------------------------------ the solo lane

    async def settle_alone(self, batch: GameBatch) -> None:
        """Hand one game's rows to the solo lane."""
        batch.game.move_to_solo()
        await self._solo_room.acquire()
        self._solo.put_nowait(batch)

    async def _settle_alone(self) -> None:
        """Settle one game after another; one that has to wait goes to the back of the line."""
        while True:
            batch = await self._solo.get()
            try:
                lost = await self._fate(batch)
            except _Locked:
                # The worker does not wait here: two locked games would stop the lane for all.
                asyncio.get_running_loop().call_later(RETRY_PAUSE_S, self._put_back, batch)
            except DATABASE_ERRORS as error:
                self.metrics.retries += 1
                log.warning(
                    "game %s: %s; trying again",
                    batch.game.game_id,
                    error,
                    extra={"game_id": batch.game.game_id},
                )
                # Here it does: the error is the database's, and the next game would meet it too.
                await asyncio.sleep(RETRY_PAUSE_S)
                self._put_back(batch)
            except Exception as bug:
                self.log_failure(f"writing game {batch.game.game_id}")
                self._settled(batch, RowsRefused(repr(bug)))
            else:
                self._settled(batch, lost)

    def _settled(self, batch: GameBatch, lost: RowsLost | None) -> None:
        # Without an await between them, so `drain` cannot return before the owner is called.
        self._solo_room.release()
        self._solo.task_done()
        batch.game.settle(batch, lost)

    def _put_back(self, batch: GameBatch) -> None:
        self._solo.put_nowait(batch)
        self._solo.task_done()  # the try before; in this order, so that `drain` waits on

    async def _fate(self, batch: GameBatch) -> RowsLost | None:
        """Write the rows, or find out that they are written; raise what may pass."""
        try:
            write_alone = WRITING_ALONE.around or EventLogWriter._write_alone
            await write_alone(self, batch)
        except RowsLost as lost:
            return lost
        except DATABASE_ERRORS as error:
            if is_transient(error):
                raise
            return _refused(error)
        return None

    async def _write_alone(self, batch: GameBatch) -> None:
        """Write one game's rows, unless they are there; the order of the checks is the proof."""
        game, first, after = batch.game, batch.rows[0].event_index, batch.rows[-1].event_index + 1
        if batch.completion is None:
            epoch, head, is_written = await self._append_alone(batch, first)
        else:
            # In one transaction: a kill between the last events and the result would leave a game
            # that has ended, and that nobody completes.
            epoch, head, is_written = await self._complete_alone(batch, batch.completion)
        if is_written:
            self.metrics.events += len(batch.rows)
            self.metrics.completions += batch.completion is not None
            return
        # Before the head is looked at: another owner's events may have brought it to where
        # ours would have. If ours are there, the new owner has folded them, and publishes them.
        if epoch != game.owner_epoch:
            raise OwnerFenced(f"game {game.game_id} has another owner")
        # Same owner and one batch under way, so nobody else can have moved the head: the
        # answer was lost, the commit was not. A completion was in the same transaction.
        if head != after:
            raise OwnerFenced(f"game {game.game_id} stands at {head}")

    async def _append_alone(self, batch: GameBatch, first: int) -> tuple[int, int, bool]:
        """Append to a game where it stands as expected; says how it stood."""
        game = batch.game
        async with self._database.transaction() as connection:
            # The lock first. A statement of ours whose answer was lost may still be running, and
            # holds the row: until it has ended, what could be read here proves nothing.
            head = await connection.fetchrow(SQL["lock_head"], game.game_id)
            if head is None:  # games are never deleted
                raise _Locked
            stood = (head["owner_epoch"], head["next_event_index"])
            if stood != (game.owner_epoch, first):
                return *stood, False
            columns = append_columns([(game.game_id, game.owner_epoch, batch.rows)])
            return *stood, bool(await connection.fetch(SQL["append"], *columns))

    async def _complete_alone(
        self, batch: GameBatch, completion: Completion
    ) -> tuple[int, int, bool]:
        """Append a game's last events with all that comes of its end; says how it stood."""
        game = batch.game
        columns = (*row_columns(batch.rows), *_completion_columns(completion, self._xp))
        async with self._database.acquire() as connection:
            stood = await connection.fetchrow(
                SQL["complete_game"], game.game_id, game.owner_epoch, *columns
            )
        if stood is None:
            raise _Locked
        return stood["owner_epoch"], stood["head"], stood["is_written"]


class _Writer:
    """One connection, one statement at a time."""

    def __init__(self, log: EventLogWriter, database: Database) -> None:
        self.log = log
        self._database = database
        self._wake = asyncio.Event()
        # One of its own, not of the pool: a pool that is used up must not stop the log.
        self._connection: asyncpg.Connection | None = None
        # Whether rows may be neither in the queue nor committed: for `drain`.
        self.busy = False

    def wake(self) -> None:
        """Have it look at the line."""
        self._wake.set()

    async def run(self) -> None:
        """Commit what waits, batch after batch."""
        try:
            while True:
                while self.log.waiting:
                    # Before `_take`, which lowers `queued`: `drain` must see one of the two.
                    self.busy = True
                    await self._write(await self._take())
                self.busy = False
                # Nothing is awaited since the line was seen to be empty, so no game can have come
                # that found this writer neither busy nor idle.
                self._wake.clear()
                self.log.note_idle(self)
                await self._wake.wait()
        finally:
            self._terminate()

    async def _take(self) -> list[GameBatch]:
        taken: list[GameBatch] = []
        events = size = 0
        waiting = self.log.waiting
        while waiting and events < BATCH_EVENTS_MAX and size < BATCH_BYTES_MAX:
            game = waiting.popleft()
            if game.state is DEAD:
                continue  # it died in line; a deque has no quick way to take it out
            size += game.bytes
            batch = game.take_batch()
            if batch.completion is not None:
                # It writes rows that other games lock as well: in the shared statement it would
                # hold up every game of the batch.
                await self.log.settle_alone(batch)
                continue
            events += len(batch.rows)
            taken.append(batch)
        return taken

    async def _write(self, batches: list[GameBatch]) -> None:
        if not batches:
            return
        started = asyncio.get_running_loop().time()
        try:
            append = APPENDING.around or _Writer._append
            passed = await append(self, batches)
        except DATABASE_ERRORS as error:
            await self._recover(batches, error)
        except Exception:
            # A bug that one of the batches has met; each alone, it takes nothing along. It may
            # have been met after the statement was sent, so the connection's state is unknown.
            self.log.log_failure(f"writing {len(batches)} games at once")
            self._terminate()
            await self._alone(batches)
        else:
            seconds = asyncio.get_running_loop().time() - started
            self.log.metrics.count_batch(sum(len(batches[n].rows) for n in passed), seconds)
            # Those that passed first, and all of them before anything is awaited: the solo lane may
            # be full, and a reply must not wait for another game's failure.
            for nth, batch in enumerate(batches):
                if nth in passed:
                    batch.game.settle(batch, None)
            # Locked, fenced or moved on: the statement does not say which, the solo lane asks.
            await self._alone([b for nth, b in enumerate(batches) if nth not in passed])

    async def _append(self, batches: list[GameBatch]) -> set[int]:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._database.open_unpooled_connection()
        columns = append_columns([(b.game.game_id, b.game.owner_epoch, b.rows) for b in batches])
        return {record[0] - 1 for record in await self._connection.fetch(SQL["append"], *columns)}

    async def _recover(self, batches: list[GameBatch], error: Exception) -> None:
        if not is_transient(error):
            await self._halve(batches, error)
            return
        log.warning("a batch of %d games: %s; settling one by one", len(batches), error)
        is_connected = self._connection is not None
        # First: a session that is left open may keep the locks of the very rows that the solo lane
        # is about to ask for.
        self._terminate()
        await self._alone(batches)
        if not is_connected:  # else it would take what a writer that can write should have
            await asyncio.sleep(RETRY_PAUSE_S)

    async def _halve(self, batches: list[GameBatch], error: Exception) -> None:
        """Find the game whose events the database refuses; only that one fails.

        A refusal rolls the statement back, so every half may be sent anew. With one culprit among
        n games this takes about 2 log n statements.
        """
        if len(batches) == 1:
            batches[0].game.settle(batches[0], _refused(error))
            return
        middle = len(batches) // 2
        await self._write(batches[:middle])
        await self._write(batches[middle:])

    async def _alone(self, batches: list[GameBatch]) -> None:
        for batch in batches:
            await self.log.settle_alone(batch)

    def _terminate(self) -> None:
        # Not a polite close, which would wait for an answer that may never come.
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


WRITING_ALONE: Final = HookPoint(EventLogWriter._write_alone)
APPENDING: Final = HookPoint(_Writer._append)


async def _create(connection: Connection, games: Sequence[_MadeGame]) -> list[asyncpg.Record]:
    """Create some games; gives the ids of those that were."""
    rows = b"[" + b",".join(game.row for game in games) + b"]"
    return list(await connection.fetch(SQL["create_games"], rows))


def _refused(error: Exception) -> RowsRefused:
    return ValuesUnstorable(str(error)) if is_bad_value(error) else RowsRefused(str(error))


def to_not_committed(lost: RowsLost) -> NotCommitted:
    """Turn a loss into the reply of the commands that it took down."""
    if isinstance(lost, RowsRefused):
        return NotCommitted(f"The database refused the events ({lost}); nothing was changed.")
    return NotCommitted()
