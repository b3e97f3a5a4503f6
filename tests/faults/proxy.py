"""A network between the server and PostgreSQL that can fail in every way.

It listens on a unix socket of its own and passes bytes on to the real one, reading the
client's messages as they go by (PostgreSQL's protocol, version 3), so that it can lose the
answer to one particular statement.

    cut          every connection breaks, and new ones are refused until `mend`
    black_hole   everything is accepted and nothing arrives, until `mend`
    Trap         the statement that matches is passed on, and its answer is kept back, or
                 lost with the connection; or the statement itself never arrives
"""

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

from tests.faults.recording import PATIENCE_S

# How the statements that matter begin. A commit matters where its transaction has appended
# events: the sweeps of a server commit as well, at moments of their own.
APPEND: Final = "^WITH batch"
COMMIT: Final = "^COMMIT of an append"
COMPLETE: Final = "FROM complete_game"

SOCKET: Final = ".s.PGSQL.5432"
READ_BYTES: Final = 64 * 1024
HEADER_BYTES: Final = 5  # a type and a length; the first message of all has no type


class Loss(Enum):
    """What a trap takes away."""

    ANSWER_KEPT = auto()  # the statement is carried out; the connection stays, silent
    ANSWER_LOST = auto()  # the statement is carried out; then the connection breaks
    STATEMENT_LOST = auto()  # the connection breaks before the statement arrives


@dataclass
class Trap:
    """Waits for one statement."""

    pattern: re.Pattern[str]
    loss: Loss
    passes: int = 0  # how many matching statements go through first
    _sprung: asyncio.Event = field(default_factory=asyncio.Event)
    _answered: asyncio.Event = field(default_factory=asyncio.Event)

    async def springs(self) -> None:
        """Wait until the statement came."""
        async with asyncio.timeout(PATIENCE_S):
            await self._sprung.wait()

    async def has_answer(self) -> None:
        """Wait until PostgreSQL has answered it."""
        async with asyncio.timeout(PATIENCE_S):
            await self._answered.wait()

    def takes(self, statement: str) -> bool:
        """Say whether this is the one; a trap takes only one."""
        if self._sprung.is_set() or not self.pattern.search(statement):
            return False
        if self.passes:
            self.passes -= 1
            return False
        self._sprung.set()
        return True

    async def keep(self) -> None:
        """Keep the answer back if that is the loss, for as long as the connection lasts."""
        self._answered.set()
        if self.loss is Loss.ANSWER_KEPT:
            await asyncio.get_running_loop().create_future()


class Proxy:
    """The network. `dsn` leads to the same database through it."""

    def __init__(self, dsn: str, folder: Path) -> None:
        parts = urlsplit(dsn)
        self._target = Path(parse_qs(parts.query)["host"][0]) / SOCKET
        self._socket = folder / SOCKET
        self.dsn = parts._replace(query=f"host={quote(str(folder), safe='')}").geturl()
        self._trap: Trap | None = None
        self._lines: set[_Line] = set()
        self._clear = asyncio.Event()
        self._clear.set()
        self._refuses = False
        self.seen: list[str] | None = None  # every statement, while it is a list

    async def serve(self) -> None:
        """Pass everything on, for ever."""
        server = await asyncio.start_unix_server(self._carry, self._socket)
        async with server:
            try:
                await server.serve_forever()
            finally:
                self.mend()
                self.hang_up()

    # ------------------------------------------------------------------ what can go wrong

    def hang_up(self) -> None:
        """Break every connection once."""
        for line in list(self._lines):
            line.abort()

    def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        self._refuses = True
        self.hang_up()

    def black_hole(self) -> None:
        """Let nothing arrive any more."""
        self._clear.clear()

    def mend(self) -> None:
        """Pass everything on again; what was under way arrives late."""
        self._refuses = False
        self._clear.set()

    def trap(self, pattern: str, loss: Loss, *, passes: int = 0) -> Trap:
        """Set a trap for a statement; it takes the place of the one before."""
        self._trap = Trap(re.compile(pattern, re.IGNORECASE), loss, passes)
        return self._trap

    # ------------------------------------------------------------------ details

    async def clear(self) -> None:
        """Wait while nothing arrives."""
        await self._clear.wait()

    def saw(self, statement: str) -> Trap | None:
        """Take note of a statement; gives the trap if it was the one."""
        if self.seen is not None:
            self.seen.append(statement)
        trap = self._trap
        return trap if trap is not None and trap.takes(statement) else None

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        with suppress(OSError):  # PostgreSQL is not there: so is the connection
            back, forth = await asyncio.open_unix_connection(self._target)
            line = _Line(self, writer, forth)
            self._lines.add(line)
            try:
                async with asyncio.TaskGroup() as group:
                    answering = group.create_task(line.answer(back))
                    await line.ask(reader)
                    answering.cancel()
            finally:
                self._lines.discard(line)
        writer.transport.abort()


class _Line:
    """One connection through the proxy."""

    def __init__(
        self, proxy: Proxy, client: asyncio.StreamWriter, server: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._trap: Trap | None = None
        self._has_appended = False
        self._read = _Statements(self._saw)

    def abort(self) -> None:
        self._client.transport.abort()
        self._server.transport.abort()

    async def ask(self, reader: asyncio.StreamReader) -> None:
        """Carry what the client says."""
        with suppress(OSError):
            while data := await reader.read(READ_BYTES):
                await self._proxy.clear()
                self._read.feed(data)
                if self._trap is not None and self._trap.loss is Loss.STATEMENT_LOST:
                    break
                self._server.write(data)
                await self._server.drain()
        self.abort()

    async def answer(self, reader: asyncio.StreamReader) -> None:
        """Carry what PostgreSQL answers."""
        with suppress(OSError):
            while data := await reader.read(READ_BYTES):
                await self._proxy.clear()
                if self._trap is not None:
                    await self._trap.keep()
                    break
                self._client.write(data)
                await self._client.drain()
        self.abort()

    def _saw(self, statement: str) -> None:
        if statement.startswith("BEGIN"):
            self._has_appended = False
        elif re.match(APPEND, statement):
            self._has_appended = True
        elif self._has_appended and statement.startswith("COMMIT"):
            statement = "COMMIT of an append"
        self._trap = self._proxy.saw(statement) or self._trap


class _Statements:
    """Reads which statements a client has carried out, from its side of the protocol."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._data = b""
        self._greeted = False
        self._prepared: dict[bytes, str] = {}

    def feed(self, data: bytes) -> None:
        self._data += data
        if not self._greeted and len(self._data) >= 4:
            self._data = self._data[int.from_bytes(self._data[:4], "big") :]
            self._greeted = True
        while self._greeted and len(self._data) >= HEADER_BYTES:
            end = 1 + int.from_bytes(self._data[1:HEADER_BYTES], "big")
            if len(self._data) < end:
                return
            self._message(self._data[:1], self._data[HEADER_BYTES:end])
            self._data = self._data[end:]

    def _message(self, kind: bytes, body: bytes) -> None:
        if kind == b"Q":
            self._report(body.rstrip(b"\0").decode())
        elif kind == b"P":
            name, statement, _ = body.split(b"\0", 2)
            self._prepared[name] = statement.decode()
        elif kind == b"B":
            _, name, _ = body.split(b"\0", 2)
            self._report(self._prepared.get(name, ""))


@asynccontextmanager
async def proxied(dsn: str) -> AsyncIterator[Proxy]:
    """Run a proxy before a database that is reached by a unix socket."""
    folder = Path(tempfile.mkdtemp(prefix="playhall-"))
    proxy = Proxy(dsn, folder)
    try:
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(proxy.serve())
            while not (folder / SOCKET).exists():
                await asyncio.sleep(0)
            yield proxy
            serving.cancel()
    finally:
        shutil.rmtree(folder)
