"""Notifications of people, in lists and as they are delivered.

Row level security decides what a person may mark. Inboxes are listed by functions, which know whose
they are. Numbers, and what is delivered to connections, are read as the server.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson

from persistence.database import Connection, Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.ids import UserId
from protocol.notifications import GROUP_COUNT_MAX

SQL: Final = load_queries("notifications/store")
LOOKED_AT_MAX: Final = 1000  # notifications that a page of groups looks at
NUMBERED_AT_ONCE: Final = 1000
READ_AT_ONCE: Final = 5000


class NotificationRow(NamedTuple):
    """A notification; `metadata` is JSON, `seq` None until it is numbered."""

    id: str
    seq: int | None
    user_id: UserId
    type: str
    title: str
    message: str
    action_url: str | None
    metadata: bytes
    creation_id: str | None
    comment_id: str | None
    group_key: str | None
    is_read: bool
    is_archived: bool
    created_at: datetime
    actor_id: UserId | None


class NumberedNotification(NamedTuple):
    """A notification that was just numbered; `after` is the person's number before it."""

    row: NotificationRow
    after: int
    is_visible: bool


class ActorRow(NamedTuple):
    """Somebody who caused a notification."""

    user_id: UserId
    name: str
    avatar_url: str | None


class GroupRow(NamedTuple):
    """A group by its newest notification."""

    head: NotificationRow
    notification_count: int
    unread_count: int
    actor_count: int
    actors: list[ActorRow]


class Place(NamedTuple):
    """Where a page ended."""

    created_at: datetime
    id: str


class Filter(NamedTuple):
    """Which notifications are listed."""

    unread: bool
    archived: bool
    group_key: str | None


class GroupPage(NamedTuple):
    """Groups, what is unread, and where the next page begins."""

    groups: list[GroupRow]
    unread: int
    next: Place | None


class Mark(NamedTuple):
    """What to set; None leaves it."""

    is_read: bool | None
    is_archived: bool | None


class StoredPreferences(NamedTuple):
    """What a person wants to be notified of: what their preferences say, and digests."""

    types: Mapping[str, Any]
    has_digest: bool


class NotificationStore:
    """Notifications in PostgreSQL."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    # ------------------------------------------------------------------ as the person

    async def list_groups(
        self, who: Requester, before: Place, filter_: Filter, *, limit: int
    ) -> GroupPage:
        """List groups, newest first.

        The functions show whose inbox is named, less what blocks hide, to the server as well.
        """
        which = (who.user_id, *before, filter_.archived, filter_.unread, filter_.group_key)
        async with self._database.acquire() as connection:
            rows = await connection.fetch(
                SQL["list_heads"], *which, LOOKED_AT_MAX, limit, GROUP_COUNT_MAX
            )
            following = None
            if len(rows) == limit:
                following = Place(rows[-1]["created_at"], rows[-1]["id"])
            elif last := await connection.fetchrow(SQL["last_looked_at"], *which, LOOKED_AT_MAX):
                following = Place(*last)
            actors = await self._read_actors(connection, who.user_id, rows, filter_)
            unread = await self._count_unread(connection, who.user_id)
        width = len(NotificationRow._fields)
        groups = [
            GroupRow(
                NotificationRow(*row[:width]),
                row["notification_count"],
                row["unread_count"],
                row["actor_count"],
                actors.get(row["id"], []),
            )
            for row in rows
        ]
        return GroupPage(groups, unread, following)

    async def _read_actors(
        self, connection: Connection, user_id: UserId, rows: Sequence[Any], filter_: Filter
    ) -> dict[str, list[ActorRow]]:
        is_single = filter_.group_key is not None
        found = await connection.fetch(
            SQL["list_actors"],
            user_id,
            [row["id"] for row in rows],
            [None if is_single else row["group_key"] for row in rows],
            [row["actor_id"] for row in rows],
            filter_.archived,
            filter_.unread,
        )
        actors: dict[str, list[ActorRow]] = {}
        for head_id, *actor in found:
            actors.setdefault(head_id, []).append(ActorRow(*actor))
        return actors

    async def mark_some(self, who: Requester, ids: Sequence[str], mark: Mark) -> tuple[int, int]:
        """Mark notifications; says how many changed, and how many are unread."""
        return await self._change(who, "mark_some", list(ids), *mark)

    async def mark_group(self, who: Requester, group_key: str, mark: Mark) -> tuple[int, int]:
        """Mark the notifications of a group."""
        return await self._change(who, "mark_group", group_key, *mark)

    async def mark_all(self, who: Requester, mark: Mark) -> tuple[int, int]:
        """Mark all notifications."""
        return await self._change(who, "mark_all", *mark)

    async def delete_one(self, who: Requester, notification_id: str) -> tuple[int, int]:
        """Delete a notification."""
        return await self._change(who, "delete_one", notification_id)

    async def delete_group(self, who: Requester, group_key: str) -> tuple[int, int]:
        """Delete the notifications of a group."""
        return await self._change(who, "delete_group", group_key)

    async def _change(self, who: Requester, query: str, *values: object) -> tuple[int, int]:
        async with self._rls.as_user(who) as connection:
            status = await connection.execute(SQL[query], who.user_id, *values)
            unread = await self._count_unread(connection, who.user_id)
        return int(status.rpartition(" ")[2]), unread

    async def read_preferences(self, who: Requester) -> StoredPreferences:
        """Read what a person wants to be notified of."""
        async with self._rls.as_user(who) as connection:
            return await self._read_preferences(connection)

    async def change_preferences(
        self, who: Requester, types: Mapping[str, bool], *, has_digest: bool | None
    ) -> StoredPreferences:
        """Change what a person wants to be notified of, all of it or nothing."""
        async with self._rls.as_user(who) as connection:
            if types:
                await connection.execute(SQL["set_types"], who.user_id, orjson.dumps(types))
            if has_digest is not None:
                query = "begin_digest" if has_digest else "end_digest"
                await connection.execute(SQL[query], who.user_id)
            return await self._read_preferences(connection)

    async def _read_preferences(self, connection: Connection) -> StoredPreferences:
        row = await connection.fetchrow(SQL["read_preferences"])
        types = orjson.loads(row["types"] or b"{}") if row is not None else {}
        is_map = isinstance(types, dict)
        return StoredPreferences(types if is_map else {}, row is not None and row["has_digest"])

    # ------------------------------------------------------------------ as the server

    async def end_digest(self, user_id: UserId) -> None:
        """Mail a person no more digests."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["end_digest"], user_id)

    async def number_some(self) -> list[NumberedNotification]:
        """Number committed notifications, unless another node does so; gives what it numbered."""
        async with self._database.acquire() as connection:
            if not await connection.fetchval(SQL["has_unnumbered"]):
                return []  # mostly: it is asked several times a second
        async with self._database.transaction() as connection:
            if not await connection.fetchval(SQL["hold_numbering"]):
                return []
            rows = await connection.fetch(SQL["number_some"], NUMBERED_AT_ONCE)
        width = len(NotificationRow._fields)
        return [NumberedNotification(NotificationRow(*row[:width]), *row[width:]) for row in rows]

    async def read_missed(
        self, user_id: UserId, after: int | None, *, limit: int
    ) -> tuple[int, list[NotificationRow], int]:
        """Read a person's newest number, what they have after one, and how many are unread."""
        async with self._database.acquire() as connection:
            head = await connection.fetchval(SQL["read_head"], user_id)
            rows = []
            if after is not None and after < head:
                rows = await connection.fetch(
                    SQL["read_after"], [user_id], [after], limit, READ_AT_ONCE
                )
            unread = await self._count_unread(connection, user_id)
        missed = [NotificationRow(*row) for row in rows]
        newest = missed[-1].seq if missed else None
        return max(head, newest or 0), missed, unread

    async def read_after(self, after: Mapping[UserId, int]) -> list[NotificationRow]:
        """Read the notifications of several people, each after their own number."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(
                SQL["read_after"], list(after), list(after.values()), READ_AT_ONCE, READ_AT_ONCE
            )
        return [NotificationRow(*row) for row in rows]

    async def delete_expired(self, *, limit: int) -> int:
        """Delete some notifications that have expired; says how many."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["delete_expired"], limit))

    async def _count_unread(self, connection: Connection, user_id: UserId) -> int:
        return int(await connection.fetchval(SQL["count_unread"], user_id, GROUP_COUNT_MAX))
