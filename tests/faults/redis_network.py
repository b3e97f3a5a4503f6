"""A network between one node and Redis that loses messages, or everything.

It passes bytes on and reads what the server sends as it goes by (RESP, version 2), so that it can
leave out single published messages, as a broken network, a failover or a full buffer would. `cut`
breaks every connection and refuses new ones until `mend`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

READ_BYTES = 64 * 1024


class RedisNetwork:
    """The network of one node; `url` leads through it to the server."""

    def __init__(self, target_port: int, chance: Random) -> None:
        self._target = target_port
        self._chance = chance
        self._lines: set[asyncio.StreamWriter] = set()
        self._refuses = False
        self.loses = 0.0  # the share of messages that do not arrive
        self.lost = 0
        self.passed = 0
        self.url = ""

    def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        self._refuses = True
        for line in list(self._lines):
            line.transport.abort()

    def mend(self) -> None:
        """Let everything through."""
        self._refuses = False
        self.loses = 0.0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        if self._refuses:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._lines |= {writer, far_writer}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_copy(reader, far_writer))
                group.create_task(self._sift(far_reader, writer))
        except* (OSError, EOFError, asyncio.IncompleteReadError):
            pass
        finally:
            for line in (writer, far_writer):
                self._lines.discard(line)
                line.transport.abort()

    async def _sift(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            value = await _read_value(reader)
            if value.startswith(b"*3\r\n$7\r\nmessage\r\n"):
                if self._chance.random() < self.loses:
                    self.lost += 1
                    continue
                self.passed += 1
            writer.write(value)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(READ_BYTES):
        writer.write(data)
    raise EOFError


async def _read_value(reader: asyncio.StreamReader) -> bytes:
    """Read one value with all that it contains."""
    head = await reader.readuntil(b"\r\n")
    if head[:1] == b"*":
        return head + b"".join([await _read_value(reader) for _ in range(int(head[1:]))])
    if head[:1] == b"$" and int(head[1:]) >= 0:
        return head + await reader.readexactly(int(head[1:]) + 2)
    return head


@asynccontextmanager
async def network(target_port: int, chance: Random) -> AsyncIterator[RedisNetwork]:
    """Open a network to a server; closed in the end."""
    between = RedisNetwork(target_port, chance)
    server = await asyncio.start_server(between.carry, "127.0.0.1", 0)
    between.url = f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield between
    finally:
        between.cut()
        server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await server.wait_closed()
