"""A person's data in one archive: everything that names them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from tempfile import TemporaryFile
from typing import IO, Final
from zipfile import ZIP_DEFLATED, ZipFile

from pydantic import BaseModel

from persistence.profiles.personal_data import PersonalDataStore
from protocol.errors import Overloaded, TooLarge
from protocol.ids import UserId

PAGE_BYTES: Final = 256 * 1024
ARCHIVE_BYTES_MAX: Final = 2 * 1024**3  # before compression


class ExportArchive:
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
            raise TooLarge("Your data is too large for one archive; ask the operator for it.")
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


EXPORTS_AT_ONCE: Final = 2  # on this node; each holds a connection while it is put together

README: Final = """\
This archive contains everything that {server} stores about you.

*.json     your account, as the server shows it to you
games/     your finished games and your own moves in them, in order
wallets/   what your linked Ethereum addresses did and own: votes, bots, bot tokens
tables/    every database row that refers to you, one file per table

Files ending in .jsonl have one JSON object per line. Times are UTC. Other people appear only
as ids. Left out are secrets, such as hashes of passwords and tokens, and sealed data that only
the server can read. Files that you uploaded, if any, are listed in tables/files.jsonl. Download
each one from {server}/files/ followed by its bucket, a slash and its path.

Rows in each file:

{counts}
"""

ReadSection = Callable[[UserId], Awaitable[BaseModel]]


class ExportService:
    """Puts archives together; `server` says where people reach it.

    `sections` has what other domains show somebody of themselves, by the name of its file.
    """

    def __init__(
        self,
        *,
        store: PersonalDataStore,
        sections: Mapping[str, ReadSection],
        server: Callable[[], str],
    ) -> None:
        self._store = store
        self._sections = sections
        self._server = server
        self._under_way = asyncio.Semaphore(EXPORTS_AT_ONCE)

    async def export(self, user_id: UserId) -> AsyncIterator[bytes]:
        """Put together all that is stored about somebody, then give it piece by piece.

        The connection is free again before the first piece is given, however slowly those
        are read. Raises `Overloaded` while others are being served.
        """
        if self._under_way.locked():
            raise Overloaded("Too many exports are running; try again in a minute.")
        async with self._under_way:
            archive = ExportArchive()
            try:
                await self._fill(archive, user_id)
            except BaseException:
                archive.discard()
                raise
        return archive.read()

    async def _fill(self, archive: ExportArchive, user_id: UserId) -> None:
        for name, read in self._sections.items():
            section = await read(user_id)
            await archive.add_text(f"{name}.json", section.model_dump_json(indent=2))
        counts: list[str] = []
        async with self._store.begin_export(user_id) as personal:
            for name, rows in (await personal.iterate_parts()).items():
                count = await archive.add_rows(f"{name}.jsonl", rows)
                counts.append(f"{count:8}  {name}.jsonl" if count else f"    none  {name}")
        readme = README.format(server=self._server(), counts="\n".join(counts))
        await archive.add_text("README.txt", readme)
