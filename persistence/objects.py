"""The store of objects: a folder, or S3, Google Cloud Storage or Azure, by its URL.

An object is written once and whole, under a key that is never used again.
"""

import asyncio
import errno
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from persistence.refusals import StartRefused
from protocol.contenterrors import StorageFull
from protocol.errors import Unavailable

CHUNK_BYTES: Final = 256 * 1024
PART_BYTES: Final = 5 * 1024 * 1024  # the least that S3 takes as a part
PARTS_AT_ONCE: Final = 2

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


class Objects:
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
        """Write an object; nobody ever sees half of it."""
        with _translated():
            await self._store.put_async(
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

    async def missing(self, keys: Sequence[str]) -> list[str]:
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
        return LocalStore(self._folder.absolute(), mkdir=True, automatic_cleanup=True)

    @property
    def _store(self) -> ObjectStore:
        assert self._opened is not None, "the store is opened when the server starts"
        return self._opened

    async def _has(self, key: str) -> bool:
        try:
            with _translated():
                await self._store.head_async(key)
        except ObjectMissing:
            return False
        return True


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
def full_disk_is_told() -> Iterator[None]:
    """Raise `StorageFull` where a disk is full, or a quota of it used up."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL_ERRNOS:
            raise StorageFull from error
        raise


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
