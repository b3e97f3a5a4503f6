"""A network that breaks: a TCP proxy that cuts its one connection after so many bytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

CHUNK_BYTES = 65_536


class Cut:
    """One connection, cut once `down_bytes` have come from the server, or `up_bytes` gone to it.

    The very byte is the last that gets through: what was read with it and after it is lost.
    """

    def __init__(self, url: str, *, down_bytes: int | None, up_bytes: int | None) -> None:
        parts = urlsplit(url)
        self._server = (parts.hostname, parts.port)
        self._down_bytes = down_bytes
        self._up_bytes = up_bytes
        self.down = 0
        self.up = 0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes both ways until the cut, or until one side has ended."""
        server_reader, server_writer = await asyncio.open_connection(*self._server)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry_up(reader, server_writer))
                group.create_task(self._carry_down(server_reader, writer))
        except* (_Cut, ConnectionError):
            pass
        finally:
            writer.transport.abort()
            server_writer.transport.abort()

    async def _carry_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            data = _until(data, self.up, self._up_bytes)
            self.up += len(data)
            await _pass(data, writer, cut=self.up == self._up_bytes)
        raise _Cut

    async def _carry_down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            data = _until(data, self.down, self._down_bytes)
            self.down += len(data)
            await _pass(data, writer, cut=self.down == self._down_bytes)
        raise _Cut


class _Cut(Exception):
    """The connection ends here."""


def _until(data: bytes, carried: int, limit: int | None) -> bytes:
    return data if limit is None else data[: limit - carried]


async def _pass(data: bytes, writer: asyncio.StreamWriter, *, cut: bool) -> None:
    writer.write(data)
    await writer.drain()
    if cut:
        # The byte has to leave before the connection is reset, or it is lost with it.
        await asyncio.sleep(0)
        raise _Cut


@asynccontextmanager
async def cut_after(
    url: str, *, down_bytes: int | None = None, up_bytes: int | None = None
) -> AsyncIterator[tuple[Cut, int]]:
    """Give a network that breaks at a byte, and the port that leads into it."""
    cut = Cut(url, down_bytes=down_bytes, up_bytes=up_bytes)
    server = await asyncio.start_server(cut.carry, "127.0.0.1", 0)
    try:
        yield cut, server.sockets[0].getsockname()[1]
    finally:
        server.close()
