"""Days that another system plays, mirrored as they go: each line once, in order.

A batch is one transaction under the day's lock, which also holds how far the source has come. So a
batch that is sent again, because its answer was lost, finds its lines applied.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias

from persistence.accounts.audit_log import record
from persistence.database import Connection, Database
from persistence.epochs.imports import Line, own_time, write_line
from persistence.epochs.steps import SQL as STEPS
from persistence.epochs.store import Day, find_day
from persistence.queries import load
from protocol.epochs import EpochMirrored, EpochNotFound, EpochNotLive, EpochPlayed
from protocol.ids import BotId, EpochId

SQL = load("epochs/mirror")


class MirrorState(NamedTuple):
    """How far a day is mirrored: the number and the time of the last line that was applied."""

    source: str
    last_seq: int
    last_at: datetime | None


class Applied(NamedTuple):
    """What came of a batch; `last_seq` is the source's number of the last line applied, ever."""

    last_seq: int
    lines: int
    version: int


# Which lines to apply to a day as it stands, at a time; their `number` is the source's.
Decide: TypeAlias = Callable[[Day, MirrorState, datetime], Sequence[Line]]


class MirrorStore:
    """Mirrored days in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def bots(self, slugs: Collection[str]) -> dict[str, BotId]:
        """Find bots by their slugs; those that there are not are left out."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["bots"], list(slugs))
        return {slug: bot_id for slug, bot_id in rows}  # noqa: C416 - a record is no tuple

    async def apply(self, epoch_id: EpochId, source: str, decide: Decide, *, actor: str) -> Applied:
        """Apply the lines that `decide` chooses, all or none; the first batch begins the mirror.

        Raises `EpochNotFound`, `EpochNotLive`, `EpochPlayed`, `EpochMirrored` for another source,
        `BadLine` for a line that the day does not take, and what `decide` raises.
        """
        async with self._database.transaction() as connection:
            now = await connection.fetchval(STEPS["lock"], epoch_id)
            if now is None:
                raise EpochNotFound
            day = await find_day(connection, epoch_id)
            state = await _state(connection, day, source, actor)
            lines = decide(day, state, now)
            if not lines:
                return Applied(state.last_seq, 0, day.version)
            if day.phase != "live":
                raise EpochNotLive
            async with own_time(connection, lines[0].at):
                for line in lines:
                    await write_line(connection, epoch_id, line)
            last = lines[-1]
            await connection.execute(SQL["advance"], epoch_id, last.number, last.at)
            version = await connection.fetchval(SQL["version"], epoch_id)
            return Applied(last.number, len(lines), version)


async def _state(connection: Connection, day: Day, source: str, actor: str) -> MirrorState:
    row = await connection.fetchrow(SQL["state"], day.epoch_id)
    if row is not None:
        state = MirrorState(*row)
        if state.source != source:
            raise EpochMirrored(
                f"This epoch is mirrored from {state.source!r}; only that source may write it."
            )
        return state
    if day.phase not in ("prep", "live"):
        raise EpochNotLive
    if await connection.fetchval(SQL["is_played"], day.epoch_id):
        raise EpochPlayed
    await connection.execute(SQL["begin"], day.epoch_id, source)
    # Once a day, not once a batch: what the batches wrote is in the day's own log.
    after = {"source": source}
    await record(connection, actor=actor, action="mirror", target=day.epoch_id, after=after)
    return MirrorState(source, 0, None)
