"""Days that another system plays, mirrored as they go: each line once, in order.

A batch is one transaction under the day's lock, which also holds how far the source has come. So a
batch that is sent again, because its answer was lost, finds its lines applied.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import NamedTuple, TypeAlias

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.epochs.imports import Line, use_line_times, write_line
from persistence.epochs.steps import SQL as STEPS
from persistence.epochs.store import EpochDay, find_day
from persistence.queries import load_queries
from protocol.epochs import EpochNotFound
from protocol.ids import BotId, EpochId

SQL = load_queries("epochs/mirror")


class MirrorState(NamedTuple):
    """How far a day is mirrored: the number and the time of the last line that was applied."""

    source: str
    last_seq: int
    last_at: datetime | None


class AppliedBatch(NamedTuple):
    """What came of a batch; `last_seq` is the source's number of the last line applied, ever."""

    last_seq: int
    lines: int
    version: int


class MirrorConditions(NamedTuple):
    """What decides about a batch. Without a `state` the day is not mirrored yet.

    `is_played`: claims or votes of this server were made in it.
    """

    day: EpochDay
    now: datetime
    state: MirrorState | None
    is_played: bool


# Which lines to apply to a day as it stands; their `number` is the source's.
ChooseLines: TypeAlias = Callable[[MirrorConditions], Sequence[Line]]


class MirrorStore:
    """Mirrored days in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_bots(self, slugs: Collection[str]) -> dict[str, BotId]:
        """Find bots by their slugs; those that there are not are left out."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["bots"], list(slugs))
        return {slug: bot_id for slug, bot_id in rows}  # noqa: C416 - a record is no tuple

    async def apply_batch(
        self, epoch_id: EpochId, source: str, decide: ChooseLines, *, actor: str
    ) -> AppliedBatch:
        """Apply the lines that `decide` chooses, all or none; the first batch begins the mirror.

        Raises `EpochNotFound`, `InvalidLine` for a line that the day does not take, and what
        `decide` raises.
        """
        async with self._database.transaction() as connection:
            now = await connection.fetchval(STEPS["lock"], epoch_id)
            if now is None:
                raise EpochNotFound
            day = await find_day(connection, epoch_id)
            state = await _state(connection, epoch_id)
            is_played = state is None and await connection.fetchval(SQL["is_played"], epoch_id)
            lines = decide(MirrorConditions(day, now, state, is_played))
            if state is None:
                await connection.execute(SQL["begin"], epoch_id, source)
                # Once a day, not once a batch: what the batches wrote is in the day's own log.
                after = {"source": source}
                await record_entry(
                    connection, actor=actor, action="mirror", target=epoch_id, after=after
                )
            if not lines:
                return AppliedBatch(0 if state is None else state.last_seq, 0, day.version)
            async with use_line_times(connection, lines[0].at):
                for line in lines:
                    await write_line(connection, epoch_id, line)
            last = lines[-1]
            await connection.execute(SQL["advance"], epoch_id, last.number, last.at)
            version = await connection.fetchval(SQL["version"], epoch_id)
            return AppliedBatch(last.number, len(lines), version)


async def _state(connection: Connection, epoch_id: EpochId) -> MirrorState | None:
    row = await connection.fetchrow(SQL["state"], epoch_id)
    return None if row is None else MirrorState(*row)
