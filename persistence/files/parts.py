"""Uploads that come in several requests: their parts as they are recorded.

A part's object is noted as trash before it is written, and becomes a part in one transaction. So no
crash leaves an object that nothing refers to, and what was acknowledged is there.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final, NamedTuple

import asyncpg

from persistence.database import Database
from persistence.files.store import AnnouncedUpload
from persistence.queries import load_queries
from protocol.files import BadUpload, FileTaken
from protocol.ids import UserId

SQL = load_queries("files/parts")

PARTS_MAX: Final = 256
_OVER: Final = f"The upload is over, or came in more than {PARTS_MAX} parts; begin again."


class ResumableUpload(NamedTuple):
    """An upload, until when it can be resumed, and what has come: how many bytes and parts.

    `claimed_at` is when a node began to put it together.
    """

    announced: AnnouncedUpload
    expires_at: datetime
    received: int = 0
    parts: int = 0
    claimed_at: datetime | None = None

    @property
    def is_complete(self) -> bool:
        """Say whether all of it has come."""
        return self.received == self.announced.size

    def require_open(self) -> None:
        """Raise what `PartStore.add` would for another part, before its bytes are taken."""
        if self.claimed_at is not None:
            raise FileTaken("The upload is being taken in; ask again in a moment.")
        if self.parts >= PARTS_MAX:
            raise BadUpload(_OVER)


class UploadPart(NamedTuple):
    """A part: where it begins, how long it is, and its object."""

    start: int
    size: int
    key: str


class PartStore:
    """Parts in PostgreSQL, as the server; whose upload it is, is asked with each."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count_uploads(self, owner: UserId) -> int:
        """Count the uploads that somebody has begun or announced."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["count_uploads"], owner))

    async def read(self, upload_id: str, owner: UserId) -> ResumableUpload | None:
        """Read an upload of somebody's."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["read_upload"], upload_id, owner)
        if row is None:
            return None
        *announced, expires_at, received, parts, claimed_at = row
        return ResumableUpload(AnnouncedUpload(*announced), expires_at, received, parts, claimed_at)

    async def read_finished(self, bucket: str, path: str, key: str, owner: UserId) -> int | None:
        """Read the size of the file that an upload with this object became."""
        which = (bucket, path, key, owner)
        async with self._database.acquire() as connection:
            size: int | None = await connection.fetchval(SQL["read_finished"], *which)
        return size

    async def expect(self, key: str) -> None:
        """Note an object that will be written."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["expect_part"], key)

    async def discard(self, key: str) -> bool:
        """Throw an expected object away now; False, and it stays, if it has become a part."""
        async with self._database.acquire() as connection:
            return await connection.fetchval(SQL["discard_part"], key) is not None

    async def add(self, upload_id: str, part: UploadPart) -> None:
        """Record a part whose object is written.

        Raises `FileTaken` if another request was faster, and `BadUpload` if the upload is gone or
        came in too many parts.
        """
        async with self._database.transaction() as connection:
            try:
                added = await connection.fetchval(SQL["add_part"], upload_id, *part, PARTS_MAX)
            except asyncpg.UniqueViolationError:
                raise FileTaken("These bytes have come already; ask for the offset.") from None
            if added is None:
                raise BadUpload(_OVER)
            await connection.execute(SQL["keep_object"], part.key)

    async def iterate_parts(self, upload_id: str) -> AsyncIterator[UploadPart]:
        """Go through the parts of an upload in their order."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["parts"], upload_id)
        for row in rows:
            yield UploadPart(*row)

    async def claim(self, upload_id: str, *, for_s: float) -> bool:
        """Let this node put an upload together; False while another one does."""
        async with self._database.acquire() as connection:
            return await connection.fetchval(SQL["claim"], upload_id, for_s) is not None

    async def release(self, upload_id: str) -> None:
        """Let an upload be put together again."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["release"], upload_id)
