"""Likes and comments as they are stored. Whoever asks is who the database takes it for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, NamedTuple

import asyncpg

from persistence.database import Connection, Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.creations import CreationNotFound
from protocol.errors import Forbidden
from protocol.ids import CommentId, CreationId, UserId
from protocol.reactions import CommentNotFound, CommentTaken, CommentTooDeep

SQL = load_queries("reactions/store")


class CommentPlace(NamedTuple):
    """Where a page of comments begins: after the one of this time and id."""

    at: datetime
    comment_id: CommentId


class LikeResult(NamedTuple):
    """Whether a like changed something, and how many there are, if that may be seen."""

    is_changed: bool
    like_count: int | None


OLDEST: Final = CommentPlace(
    datetime.min.replace(tzinfo=UTC), CommentId("00000000-0000-0000-0000-000000000000")
)


class ReactionStore:
    """Likes and comments in PostgreSQL, under row level security."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    async def set_like(
        self, who: Requester, creation_id: CreationId, *, is_liked: bool
    ) -> LikeResult:
        """Like a creation, or take that back; raise `CreationNotFound`."""
        async with self._rls.as_user(who) as connection:
            values = (who.user_id, creation_id, is_liked)
            with _refused():
                is_changed = await connection.fetchval(SQL["set_like"], *values)
            count = await connection.fetchval(SQL["count_likes"], creation_id)
            if count is None and not is_changed:
                raise CreationNotFound
            return LikeResult(is_changed, count)

    async def set_likes(
        self, creation_id: CreationId, wanted: Mapping[UserId, bool]
    ) -> dict[UserId, LikeResult]:
        """Like a creation for several people, or take that back, in one transaction.

        Each is held to the same rules as alone, by the database's triggers; who may not see the
        creation is not in the result. If one of them is refused after all, nothing is changed:
        raises `CreationNotFound`.
        """
        likers = [who for who, is_liked in wanted.items() if is_liked]
        unlikers = [who for who, is_liked in wanted.items() if not is_liked]
        async with self._database.acquire() as connection:
            with _refused():
                rows = await connection.fetch(SQL["set_likes"], creation_id, likers, unlikers)
        return {
            user_id: LikeResult(is_changed, count)
            for user_id, is_changed, count in rows
            if is_changed or count is not None
        }

    async def add_comment(
        self,
        who: Requester,
        comment_id: CommentId,
        creation_id: CreationId,
        content: str,
        parent: CommentId | None,
    ) -> asyncpg.Record:
        """Add a comment.

        Raises `CreationNotFound`, `CommentNotFound` for a parent that cannot be replied to,
        `CommentTooDeep` or `CommentTaken`.
        """
        async with self._rls.as_user(who) as connection:
            values = (comment_id, who.user_id, creation_id, content, parent)
            with _refused():
                await connection.execute(SQL["add_comment"], *values)
            return await _one(connection, comment_id, who)

    async def list_comments(
        self,
        who: Requester | None,
        creation_id: CreationId,
        *,
        parent: CommentId | None,
        after: CommentPlace,
        limit: int,
    ) -> list[asyncpg.Record]:
        """List comments on a creation, or the replies to one; raise `CreationNotFound`."""
        viewer = None if who is None else who.user_id
        async with self._rls.as_user(who) as connection:
            if not await connection.fetchval(SQL["may_see_creation"], creation_id):
                raise CreationNotFound
            values = (creation_id, viewer, *after, limit)
            if parent is None:
                return list(await connection.fetch(SQL["list_comments"], *values))
            return list(await connection.fetch(SQL["list_replies"], *values, parent))

    async def edit_comment(
        self, who: Requester, comment_id: CommentId, content: str
    ) -> asyncpg.Record:
        """Change one's own comment; raise `CommentNotFound` or `Forbidden`."""
        async with self._rls.as_user(who) as connection:
            values = (comment_id, who.user_id, content)
            if await connection.fetchval(SQL["edit_comment"], *values) is None:
                await _require_other(connection, comment_id, who)
            return await _one(connection, comment_id, who)

    async def delete_comment(self, who: Requester, comment_id: CommentId) -> None:
        """Delete one's own comment; raise `CommentNotFound` or `Forbidden`."""
        async with self._rls.as_user(who) as connection:
            if not await connection.fetchval(SQL["delete_comment"], comment_id, who.user_id):
                await _require_other(connection, comment_id, who)

    async def set_comment_like(
        self, who: Requester, comment_id: CommentId, *, is_liked: bool
    ) -> LikeResult:
        """Like a comment, or take that back; raise `CommentNotFound`."""
        query = SQL["like_comment"] if is_liked else SQL["unlike_comment"]
        async with self._rls.as_user(who) as connection:
            with _refused():
                changed = await connection.fetchval(query, who.user_id, comment_id)
            record = await connection.fetchrow(SQL["read_comment"], comment_id, who.user_id)
            if record is None and changed is None:
                raise CommentNotFound
            count = None if record is None else record["like_count"]
            return LikeResult(changed is not None, count)


async def _one(connection: Connection, comment_id: CommentId, who: Requester) -> asyncpg.Record:
    record = await connection.fetchrow(SQL["read_comment"], comment_id, who.user_id)
    if record is None:
        raise CommentNotFound
    return record


async def _require_other(connection: Connection, comment_id: CommentId, who: Requester) -> None:
    record = await _one(connection, comment_id, who)
    if record["user_id"] in (None, who.user_id):  # deleted, or removed by moderators
        raise CommentNotFound
    raise Forbidden("This comment is another person's.")


@contextmanager
def _refused() -> Iterator[None]:
    """Turn what the database refuses of a reaction into errors of the protocol."""
    try:
        yield
    except asyncpg.UniqueViolationError:
        raise CommentTaken from None
    except asyncpg.ForeignKeyViolationError as error:
        if str(error.constraint_name) in ("comments_parent_is_open", "comment_is_open"):
            raise CommentNotFound from None
        raise CreationNotFound from None
    except asyncpg.CheckViolationError as error:
        if error.constraint_name == "comments_depth":
            raise CommentTooDeep from None
        raise
