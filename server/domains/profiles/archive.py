"""The archive of an export: a ZIP file that grows on disk, never in memory."""

import asyncio
from collections.abc import AsyncIterator
from tempfile import TemporaryFile
from typing import IO, Final
from zipfile import ZIP_DEFLATED, ZipFile

from protocol.errors import TooLarge

PAGE_BYTES: Final = 256 * 1024
ARCHIVE_BYTES_MAX: Final = 2 * 1024**3  # before compression


class Archive:
    """What is put together for one person. `rows` are JSON, a line each."""

    def __init__(self) -> None:
        self._file: IO[bytes] = TemporaryFile()  # noqa: SIM115 - `read` closes it, at the end
        self._zip = ZipFile(self._file, "w", ZIP_DEFLATED)
        self._bytes = 0

    async def add_text(self, name: str, text: str) -> None:
        """Add a file that is at hand."""
        await asyncio.to_thread(self._zip.writestr, name, text)

    async def add_rows(self, name: str, rows: AsyncIterator[bytes]) -> int:
        """Add a file of rows, if there are any; says how many. Raises `TooLarge`."""
        if (first := await anext(rows, None)) is None:
            return 0
        count, page = 1, bytearray(first + b"\n")
        with self._zip.open(name, "w", force_zip64=True) as entry:
            async for row in rows:
                count += 1
                page += row + b"\n"
                if len(page) >= PAGE_BYTES:
                    await self._write(entry, page)
            await self._write(entry, page)
        return count

    async def _write(self, entry: IO[bytes], page: bytearray) -> None:
        self._bytes += len(page)
        if self._bytes > ARCHIVE_BYTES_MAX:
            raise TooLarge("There is more about you than fits an archive; ask the operator for it.")
        await asyncio.to_thread(entry.write, bytes(page))
        page.clear()

    async def read(self) -> AsyncIterator[bytes]:
        """Finish the archive and give it piece by piece; then it is gone."""
        with self._file:
            await asyncio.to_thread(self._zip.close)
            self._file.seek(0)
            while piece := await asyncio.to_thread(self._file.read, PAGE_BYTES):
                yield piece

    def discard(self) -> None:
        """Throw away what was not finished."""
        with self._file:
            self._zip.close()
