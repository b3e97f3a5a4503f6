"""Images that are to be processed, and what came of it.

The table is the queue of all nodes. A node takes an image for a time; if it dies, another takes it
when that is over. What is written to the store of objects is noted before as thrown away, and taken
off that list in the transaction that records it: so no object is forgotten, whenever a node dies.
"""

from collections.abc import Sequence
from typing import NamedTuple

import asyncpg

from persistence.database import Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.ids import CreationId, FileId, UserId

SQL = load_queries("images/store")


class TakenImage(NamedTuple):
    """An image to process, and how often that was begun."""

    file_id: FileId
    owner_id: UserId
    bucket: str
    path: str
    key: str
    size: int
    content_type: str
    attempts: int

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"/files/{self.bucket}/{self.path}"


class WrittenObject(NamedTuple):
    """An object that was written."""

    key: str
    size: int
    sha256: bytes


class ImageFacts(NamedTuple):
    """What an image shows."""

    width: int
    height: int
    blurhash: str


class FollowedCreation(NamedTuple):
    """A creation that followed its image, and whether it was published by that."""

    creation_id: CreationId
    user_id: UserId
    status: str
    is_new: bool


class WaitingCount(NamedTuple):
    """How many images wait, up to a bound."""

    everyones: int
    own: int


class WriteLost(Exception):
    """What was written was deleted again, because recording it took too long."""


class ImageStore:
    """The queue in PostgreSQL."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    async def count_waiting(self, owner: UserId, *, at_most: int) -> WaitingCount:
        """Count the images that wait: all, and those of an account."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["count_waiting"], at_most, owner)
        assert row is not None
        return WaitingCount(*row)

    async def take(self, *, for_s: float, after: UserId) -> TakenImage | None:
        """Take an image that is due, of the account whose turn it is after another's."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["take"], for_s, after)
        return None if row is None else TakenImage(*row)

    async def keep_taken(self, file_id: FileId, *, for_s: float) -> None:
        """Keep an image that is being worked at."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["keep_taken"], file_id, for_s)

    async def put_back(self, file_id: FileId, *, for_s: float) -> None:
        """Put an image back that could not be worked at."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["put_back"], file_id, for_s)

    async def retry(self, file_id: FileId) -> None:
        """Have an image tried again at once."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["retry"], file_id)

    async def throw_away_ahead(self, keys: Sequence[str], *, after_s: float) -> None:
        """Note objects that are about to be written."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["throw_away_ahead"], list(keys), after_s)

    async def finish(
        self,
        image: TakenImage,
        facts: ImageFacts,
        *,
        cleaned: WrittenObject,
        thumbnail: WrittenObject | None,
        thumbnail_stem: str,
        is_thumbnail_public: bool,
    ) -> list[FollowedCreation] | None:
        """Record what was made of an image; None if it was deleted or replaced meanwhile.

        Raises `WriteLost`.
        """
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_creation"], image.url, image.owner_id)
            if await connection.fetchval(SQL["lock_image"], image.file_id, image.key) is None:
                return None
            keys = [each.key for each in (cleaned, thumbnail) if each is not None]
            kept = await connection.fetch(SQL["keep_written"], keys)
            if len(kept) < len(keys):
                raise WriteLost
            await connection.execute(SQL["replace_file"], image.file_id, *cleaned)
            if thumbnail is not None:
                values = (
                    *(image.owner_id, thumbnail_stem, *thumbnail),
                    *(is_thumbnail_public, image.file_id),
                )
                if await connection.fetchval(SQL["add_thumbnail"], *values) is None:
                    await connection.execute(SQL["throw_away_ahead"], [thumbnail.key], 0.0)
            await connection.execute(SQL["mark_ready"], image.file_id, *facts)
            if image.bucket == "avatars":
                version = cleaned.sha256.hex()[:16]
                await connection.execute(SQL["link_avatar"], image.owner_id, image.url, version)
            rows = await connection.fetch(SQL["tell_creation"], image.url, image.owner_id)
            return [FollowedCreation(*row) for row in rows]

    async def fail(self, image: TakenImage, error: str) -> list[FollowedCreation]:
        """Record why an image cannot be processed."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_creation"], image.url, image.owner_id)
            values = (image.file_id, image.key, error)
            if await connection.fetchval(SQL["mark_failed"], *values) is None:
                return []
            rows = await connection.fetch(SQL["tell_creation"], image.url, image.owner_id)
            return [FollowedCreation(*row) for row in rows]

    async def read(self, who: Requester, bucket: str, path: str) -> asyncpg.Record | None:
        """Read what came of somebody's own image."""
        async with self._rls.as_user(who) as connection:
            return await connection.fetchrow(SQL["read_image"], bucket, path, who.user_id)
