"""`playhall epoch mirror`: a day that another system plays, read line by line as it goes.

What is there is written at once, in batches of bounded size: while one is being written, the lines
of the next one collect. So a slow source is mirrored line by line, and a fast one in full batches.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from threading import Semaphore, Thread
from typing import Annotated, Any, Final, NamedTuple

import aiohttp
import orjson
import typer
from rich.console import Console

from persistence.accounts.audit_log import CONSOLE
from persistence.database import Database
from persistence.epochs.mirror import MirrorStore
from persistence.epochs.store import DayKey, EpochStore
from protocol.codec import validate
from protocol.epochs import MIRROR_LINES_MAX, MirrorBatch, Mirrored
from protocol.errors import InvalidField, PlayhallError
from server.config import Config
from server.core.tasks import Tasks
from server.domains.compete.epochs.mirror import DayMirror
from server.ops.shell import DataDir, Shell

LINE_BYTES_MAX: Final = 256 * 1024  # as much as a whole batch over HTTP
CHUNK_BYTES: Final = 64 * 1024
CHUNKS_MAX: Final = 4  # that are read ahead
CONNECT_S: Final = 30
STDIN: Final = 0

From = Annotated[
    str, typer.Argument(help="Source of the lines: `-` for stdin, a file, or an http(s) URL.")
]
Source = Annotated[
    str, typer.Option(help="Name of the other system: a to z, 0 to 9, `.`, `_`, `-`.")
]
Which = Annotated[str, typer.Option(help="The day: a date such as 2026-02-12, or `current`.")]


class MirrorContext(NamedTuple):
    """What the command works with."""

    days: EpochStore
    mirroring: DayMirror


def add_mirror_command(
    epoch: typer.Typer, shell: Shell, *, key_of: Callable[[str], DayKey]
) -> None:
    """Add the command to `playhall epoch`; `key_of` reads which day is meant."""
    out = Console(highlight=False, soft_wrap=True)

    def mirror(
        lines: From, source: Source, day: Which = "current", data_dir: DataDir = None
    ) -> None:
        """Mirror a day that another system plays; each line is applied once."""

        async def work(context: MirrorContext) -> Mirrored:
            epoch_id = (await context.days.read_day(key_of(day))).epoch_id

            done: list[Mirrored] = []

            async def write(some: list[dict[str, Any]]) -> None:
                batch = validate(MirrorBatch, {"source": source, "lines": some})
                done[:] = [await context.mirroring.apply(epoch_id, batch, actor=CONSOLE)]
                out.print(f"acknowledged {done[0].acknowledged}")

            await write([])
            await batch_lines(parse_lines(split_lines(read_chunks(lines))), write)
            return done[0]

        config = shell.read_config(data_dir=data_dir)
        with shell.said_plainly():
            done = shell.run_in_context(config, context=_context, work=work)
        out.print(f"{day}: mirrored up to line {done.acknowledged}, version {done.version}.")

    epoch.command()(mirror)


@asynccontextmanager
async def _context(_: Config, dsn: str) -> AsyncIterator[MirrorContext]:
    async with await Database.open(dsn) as database:
        yield MirrorContext(EpochStore(database), DayMirror(MirrorStore(database)))


# ------------------------------------------------------------------ where the lines come from


def read_chunks(place: str) -> AsyncIterator[bytes]:
    """Read what is at a place, as it comes; raise `PlayhallError`."""
    if place.startswith(("http://", "https://")):
        return _chunks_of_url(place)
    return _chunks_of_file(place)


async def _chunks_of_url(url: str) -> AsyncIterator[bytes]:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as web,
            web.get(url, raise_for_status=True) as answer,
        ):
            async for chunk in answer.content.iter_any():
                yield chunk
    except aiohttp.InvalidURL:
        raise InvalidField(f"{url!r} is not an address from which lines can be read.") from None
    except (aiohttp.ClientError, TimeoutError) as error:
        problem = f"{url} could not be read further ({error}); run this command again to continue."
        raise PlayhallError(problem) from None


async def _chunks_of_file(place: str) -> AsyncIterator[bytes]:
    """Read a file or stdin in a thread, which may still wait in `read` when the command ends.

    So the thread is a daemon and reads the descriptor itself: it does not hold up the end.
    """
    chunks: asyncio.Queue[bytes | OSError] = asyncio.Queue()  # bounded by its room
    room = Semaphore(CHUNKS_MAX)
    loop = asyncio.get_running_loop()

    def read(descriptor: int) -> None:
        chunk: bytes | OSError = b"begin"
        while chunk and not isinstance(chunk, OSError):
            room.acquire()
            try:
                chunk = os.read(descriptor, CHUNK_BYTES)
            except OSError as error:
                chunk = error
            with suppress(RuntimeError):  # the loop is closed: the command has ended
                loop.call_soon_threadsafe(chunks.put_nowait, chunk)

    with _opened(place) as descriptor:
        Thread(target=read, args=(descriptor,), daemon=True, name="lines").start()
        while chunk := await chunks.get():
            room.release()
            if isinstance(chunk, OSError):
                raise InvalidField(f"{place} cannot be read: {chunk}.")
            yield chunk


@contextmanager
def _opened(place: str) -> Iterator[int]:
    if place == "-":
        yield STDIN
        return
    try:
        descriptor = os.open(Path(place), os.O_RDONLY)
    except OSError as error:
        raise InvalidField(f"{place} cannot be read: {error}.") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


async def split_lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Split chunks into lines, without their ends; the last one may lack it."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
        if len(rest) > LINE_BYTES_MAX:
            raise InvalidField(f"A line is longer than {LINE_BYTES_MAX} bytes; send less.")
    if rest:
        yield rest


async def parse_lines(lines: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """Parse lines; raise `InvalidField`, which gives the line's place in the stream."""
    number = 0
    async for line in lines:
        number += 1
        if not line.strip():
            continue
        try:
            data = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise InvalidField(f"Line {number} of the stream is not JSON: {error}.") from None
        if not isinstance(data, dict):
            raise InvalidField(f"Line {number} of the stream is not a JSON object.")
        yield data


class _End(NamedTuple):
    """After the last line: why there are no more."""

    error: Exception | None


async def batch_lines(
    lines: AsyncIterator[dict[str, Any]], write: Callable[[list[dict[str, Any]]], Awaitable[None]]
) -> None:
    """Write what is there at once, in bounded batches; before an error, what came before it."""
    waiting: asyncio.Queue[dict[str, Any] | _End] = asyncio.Queue(MIRROR_LINES_MAX)

    async def collect() -> None:
        end = _End(None)
        try:
            async for line in lines:
                await waiting.put(line)
        except Exception as error:  # raised again by who takes the lines
            end = _End(error)
        await waiting.put(end)

    async with Tasks() as tasks:
        tasks.start_work(collect(), name="lines of a mirror")
        end: _End | None = None
        while end is None:
            item, batch = await waiting.get(), []
            while not isinstance(item, _End):
                batch.append(item)
                if waiting.empty() or len(batch) == MIRROR_LINES_MAX:
                    break
                item = waiting.get_nowait()
            else:
                end = item
            if batch:
                await write(batch)
        if end.error is not None:
            raise end.error
