"""Reading games and their logs, and owning them. Events are written by `log` alone."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg
import orjson

from persistence.archives.reader import ArchivedLogs, GameArchive
from persistence.database import Database
from persistence.eventlog.writer import EventRow
from persistence.games.model import StoredGame
from persistence.objects import ObjectStorage
from persistence.queries import load_queries
from persistence.replica import ReplicaReads
from protocol.ids import GameId

SQL = load_queries("games/store")

PAGE_ROWS_MAX = 1000
ORPHANS_MAX = 200
NODES_MAX = 1000
HELD_MAX = 20_000
REASON_CHARS_MAX = 2000
TRACE_CHARS_MAX = 8000  # the end of it is kept: that is where it failed


class ClaimedGame(NamedTuple):
    """A game taken by this node: the epoch to write with, and where the log stands."""

    owner_epoch: int
    next_event_index: int


class GameOwnerNode(NamedTuple):
    """The live node that owns a game, and where clients reach it."""

    node: str
    address: str


class NodeLoad(NamedTuple):
    """How busy a node is; `load` is the share of a core that it used lately."""

    games: int = 0
    connections: int = 0
    load: float = 0.0
    is_draining: bool = False
    plays: str = ""
    version: str = ""


class NodeRow(NamedTuple):
    """A node as the database has it; a `lease_s` of 0 or less is a lease that ran out."""

    node: str
    address: str
    version: str
    games: int
    connections: int
    load: float
    is_draining: bool
    plays: str
    lease_s: float
    started_at: datetime


class GameStanding(NamedTuple):
    """How far a game is in the database, and who has it."""

    owner: str
    next_event_index: int
    is_completed: bool
    is_quarantined: bool


class LogTotals(NamedTuple):
    """What all nodes together have kept, ever."""

    games_completed: int
    events: int


class GameStore:
    """Games as they are stored."""

    def __init__(
        self,
        database: Database,
        *,
        node: str,
        objects: ObjectStorage | None = None,
        replica: ReplicaReads | None = None,
    ) -> None:
        self._database = database
        self._replica = replica
        self._archived = ArchivedLogs(objects)
        self.node = node

    async def find(self, game_id: GameId) -> StoredGame | None:
        """Read one game's row."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["find_game"], game_id)
        return None if record is None else parse_game_row(record)

    async def read_events(
        self, game_id: GameId, *, after: int, limit: int = PAGE_ROWS_MAX
    ) -> list[EventRow]:
        """Read at most `limit` committed events with an index above `after`, in order.

        Where the database has none, the game may be archived.
        """
        page = min(limit, PAGE_ROWS_MAX)
        async with self._database.acquire() as connection:
            records = await connection.fetch(SQL["read_events"], game_id, after, page)
            archive = None if records else await self._archived.find(connection, game_id)
        if archive is not None:
            return await self._archived.read(archive, after=after, limit=page)
        return [EventRow(*record) for record in records]

    async def read_finished_events(
        self, game_id: GameId, *, after: int, limit: int = PAGE_ROWS_MAX
    ) -> list[EventRow]:
        """Read events of a game that is over, also from a standby.

        A standby that knows that the game is over has all of its events, since they were committed
        together. One that does not know it yet has none here, and the primary is asked.
        """
        page = min(limit, PAGE_ROWS_MAX)
        if self._replica is not None and self._replica.is_fresh:
            records = await self._replica.read(
                lambda connection: connection.fetch(
                    SQL["read_finished_events"], game_id, after, page
                )
            )
            if records:
                return [EventRow(*record) for record in records]
        return await self.read_events(game_id, after=after, limit=limit)

    async def read_head_at(self, game_id: GameId, moment: datetime) -> int:
        """Give the index of the newest event that was there at a moment; -1 for none."""
        async with self._database.acquire() as connection:
            index: int | None = await connection.fetchval(SQL["head_at"], game_id, moment)
        return -1 if index is None else index

    async def read_log(self, game_id: GameId) -> list[EventRow]:
        """Read a whole log."""
        rows: list[EventRow] = []
        while page := await self.read_events(game_id, after=rows[-1].event_index if rows else -1):
            rows += page
            if len(page) < PAGE_ROWS_MAX:
                break
        return rows

    async def find_command_event(
        self, game_id: GameId, *, seat: int, cmd_no: int
    ) -> EventRow | None:
        """Read the first event that a seat's command caused, if it caused one."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["event_of_command"], game_id, seat, cmd_no)
            archive = None if record else await self._archived.find(connection, game_id)
        if archive is not None:
            return await self._find_archived_command(archive, seat, cmd_no)
        return None if record is None else EventRow(*record)

    async def count_totals(self) -> LogTotals:
        """Count finished games and all events; costs what running games cost to look up."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["totals"])
        assert record is not None
        return LogTotals(*record)

    async def read_last_command(self, game_id: GameId, seat: int) -> int:
        """Give the highest command number that a seat has used; 0 for none."""
        async with self._database.acquire() as connection:
            number: int | None = await connection.fetchval(SQL["last_command"], game_id, seat)
            archive = None if number else await self._archived.find(connection, game_id)
        if archive is not None:
            rows = self._archived.iterate_rows(archive)
            numbers = [each async for row in rows for each in _commands_of(row, seat)]
            number = max(numbers, default=0)
        return number or 0

    async def _find_archived_command(
        self, archive: GameArchive, seat: int, cmd_no: int
    ) -> EventRow | None:
        async for row in self._archived.iterate_rows(archive):
            if cmd_no in _commands_of(row, seat):
                return row
        return None

    async def claim_game(self, game_id: GameId) -> ClaimedGame | None:
        """Take a game, unless another node's lease on it is good."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["claim_game"], game_id, self.node)
        return None if record is None else ClaimedGame(*record)

    async def list_held(self, rulesets: Sequence[tuple[str, int]]) -> list[GameId]:
        """List the running games that this node owns, in this life or an earlier one.

        `rulesets` says which it can play: names with versions.
        """
        async with self._database.acquire() as connection:
            records = await connection.fetch(
                SQL["held_games"], self.node, HELD_MAX, *_columns(rulesets)
            )
        return [record["id"] for record in records]

    async def list_orphaned(self, rulesets: Sequence[tuple[str, int]]) -> list[GameId]:
        """List some running games of these rulesets that no live node owns, oldest first."""
        async with self._database.acquire() as connection:
            records = await connection.fetch(
                SQL["orphaned_games"], ORPHANS_MAX, *_columns(rulesets)
            )
        return [record["id"] for record in records]

    async def find_live_owner(self, game_id: GameId) -> GameOwnerNode | None:
        """Say which live node owns a game."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["live_owner"], game_id)
        return None if record is None else GameOwnerNode(*record)

    async def read_standings(self, game_ids: Sequence[GameId]) -> dict[GameId, GameStanding]:
        """Say how far some games are; what there is no game of is left out."""
        async with self._database.acquire() as connection:
            records = await connection.fetch(SQL["standings"], list(game_ids))
        return {record["id"]: GameStanding(*list(record)[1:]) for record in records}

    async def renew_lease(self, address: str, lease_s: float, load: NodeLoad | None = None) -> None:
        """Keep this node's lease for so many seconds from now, by the database's clock."""
        columns = (self.node, address, lease_s, *(load or NodeLoad()))
        async with self._database.acquire() as connection:
            await connection.execute(SQL["renew_lease"], *columns)

    async def list_nodes(self) -> list[NodeRow]:
        """List the nodes, first those whose lease holds."""
        async with self._database.acquire() as connection:
            records = await connection.fetch(SQL["list_nodes"], NODES_MAX)
        return [NodeRow(*record) for record in records]

    async def release_lease(self) -> None:
        """Give the lease back at once."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["release_lease"], self.node)

    async def find_still_owned(self, games: Mapping[GameId, int]) -> set[GameId]:
        """Say which of these games (id to owner epoch) are still this node's."""
        async with self._database.acquire() as connection:
            records = await connection.fetch(
                SQL["still_owned"], list(games), list(games.values()), self.node
            )
        return {record["id"] for record in records}

    async def quarantine(
        self, game_id: GameId, reason: str, *, owner_epoch: int, trace: str | None = None
    ) -> None:
        """Set a game aside and keep why, unless another owner has taken it meanwhile."""
        kept = _storable(reason)[:REASON_CHARS_MAX]
        traced = None if trace is None else _storable(trace)[-TRACE_CHARS_MAX:]
        async with self._database.acquire() as connection:
            await connection.execute(SQL["quarantine_game"], game_id, kept, owner_epoch, traced)


def _commands_of(row: EventRow, seat: int) -> list[int]:
    """List the numbers of a seat's commands that an event is of, as the queries find them."""
    payload = orjson.loads(row.payload)
    inputs = payload.get("inputs", ()) if row.type == "tick" else ()
    of_event = payload.get("_cmd") or ()
    return [each[1] for each in (of_event, *inputs) if each and each[0] == seat]


def _storable(text: str) -> str:
    return text.replace("\0", "\\0")  # PostgreSQL stores no NUL


def parse_game_row(record: asyncpg.Record) -> StoredGame:
    """Read a row of `find_game`."""
    fields = dict(record)
    fields["seed"] = fields.pop("session_seed")
    fields["config"] = orjson.loads(fields["config"])
    return StoredGame.parse_columns(fields)


def _columns(rulesets: Sequence[tuple[str, int]]) -> tuple[list[str], list[int]]:
    return [name for name, _ in rulesets], [version for _, version in rulesets]
