"""Notifying many people of one thing, in batches: each batch and its progress are one transaction.

A node that dies leaves the batch undone, and any other node goes on behind the last one that was
committed. A key on each notification keeps a person from being notified twice all the same.

A batch that fails holds up nothing else: what it belongs to rests, longer each time, and is parked
after a number of failures in a row, until an operator has it tried again.
"""

from datetime import datetime
from typing import Final, NamedTuple

from asyncpg import Record

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from protocol.errors import StorageFull, Unavailable
from protocol.ids import UserId
from protocol.notifications import AnnouncementRequest

SQL: Final = load_queries("notifications/fanout")
COUNTED_MAX: Final = 10_000
ERROR_CHARS_MAX: Final = 1000


class StoredAnnouncement(NamedTuple):
    """An announcement, and how far it has got."""

    id: str
    title: str
    message: str
    action_url: str | None
    created_at: datetime
    notified_count: int
    finished_at: datetime | None


class FanoutBatch(NamedTuple):
    """What a batch did."""

    notified: int
    is_finished: bool


class OpenFanouts(NamedTuple):
    """How much is still to be notified of, how much of that failed, and what was given up."""

    open: int
    failing: int
    parked: int


class ParkedFanout(NamedTuple):
    """What was given up: a creation's followers or an announcement, and why."""

    id: str
    creation_id: str | None
    announcement_id: str | None
    notified_count: int
    attempts: int
    last_error: str | None
    created_at: datetime
    parked_at: datetime


class FanoutFailed(Exception):
    """A batch failed, and nothing of it is stored."""

    def __init__(self, fanout_id: str, attempts: int) -> None:
        super().__init__(f"fan-out {fanout_id}, after {attempts} failures")
        self.fanout_id = fanout_id
        self.attempts = attempts  # that failed before this one


class FanoutStore:
    """Fan-outs in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin_creation(self, creation_id: str) -> None:
        """Begin to notify followers of a creation, unless that was begun before."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["begin_creation"], creation_id)

    async def announce(
        self, announcement_id: str, asked: AnnouncementRequest, *, actor: UserId
    ) -> StoredAnnouncement:
        """Announce something to everybody; the same id again changes nothing."""
        async with self._database.transaction() as connection:
            fields = (asked.title, asked.message, asked.action_url)
            added = await connection.fetchval(
                SQL["add_announcement"], announcement_id, *fields, actor
            )
            if added is not None:
                await connection.execute(SQL["begin_announcement"], announcement_id)
                await record_entry(
                    connection,
                    actor=actor,
                    action="announcement.add",
                    target=announcement_id,
                    after=asked.model_dump(),
                )
            row = await connection.fetchrow(SQL["find_announcement"], announcement_id)
        assert row is not None
        return StoredAnnouncement(*row)

    async def find_announcement(self, announcement_id: str) -> StoredAnnouncement | None:
        """Read an announcement."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["find_announcement"], announcement_id)
        return None if row is None else StoredAnnouncement(*row)

    async def notify_batch(self, *, limit: int) -> FanoutBatch | None:
        """Notify up to `limit` people of the oldest thing that is due; None if nothing is.

        Raises `FanoutFailed` from whatever failed once something was taken.
        """
        claimed = None
        try:
            async with self._database.transaction() as connection:
                claimed = await connection.fetchrow(SQL["claim"])
                return None if claimed is None else await _notify(connection, claimed, limit)
        except (Unavailable, StorageFull):
            raise  # the database's state, and not the batch's
        except Exception as error:
            if claimed is None:
                raise
            raise FanoutFailed(claimed["id"], claimed["attempts"]) from error

    async def note_failure(
        self, failed: FanoutFailed, *, error: str, pause_s: float, is_parked: bool
    ) -> None:
        """Have something rest after a failure, or park it."""
        async with self._database.acquire() as connection:
            noted = (failed.fanout_id, failed.attempts, error[:ERROR_CHARS_MAX], pause_s)
            await connection.execute(SQL["note_failure"], *noted, is_parked)

    async def list_parked(self, *, limit: int) -> list[ParkedFanout]:
        """List what was given up, oldest first."""
        async with self._database.acquire() as connection:
            return [ParkedFanout(*row) for row in await connection.fetch(SQL["list_parked"], limit)]

    async def retry_parked(self, fanout_id: str | None) -> int:
        """Have what was given up tried again, one or all; gives how many."""
        async with self._database.acquire() as connection:
            return len(await connection.fetch(SQL["retry_parked"], fanout_id))

    async def count_open(self) -> OpenFanouts:
        """Count what is still to be notified of, each figure up to a bound."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["count_open"], COUNTED_MAX)
        assert row is not None
        return OpenFanouts(*row)


async def _notify(connection: Connection, claimed: Record, limit: int) -> FanoutBatch:
    """Notify the next people of what was taken, and note how far that is."""
    is_creation = claimed["creation_id"] is not None
    query = "notify_followers" if is_creation else "notify_everybody"
    subject = claimed["creation_id"] if is_creation else claimed["announcement_id"]
    done = await connection.fetchrow(SQL[query], subject, claimed["reached_id"], limit)
    assert done is not None
    if not done["is_shown"]:
        await connection.execute(SQL["forget"], claimed["id"])
        return FanoutBatch(0, is_finished=True)
    is_finished = done["seen"] < limit
    progress = (done["reached_id"], done["notified"], is_finished)
    await connection.execute(SQL["note_progress"], claimed["id"], *progress)
    return FanoutBatch(done["notified"], is_finished)
