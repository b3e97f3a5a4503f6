"""Days that another system saw, written as if they had happened here: all of a day, or nothing.

The clock of epochs is set to each line's time within the transaction, which nobody else sees, so
what guards the days (the votes' triggers, for one) guards these, too.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeAlias

import asyncpg
import orjson

from persistence.database import Connection, Database
from persistence.epochs.claims import write_claim
from persistence.epochs.store import NewDay, add_day, append_event
from persistence.epochs.votes import SQL as BALLOTS
from persistence.queries import load_queries
from protocol.epoch_profile import TargetType
from protocol.errors import InvalidField
from protocol.ids import BotId, EpochId

SQL = load_queries("epochs/imports")

# The classes of SQLSTATE that say that a vote is wrong: of our triggers, of data, of constraints.
REFUSALS: Final = ("PH", "22", "23")


class InvalidLine(InvalidField):
    """A line that cannot be kept: which one, which field of it, and why."""

    def __init__(self, number: int, problem: str, *, field: str | None = None) -> None:
        super().__init__(f"line {number}: {problem}", field=field)
        self.number = number


class ImportedClaim(NamedTuple):
    """A slot got code by a bot, at line `number`."""

    number: int
    at: datetime
    slot_index: int
    bot_id: BotId
    code: str


class ImportedVote(NamedTuple):
    """Somebody voted."""

    number: int
    at: datetime
    voter: str
    target_type: TargetType
    target_id: str
    score: Decimal


class ImportedNote(NamedTuple):
    """Something else that happened."""

    number: int
    at: datetime
    kind: str
    bot_id: BotId | None
    data: dict[str, Any]


Line: TypeAlias = ImportedClaim | ImportedVote | ImportedNote


class ImportStore:
    """Imported days in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_bots(self) -> dict[str, BotId]:
        """Give every registered bot by its slug."""
        async with self._database.acquire() as connection:
            return {slug: bot_id for slug, bot_id in await connection.fetch(SQL["bots"])}  # noqa: C416 - records

    async def add_day(self, new: NewDay, lines: Sequence[Line]) -> EpochId | None:
        """Write a day, live and with all its events; None if there is one of its date already.

        From then on it is advanced as any other, so one of the past is settled at once. Raises
        `EpochsOverlap`, or `InvalidField` for a line that the day does not take.
        """
        async with (
            self._database.transaction() as connection,
            use_line_times(connection, new.starts_at),
        ):
            epoch_id = await add_day(connection, new)
            if epoch_id is None:
                return None
            await connection.execute(SQL["begin"], epoch_id)
            await append_event(connection, epoch_id, "phase_changed", payload={"phase": "live"})
            for line in lines:
                await write_line(connection, epoch_id, line)
            return epoch_id


@asynccontextmanager
async def use_line_times(connection: Connection, at: datetime) -> AsyncIterator[None]:
    """Let `write_line` set what time it is for epochs, in this transaction alone."""
    was_set = await connection.fetchval(SQL["hold_clock"])
    await connection.execute(SQL["own_clock"], at)
    await connection.execute(SQL["stop_clock"], at)
    yield
    await connection.execute(SQL["restore_clock" if was_set else "remove_clock"])


@contextmanager
def _named(line: Line) -> Iterator[None]:
    """Say at which line is what the tables cannot hold: a zero character, endless nesting."""
    try:
        yield
    except (asyncpg.DataError, orjson.JSONEncodeError) as error:
        raise InvalidLine(line.number, f"cannot be kept: {error}.") from None


async def write_line(connection: Connection, epoch_id: EpochId, line: Line) -> None:
    """Write a line within `use_line_times`, at its own time; raise `InvalidLine`."""
    await connection.execute(SQL["stop_clock"], line.at)
    with _named(line):
        await _write(connection, epoch_id, line)


async def _write(connection: Connection, epoch_id: EpochId, line: Line) -> None:
    if isinstance(line, ImportedClaim):
        await _claim(connection, epoch_id, line)
    elif isinstance(line, ImportedVote):
        await _vote(connection, epoch_id, line)
    else:
        payload = {"kind": line.kind, "data": line.data}
        await append_event(
            connection, epoch_id, "activity", at=line.at, bot_id=line.bot_id, payload=payload
        )


async def _claim(connection: Connection, epoch_id: EpochId, line: ImportedClaim) -> None:
    holder = await connection.fetchval(SQL["holder"], epoch_id, line.slot_index)
    await write_claim(
        connection,
        epoch_id,
        line.slot_index,
        code=line.code,
        bot_id=line.bot_id,
        holder=holder,
        at=line.at,
    )


async def _vote(connection: Connection, epoch_id: EpochId, line: ImportedVote) -> None:
    values = (epoch_id, line.voter, None, line.target_type, line.target_id, line.score)
    try:
        await connection.execute(BALLOTS["cast_vote"], *values)
    except asyncpg.PostgresError as error:
        if (error.sqlstate or "")[:2] not in REFUSALS:
            raise  # the line is not to blame: a lost connection, a lock that was not given
        problem = f"the day does not take this vote: {error}."
        raise InvalidLine(line.number, problem) from None
