"""Notifying many people of one thing, in batches: each batch and its progress are one transaction.

A node that dies leaves the batch undone, and any other node goes on behind the last one that was
committed. A key on each notification keeps a person from being notified twice all the same.
"""

from datetime import datetime
from typing import Final, NamedTuple

from persistence.accounts.audit_log import record_entry
from persistence.database import Database
from persistence.queries import load_queries
from protocol.ids import UserId
from protocol.notifications import AnnouncementRequest

SQL: Final = load_queries("notifications/fanout")
COUNTED_MAX: Final = 10_000


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
        """Notify up to `limit` people of the oldest thing that is due; None if nothing is."""
        async with self._database.transaction() as connection:
            claimed = await connection.fetchrow(SQL["claim"])
            if claimed is None:
                return None
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

    async def count_open(self) -> int:
        """Count what is still to be notified of, up to a bound."""
        async with self._database.acquire(keeps_session=True) as connection:
            return int(await connection.fetchval(SQL["count_open"], COUNTED_MAX))
