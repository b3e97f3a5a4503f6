"""The only writer of game events.

    GameLog   one game's place in the log: rows that wait, at most one batch under way
    Log       the writers' owner: group commit, the solo lane, creating games

A writer owns one connection. Whenever it is idle and something waits, it takes all that
waits, of many games, and commits it in one statement; there is no timer. What a batch
could not settle (a locked row, a lost answer, a completion) goes to the solo lane, which
finds out one game's fate at a time, so that one game's trouble touches no other.

Every row ends in exactly one of two calls: `committed`, in order, or `failed`, after
which the game's log is dead and its owner must read it again. An owner that raises when it is told
is dead as well, and the writers go on: they write many games' rows.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import asyncpg
import orjson

from persistence.database import Connection, Database
from persistence.errors import TROUBLES, is_about_values, may_pass
from persistence.eventlog.completion import NO_XP, Completion, XpRule
from persistence.eventlog.metrics import LogMetrics
from persistence.games.model import GameRow, LobbyChanged
from persistence.queries import load
from protocol.domain_events import GameCompleted
from protocol.errors import NotCommitted, Overloaded, Unavailable
from protocol.ids import GameId

SQL = load("eventlog/writer")


def append_columns(games: Sequence[tuple[GameId, int, Sequence["Row"]]]) -> tuple[Any, ...]:
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


def row_columns(rows: Sequence["Row"]) -> tuple[Any, ...]:
    """Lay rows out as columns: indexes, types, payloads, times, hashes."""
    return tuple(map(list, zip(*rows, strict=True)))


async def write_completion(
    connection: Connection, game_id: GameId, completion: Completion, xp: XpRule
) -> None:
    """Write the summary, everybody's statistics, XP and the match, and close the lobby."""
    players = [result.player_id for result in completion.results]
    scores = [result.score for result in completion.results]
    won = [result.is_winner for result in completion.results]
    forfeited = [result.forfeited for result in completion.results]
    seats = [result.seat for result in completion.results]
    at = completion.at
    # Also for a game that is not counted: the locks keep a player who is being erased from
    # getting into the summary by name.
    await connection.execute(SQL["ensure_stats"], players)
    await connection.execute(SQL["lock_stats"], players)
    if completion.uncounted is None:
        counted = [result.counted_score for result in completion.results]
        tricks = [result.counted_tricks for result in completion.results]
        await connection.execute(SQL["apply_stats"], game_id, players, counted, tricks, won, at)
    else:
        xp = NO_XP
    await connection.execute(SQL["insert_summary"], game_id, *_summary_columns(completion))
    await connection.execute(SQL["complete_game"], game_id, at, *_event_columns(completion))
    how = (completion.winner_id, completion.uncounted)
    match = await connection.fetchval(SQL["insert_match"], game_id, at, *how)
    shares = (match, players, seats, scores, won, at, xp.per_game, xp.per_win, forfeited)
    await connection.execute(SQL["insert_match_players"], *shares)
    await connection.execute(SQL["close_lobby"], game_id, at)
    await connection.execute(SQL["unlist_room"], game_id)


def _event_columns(completion: Completion) -> tuple[Any, ...]:
    """Lay out the event of a game's end; the statement adds what is in the game's row."""
    told = {
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
    return GameCompleted.name, GameCompleted.version, orjson.dumps(told)


def _summary_columns(completion: Completion) -> tuple[Any, ...]:
    summary = completion.summary
    return (
        orjson.dumps(summary.players),
        orjson.dumps(summary.rounds),
        orjson.dumps(summary.final_scores),
        summary.highest_bid,
        summary.highest_score,
        summary.lowest_score,
        summary.most_consecutive_wins,
        summary.most_consecutive_losses,
        summary.highest_misplay,
    )


log = logging.getLogger(__name__)
T = TypeVar("T")

BATCH_EVENTS_MAX = 1000
BATCH_BYTES_MAX = 1024 * 1024
QUEUED_EVENTS_MAX = 20_000
SOLO_WORKERS = 2
SOLO_BATCHES_MAX = 1000
RETRY_PAUSE_S = 0.25
CREATE_TRIES = 3
DRAIN_LOOK_S = 0.01


class Row(NamedTuple):
    """One event as it is stored: canonical payload, link of the hash chain."""

    event_index: int
    type: str
    payload: bytes
    at: datetime
    hash: bytes


class Lost(Exception):
    """The rows were not written and never will be by this owner."""


class Fenced(Lost):
    """Another node owns the game now, or the log has moved on."""


class Refused(Lost):
    """The database does not accept these events."""


class Unstorable(Refused):
    """The events hold values that the database cannot store, and never will."""


class _Locked(Exception):
    """Somebody else holds the game's row just now; who that is may have written the rows."""


class Batch(NamedTuple):
    """One game's rows on their way to the database."""

    game: "GameLog"
    rows: list[Row]
    completion: Completion | None


def _nobody(_: object) -> None:
    """Stand in for an owner that wants to hear nothing more."""


class GameLog:
    """One game's place in the log, for as long as this node owns it at this epoch."""

    __slots__ = (
        "_completion",
        "_rows",
        "bytes",
        "committed",
        "dead",
        "failed",
        "game_id",
        "owner_epoch",
        "under_way",
        "writer",
    )

    def __init__(
        self,
        writer: "_Writer",
        game_id: GameId,
        owner_epoch: int,
        *,
        committed: Callable[[list[Row]], None],
        failed: Callable[[Lost], None],
    ) -> None:
        self.writer = writer
        self.game_id = game_id
        self.owner_epoch = owner_epoch
        self.committed = committed
        self.failed = failed
        self.under_way = False
        self.dead = False
        self.bytes = 0
        self._rows: list[Row] = []
        self._completion: Completion | None = None

    def append(self, rows: list[Row], completion: Completion | None = None) -> None:
        """Queue the next rows; with a completion they are the game's last."""
        if self.dead:
            return
        first = not self._rows
        self._rows += rows
        self._completion = completion
        self.writer.log.queued += len(rows)
        self.bytes += sum(len(row.payload) for row in rows)
        if first and not self.under_way:
            self.writer.offer(self)

    def forget(self) -> None:
        """Call nobody back any more: the game is over, or its owner is gone."""
        self.dead = True
        self.committed = self.failed = _nobody

    def take(self) -> Batch:
        """Take all that waits; nothing more is taken until `settle`."""
        batch = Batch(self, self._rows, self._completion)
        self._rows, self._completion, self.bytes = [], None, 0
        self.under_way = True
        self.writer.log.queued -= len(batch.rows)
        return batch

    def settle(self, batch: Batch, lost: Lost | None) -> None:
        """Tell the owner how a batch ended, and offer what came meanwhile."""
        self.under_way = False
        if lost is None:
            try:
                self.committed(batch.rows)
            except Exception:
                self.writer.log.failed(f"the owner of game {self.game_id}")
                # The rows are in the log; what the owner has made of them is not known.
                lost = Refused("its owner failed")
        if lost is not None:
            self._die(lost)
        elif self._rows and not self.dead:
            self.writer.offer(self)

    def _die(self, lost: Lost) -> None:
        self.dead = True
        self.writer.log.queued -= len(self._rows)
        self._rows = []
        try:
            self.failed(lost)
        except Exception:
            self.writer.log.failed(f"the owner of game {self.game_id}, which was lost,")


class Log:
    """The log of all games of this node. `run` must be running for anything to commit.

    `queued` counts the events that wait for a writer, `xp` is what a game brings its players.
    """

    def __init__(self, database: Database, *, writers: int, xp: XpRule = NO_XP) -> None:
        self._database = database
        self._xp = xp
        self._solo: asyncio.Queue[Batch] = asyncio.Queue()  # bounded by its room
        self._solo_room = asyncio.BoundedSemaphore(SOLO_BATCHES_MAX)
        self._writers = [_Writer(self, database) for _ in range(writers)]
        self.metrics = LogMetrics()
        self.queued = 0

    async def run(self) -> None:
        """Write what is appended, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for writer in self._writers:
                group.create_task(writer.run(), name="log writer")
            for _ in range(SOLO_WORKERS):
                group.create_task(self._settle_alone(), name="log solo lane")

    def failed(self, what: str) -> None:
        """Log a bug that is being handled and was contained, and count it."""
        self.metrics.failures += 1
        log.exception("%s failed", what)

    def has_room(self) -> bool:
        """Say whether more events may be decided now; if not, refuse as overloaded."""
        return self.queued < QUEUED_EVENTS_MAX

    def open(
        self,
        game_id: GameId,
        owner_epoch: int,
        *,
        committed: Callable[[list[Row]], None],
        failed: Callable[[Lost], None],
    ) -> GameLog:
        """Open a game that this node owns at this epoch; it always has the same writer."""
        writer = self._writers[hash(game_id) % len(self._writers)]
        return GameLog(writer, game_id, owner_epoch, committed=committed, failed=failed)

    async def drain(self) -> None:
        """Wait until nothing waits and nothing is under way."""
        while self.queued or any(w.busy for w in self._writers):  # noqa: ASYNC110 - at the end
            await asyncio.sleep(DRAIN_LOOK_S)
        await self._solo.join()

    # ------------------------------------------------------------------ creating

    async def create(self, game: GameRow, rows: Sequence[Row]) -> None:
        """Create a game with its first events, and start its lobby, in one transaction.

        Raises `LobbyChanged` where the lobby is not as it was read, `Unavailable` where
        the database cannot be reached. Safe against a lost answer: the id tells.
        """
        for _ in range(CREATE_TRIES):
            try:
                await self._create_once(game, rows)
            except (Unavailable, Overloaded):
                await asyncio.sleep(RETRY_PAUSE_S)
            else:
                self.metrics.events += len(rows)
                return
        raise Unavailable

    async def _create_once(self, game: GameRow, rows: Sequence[Row]) -> None:
        async with self._database.transaction() as connection:
            if await connection.fetchval(SQL["is_created"], game.id):
                return  # an earlier try did commit
            await connection.execute(SQL["create_game"], *game.columns())
            started = await connection.fetchval(
                SQL["start_lobby"], game.lobby_id, game.id, game.lobby_version
            )
            if game.lobby_id is not None and started is None:
                raise LobbyChanged
            await connection.execute(SQL["begin_game"], game.id, *row_columns(rows))
            if game.is_public and game.join_code is not None:
                await connection.execute(SQL["list_room"], *game.room())

    # ------------------------------------------------------------------ the solo lane

    async def settle_alone(self, batch: Batch) -> None:
        """Hand one game's rows to the solo lane."""
        await self._solo_room.acquire()
        self._solo.put_nowait(batch)

    async def _settle_alone(self) -> None:
        """Settle one game after another; one that has to wait goes to the back of the line."""
        while True:
            batch = await self._solo.get()
            try:
                lost = await self._fate(batch)
            except _Locked:
                asyncio.get_running_loop().call_later(RETRY_PAUSE_S, self._put_back, batch)
            except TROUBLES as trouble:
                self.metrics.retries += 1
                log.warning("game %s: %s; trying again", batch.game.game_id, trouble)
                await asyncio.sleep(RETRY_PAUSE_S)
                self._put_back(batch)
            except Exception as bug:
                self.failed(f"writing game {batch.game.game_id}")
                self._settled(batch, Refused(repr(bug)))
            else:
                self._settled(batch, lost)

    def _settled(self, batch: Batch, lost: Lost | None) -> None:
        self._solo_room.release()
        self._solo.task_done()
        batch.game.settle(batch, lost)

    def _put_back(self, batch: Batch) -> None:
        self._solo.put_nowait(batch)
        self._solo.task_done()  # the try before; in this order, so that `drain` waits on

    async def _fate(self, batch: Batch) -> Lost | None:
        """Write the rows, or find out that they are written; raise what may pass."""
        try:
            await self._write_alone(batch)
        except Lost as lost:
            return lost
        except TROUBLES as trouble:
            if may_pass(trouble):
                raise
            return _refused(trouble)
        return None

    async def _write_alone(self, batch: Batch) -> None:
        game, first, after = batch.game, batch.rows[0].event_index, batch.rows[-1].event_index + 1
        async with self._database.transaction() as connection:
            head = await connection.fetchrow(SQL["lock_head"], game.game_id)
            if head is None:  # games are never deleted
                raise _Locked
            if head["owner_epoch"] != game.owner_epoch:
                raise Fenced(f"game {game.game_id} has another owner")
            if head["next_event_index"] == after:
                return  # the answer was lost, the commit was not
            columns = append_columns([(game.game_id, game.owner_epoch, batch.rows)])
            passed = await connection.fetch(SQL["append"], *columns)
            if head["next_event_index"] != first or not passed:
                raise Fenced(f"game {game.game_id} stands at {head['next_event_index']}")
            if batch.completion is not None:
                await write_completion(connection, game.game_id, batch.completion, self._xp)
        self.metrics.events += len(batch.rows)
        self.metrics.completions += batch.completion is not None


class _Writer:
    """One connection, one statement at a time."""

    def __init__(self, log: Log, database: Database) -> None:
        self.log = log
        self._database = database
        self._waiting: deque[GameLog] = deque()
        self._wake = asyncio.Event()
        self._connection: asyncpg.Connection | None = None
        self.busy = False

    def offer(self, game: GameLog) -> None:
        """Put a game that has rows in line."""
        self._waiting.append(game)
        self._wake.set()

    async def run(self) -> None:
        """Commit what waits, batch after batch."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    self.busy = True
                    await self._write(await self._take())
                self.busy = False
        finally:
            self._hang_up()

    async def _take(self) -> list[Batch]:
        taken: list[Batch] = []
        events = size = 0
        while self._waiting and events < BATCH_EVENTS_MAX and size < BATCH_BYTES_MAX:
            game = self._waiting.popleft()
            size += game.bytes
            batch = game.take()
            if batch.completion is not None:
                await self.log.settle_alone(batch)
                continue
            events += len(batch.rows)
            taken.append(batch)
        return taken

    async def _write(self, batches: list[Batch]) -> None:
        if not batches:
            return
        started = asyncio.get_running_loop().time()
        try:
            passed = await self._append(batches)
        except TROUBLES as error:
            await self._recover(batches, error)
        except Exception:
            # A bug that one of the batches has met; each alone, it takes nothing along.
            self.log.failed(f"writing {len(batches)} games at once")
            self._hang_up()
            await self._alone(batches)
        else:
            seconds = asyncio.get_running_loop().time() - started
            self.log.metrics.batch(sum(len(batches[n].rows) for n in passed), seconds)
            for nth, batch in enumerate(batches):
                if nth in passed:
                    batch.game.settle(batch, None)
            await self._alone([b for nth, b in enumerate(batches) if nth not in passed])

    async def _append(self, batches: list[Batch]) -> set[int]:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._database.connect()
        columns = append_columns([(b.game.game_id, b.game.owner_epoch, b.rows) for b in batches])
        return {record[0] - 1 for record in await self._connection.fetch(SQL["append"], *columns)}

    async def _recover(self, batches: list[Batch], error: Exception) -> None:
        if not may_pass(error):
            await self._halve(batches, error)
            return
        log.warning("a batch of %d games: %s; settling one by one", len(batches), error)
        self._hang_up()
        await self._alone(batches)

    async def _halve(self, batches: list[Batch], error: Exception) -> None:
        """Find the game whose events the database refuses; only that one fails."""
        if len(batches) == 1:
            batches[0].game.settle(batches[0], _refused(error))
            return
        middle = len(batches) // 2
        await self._write(batches[:middle])
        await self._write(batches[middle:])

    async def _alone(self, batches: list[Batch]) -> None:
        for batch in batches:
            await self.log.settle_alone(batch)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


def _refused(error: Exception) -> Refused:
    return Unstorable(str(error)) if is_about_values(error) else Refused(str(error))


def not_committed(lost: Lost) -> NotCommitted:
    """Turn a loss into the reply of the commands that it took down."""
    if isinstance(lost, Refused):
        return NotCommitted(f"The database refused the events ({lost}); nothing was changed.")
    return NotCommitted()
