"""Files as they are recorded: announced, stored, thrown away. The bytes are in `objects`."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import NamedTuple

import asyncpg

from persistence.database import Connection, Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.files import BadUpload, FileInUse, FileMissing, FileTaken
from protocol.ids import FileId, MatchId, UserId

SQL = load_queries("files/store")


class TrashedObjects(NamedTuple):
    """Keys of objects to delete; those in `kept` could not be deleted."""

    keys: list[str]
    kept: set[str]


class AnnouncedUpload(NamedTuple):
    """An upload that is to come; its owner is an account, or it is a match's replay."""

    upload_id: str
    owner_id: UserId | None
    match_id: MatchId | None
    bucket: str
    path: str
    size: int
    content_type: str

    @property
    def make_object_key(self) -> str:
        """Where the object will lie: below its path, under a name of its own."""
        return f"{self.bucket}/{self.path}/{self.upload_id}"


class StoredFile(NamedTuple):
    """A file that is there."""

    file_id: FileId
    owner_id: UserId | None
    bucket: str
    path: str
    key: str
    size: int
    content_type: str
    sha256: bytes
    is_public: bool
    created_at: datetime
    is_withheld: bool  # only its owner may read it, until it is processed


class FolderEntry(NamedTuple):
    """A file in a folder; without an id, a folder in it, and the rest is of one of its files."""

    name: str
    file_id: FileId | None
    size: int
    content_type: str
    sha256: bytes
    created_at: datetime


class FileStore:
    """Files in PostgreSQL: what people ask for under row level security, the rest as the server."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    async def announce_upload(
        self,
        who: Requester,
        upload: AnnouncedUpload,
        *,
        expires_at: datetime,
        may_replace: bool,
        require_room: Callable[[int], None],
    ) -> None:
        """Allow an upload.

        Raises `FileTaken` if the path has a file that it may not replace, or an upload under way.
        `require_room` gets how many bytes its owner's files take, and raises if that is enough.
        """
        async with self._rls.as_user(who) as connection:
            await connection.execute(SQL["lock_quota"], who.user_id)
            await _free_path(connection, upload, may_replace=may_replace)
            require_room(await connection.fetchval(SQL["bytes_used"], who.user_id))
            values = upload._asdict()
            del values["match_id"]
            await _insert(connection, "announce_upload", *values.values(), expires_at)

    async def announce_replay(self, upload: AnnouncedUpload, *, expires_at: datetime) -> None:
        """Allow the upload of a match's replay; raise `FileTaken` if it has one."""
        async with self._database.transaction() as connection:
            await _free_path(connection, upload, may_replace=False)
            values = upload._asdict()
            del values["owner_id"]
            if await _insert(connection, "announce_replay", *values.values(), expires_at) is None:
                raise FileTaken("There is no such match, or it already has a replay.")

    async def begin_replay(self, upload: AnnouncedUpload, *, for_s: float) -> bool:
        """Announce the server's own replay of a match and use it up at once.

        False, and nothing is done, if the path has a file or another upload, which may be over.
        """
        values = upload._asdict()
        del values["owner_id"]
        async with self._database.acquire() as connection:
            begun = await connection.fetchval(SQL["begin_replay"], *values.values(), for_s)
        return begun is not None

    async def claim_upload(self, upload_id: str, *, for_s: float) -> AnnouncedUpload:
        """Use an upload's URL up; raise `BadUpload` if it is not good (any more)."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["claim_upload"], upload_id, for_s)
        if record is None:
            raise BadUpload
        return AnnouncedUpload(*record)

    async def read_upload_owner(self, upload_id: str) -> UserId | None:
        """Read whose an upload is, none for a match's; raise `BadUpload` as `claim` would."""
        async with self._database.acquire() as connection:
            record = await connection.fetchrow(SQL["owner_of_upload"], upload_id)
        if record is None:
            raise BadUpload
        owner: UserId | None = record["owner_id"]
        return owner

    async def abandon_upload(self, upload_id: str) -> None:
        """Forget an upload; what it left behind is thrown away."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["give_up_upload"], upload_id)

    async def finish_upload(
        self, upload: AnnouncedUpload, *, sha256: bytes, is_public: bool, is_image: bool
    ) -> StoredFile:
        """Record that an upload's object is there; raise `BadUpload` if it was withdrawn.

        `is_public`: everybody may read it; of a replay, whoever may see the match. `is_image`:
        nobody but its owner may, until it was processed.
        """
        async with self._database.acquire() as connection:
            values = (upload.upload_id, upload.make_object_key, sha256, is_public, is_image)
            record = await connection.fetchrow(SQL["finish_upload"], *values)
        if record is None:
            raise BadUpload
        return StoredFile(*record)

    async def find(self, who: Requester | None, bucket: str, path: str) -> StoredFile | None:
        """Read the file at a path, if there is one that may be seen."""
        async with self._rls.as_user(who) as connection:
            record = await connection.fetchrow(SQL["find_file"], bucket, path)
        return None if record is None else StoredFile(*record)

    async def list_folder(
        self,
        who: Requester | None,
        bucket: str,
        folder: str,
        *,
        search: str,
        limit: int,
        offset: int,
    ) -> list[FolderEntry]:
        """List a folder; of the topmost one (''), what is the requester's own."""
        owner = None if who is None else who.user_id
        async with self._rls.as_user(who) as connection:
            rows = await connection.fetch(
                SQL["list_folder"], bucket, folder, owner, search, limit, offset
            )
        return [FolderEntry(*row) for row in rows]

    async def delete(self, who: Requester, bucket: str, path: str) -> FileId | None:
        """Delete somebody's own file; gives its id, if there was one. Raises `FileInUse`."""
        async with self._rls.as_user(who) as connection:
            deleted: FileId | None = await connection.fetchval(SQL["delete_file"], bucket, path)
            if deleted is None and await connection.fetchval(SQL["is_in_use"], bucket, path):
                raise FileInUse
            return deleted

    async def move(self, who: Requester, file: StoredFile, path: str) -> None:
        """Give a file of somebody's another path in its bucket.

        Raises `FileInUse`, `FileTaken`, or `FileMissing` if it has gone meanwhile.
        """
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_file"], file.file_id)
            moved = await _insert(connection, "move_file", file.file_id, who.user_id, path)
        if moved is None:
            await self.require_unused(who, file.bucket, file.path)
            raise FileMissing("Object not found")

    async def require_unused(self, who: Requester, bucket: str, path: str) -> None:
        """Raise `FileInUse` if a published creation of somebody's shows their file at a path."""
        async with self._rls.as_user(who) as connection:
            if await connection.fetchval(SQL["is_in_use"], bucket, path):
                raise FileInUse

    async def find_missing(self, links: Collection[str]) -> list[str]:
        """Say which of these (bucket/path) are not stored."""
        async with self._database.acquire() as connection:
            records = await connection.fetch(SQL["missing_files"], list(links))
        return [record["link"] for record in records]

    # ------------------------------------------------------------------ upkeep

    async def expire_uploads(self, *, limit: int) -> int:
        """Forget some uploads whose time is over."""
        async with self._database.acquire() as connection:
            return len(await connection.fetch(SQL["expire_uploads"], limit))

    @asynccontextmanager
    async def take_trash(self, limit: int) -> AsyncIterator[TrashedObjects]:
        """Give some keys to delete; they are forgotten if the block ends well, but for those kept.

        Kept ones go to the end of the line, so they do not keep the others from being deleted.
        """
        async with self._database.transaction() as connection:
            records = await connection.fetch(SQL["take_trash"], limit)
            trash = TrashedObjects([record["key"] for record in records], set())
            yield trash
            await connection.execute(SQL["put_trash_off"], list(trash.kept))
            gone = [key for key in trash.keys if key not in trash.kept]
            await connection.execute(SQL["forget_trash"], gone)

    async def take_unchecked(self, older_s: float, limit: int) -> list[str]:
        """Give some keys that were not looked at for so long, as looked at."""
        async with self._database.acquire() as connection:
            records = await connection.fetch(SQL["unchecked_files"], older_s, limit)
        return [record["key"] for record in records]

    async def mark_checked(self, keys: Sequence[str], *, lost: Sequence[str]) -> list[str]:
        """Record which objects are lost and which are there; give the newly lost (bucket/path)."""
        async with self._database.acquire() as connection:
            records = await connection.fetch(SQL["mark_lost"], list(keys), list(lost))
        return [record["link"] for record in records if record["is_lost"]]


async def _free_path(connection: Connection, upload: AnnouncedUpload, *, may_replace: bool) -> None:
    place = (upload.bucket, upload.path)
    await connection.execute(SQL["withdraw_upload"], *place)
    if not may_replace and await connection.fetchval(SQL["is_stored"], *place):
        raise FileTaken


async def _insert(connection: Connection, query: str, *values: object) -> object:
    try:
        return await connection.fetchval(SQL[query], *values)
    except asyncpg.UniqueViolationError:
        raise FileTaken from None
