"""Feeds and search as they are stored. Whoever asks is who the database takes it for."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import asyncpg

from persistence.database import Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.creations import CreationNotFound
from protocol.ids import CreationId, UserId

SQL = load_queries("feed/store")


class FeedPlace(NamedTuple):
    """Where a page of a feed begins: after the creation of this time and id."""

    at: datetime
    creation_id: CreationId


class FeedFilter(NamedTuple):
    """Which published creations a list has."""

    type: str | None = None
    tag: str | None = None
    user_id: UserId | None = None
    featured: bool = False


class FeedViewer(NamedTuple):
    """Somebody who may see a new creation."""

    user_id: UserId
    author_id: UserId
    title: str
    published_at: datetime
    follows: bool


NEWEST: Final = FeedPlace(
    datetime.max.replace(tzinfo=UTC), CreationId("ffffffff-ffff-ffff-ffff-ffffffffffff")
)


class FeedStore:
    """Feeds in PostgreSQL, under row level security."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    async def read_following(
        self, who: Requester, *, after: FeedPlace, limit: int
    ) -> list[asyncpg.Record]:
        """Read a page of the creations of those whom somebody follows.

        The function shows the feed of whom it is told, so the role need not be changed for it.
        """
        async with self._database.acquire() as connection:
            return list(await connection.fetch(SQL["following"], who.user_id, limit, *after))

    async def read_public(
        self, who: Requester | None, which: FeedFilter, *, after: FeedPlace, limit: int
    ) -> list[asyncpg.Record]:
        """Read a page of published creations."""
        async with self._rls.as_user(who, changes_session=False) as connection:
            return list(await connection.fetch(SQL["public"], limit, *after, *which))

    async def search(
        self,
        who: Requester | None,
        query: str,
        type_: str | None,
        *,
        after: FeedPlace | None,
        limit: int,
    ) -> list[asyncpg.Record]:
        """Find published creations by words; without a place also by titles that are similar."""
        place = after or (None, None)
        async with self._rls.as_user(who, changes_session=False) as connection:
            return list(await connection.fetch(SQL["search"], query, type_, limit, *place))

    async def read_similar(
        self, who: Requester | None, creation_id: CreationId, *, limit: int, other_people: bool
    ) -> list[asyncpg.Record]:
        """Read what is similar to a creation; raise `CreationNotFound`."""
        async with self._rls.as_user(who) as connection:
            if not await connection.fetchval(SQL["is_visible"], creation_id):
                raise CreationNotFound
            values = (creation_id, limit, other_people)
            return list(await connection.fetch(SQL["similar"], *values))

    async def read_recommended(self, who: Requester, *, limit: int) -> list[asyncpg.Record]:
        """Read what is similar to what somebody liked last."""
        async with self._rls.as_user(who) as connection:
            return list(await connection.fetch(SQL["recommended"], who.user_id, limit))

    async def list_viewers(
        self, creation_id: CreationId, people: Sequence[UserId]
    ) -> list[FeedViewer]:
        """Say which of some people may see a new creation on the lists."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["who_sees"], creation_id, list(people))
        return [FeedViewer(*row) for row in rows]
