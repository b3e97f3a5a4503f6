"""The store of objects: a folder, or S3, Google Cloud Storage or Azure, by its URL.

An object is written once and whole, under a key that is never used again.
"""

import asyncio
import errno
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Final

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from persistence.errors import StartRefused
from persistence.private_files import delete_unfinished, make_folder, sync_folder, write_file
from protocol.errors import StorageFull, Unavailable

CHUNK_BYTES: Final = 256 * 1024
PART_BYTES: Final = 5 * 1024 * 1024  # the least that S3 takes as a part
PARTS_AT_ONCE: Final = 2
PUT_ATTEMPTS_MAX: Final = 5

_FULL_ERRNOS: Final = frozenset((errno.ENOSPC, errno.EDQUOT))
# The library says what happened in words only: the system's number, or a store's own code.
_FULL: Final = re.compile(
    "|".join(
        [
            *(rf"\(os error {number}\)" for number in sorted(_FULL_ERRNOS)),
            "Insufficient ?Storage",
            "XMinioStorageFull",
            "QuotaExceeded",
        ]
    )
)


class ObjectMissing(Exception):
    """There is no object with this key."""


class ObjectStorage:
    """Objects by their keys; raises `Unavailable` where the store does not answer.

    Writing raises `StorageFull` where there is no room.
    """

    def __init__(self, url: str, *, folder: Path) -> None:
        self._url = url
        self._folder = folder
        self._opened: ObjectStore | None = None

    def open(self) -> None:
        """Open the store at the URL (`s3://bucket/prefix`), or the folder where there is none.

        Credentials come from the provider's usual variables (`AWS_ACCESS_KEY_ID`, …).
        Raises `StartRefused`.
        """
        try:
            self._opened = from_url(self._url) if self._url else self._local()
        except (BaseError, ValueError, OSError) as error:
            raise StartRefused(
                f"Files cannot be kept at {self._url or self._folder}: {_first_line(error)}; "
                "PLAYHALL_FILES_URL reads like s3://bucket/prefix, gs://… or az://…"
            ) from error

    async def put(self, key: str, content: IO[bytes] | bytes) -> None:
        """Write an object, whole; when this returns, it survives a power failure."""
        store = self._store
        if not self._url:
            await _to_its_end(partial(self._put_local, key, content))
            return
        with _translated():
            await store.put_async(
                key, content, chunk_size=PART_BYTES, max_concurrency=PARTS_AT_ONCE
            )

    async def read(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Begin to read the bytes from `start` to before `end`; raise `ObjectMissing`."""
        with _translated():
            found = await self._store.get_async(key, options={"range": (start, end)})
        return _chunks(found.stream(min_chunk_size=CHUNK_BYTES))

    async def read_whole(self, key: str) -> bytes:
        """Read an object that is known to be small; raise `ObjectMissing`."""
        with _translated():
            found = await self._store.get_async(key)
            return bytes(await found.bytes_async())

    async def find_missing(self, keys: Sequence[str]) -> list[str]:
        """Say which of these objects are not there."""
        there = await asyncio.gather(*map(self._has, keys))
        return [key for key, is_there in zip(keys, there, strict=True) if not is_there]

    async def delete(self, key: str) -> None:
        """Delete an object; one that is not there is deleted already."""
        try:
            with _translated():
                await self._store.delete_async(key)
        except ObjectMissing:
            return

    def _local(self) -> ObjectStore:
        make_folder(self._folder)
        make_folder(self._unfinished)
        delete_unfinished(self._unfinished)
        return LocalStore(self._folder.absolute(), automatic_cleanup=True)

    @property
    def _unfinished(self) -> Path:
        """Where local objects are written until they are whole: no key begins with a dot."""
        return self._folder / ".unfinished"

    def _put_local(self, key: str, content: IO[bytes] | bytes) -> None:
        """Write a local object. `LocalStore` would neither sync it nor keep it to ourselves."""
        path = self._folder.joinpath(*PurePosixPath(key).parts)
        try:
            with reporting_full_disk():
                self._write(path, content)
                for folder in path.parent.parents:
                    if not folder.is_relative_to(self._folder):
                        break
                    sync_folder(folder)  # another upload may have made it and not synced it yet
        except OSError as error:
            raise Unavailable(
                f"The file store cannot write ({error.strerror}); try again."
            ) from error

    def _write(self, path: Path, content: IO[bytes] | bytes) -> None:
        """Write a file; its folder may go meanwhile, with the last object that was in it."""
        for attempts_left in reversed(range(PUT_ATTEMPTS_MAX)):
            make_folder(path.parent)
            try:
                write_file(path, content, beside=self._unfinished)
            except FileNotFoundError:
                if not attempts_left:
                    raise
                if not isinstance(content, bytes):
                    content.seek(0)
            else:
                return

    @property
    def _store(self) -> ObjectStore:
        if self._opened is None:  # of a command; a server opens it as it starts
            self.open()
        assert self._opened is not None
        return self._opened

    async def _has(self, key: str) -> bool:
        try:
            with _translated():
                await self._store.head_async(key)
        except ObjectMissing:
            return False
        return True


async def _to_its_end(work: Callable[[], None]) -> None:
    """Do some work in a thread; a cancellation goes on once that is over.

    Otherwise an object could appear after its upload was given up and its key deleted.
    """
    done = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        await asyncio.shield(done)
    except asyncio.CancelledError:
        await asyncio.wait([done])
        raise


async def _chunks(stream: AsyncIterator[object]) -> AsyncIterator[bytes]:
    with _translated():
        async for chunk in stream:
            yield bytes(chunk)  # type: ignore[call-overload]  # a buffer of obstore's


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ObjectMissing from error
    except BaseError as error:
        if _FULL.search(str(error)):
            raise StorageFull from error
        raise Unavailable("The file store does not answer; try again.") from error


@contextmanager
def reporting_full_disk() -> Iterator[None]:
    """Raise `StorageFull` where a disk is full, or a quota of it used up."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL_ERRNOS:
            raise StorageFull from error
        raise


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
