"""One websocket, from its opening to its close.

A transport is opened with the function that gets every text frame. It carries frames while
`run` runs, which ends by saying why the websocket closed. `connection` makes one transport
after the other; the load tester has a transport of its own, on a faster library.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Protocol

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from playhall.errors import ServerUnreachable

SUBPROTOCOL: Final = "playhall.v1"
# The server's largest frame is an event, of at most 64 KiB; twice that, to spare.
INCOMING_BYTES_MAX: Final = 2 * 64 * 1024
OUTGOING_FRAMES_MAX: Final = 512
OPEN_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 2.0

# Close codes. From 4100 to 4199 they mean "do not come back".
NORMAL: Final = 1000
ABNORMAL: Final = 1006
SUPERSEDED: Final = 4002
_FINAL: Final = range(4100, 4200)

OnFrame = Callable[[bytes], None]


class WebsocketClosed(NamedTuple):
    """Why a websocket is closed."""

    code: int
    reason: str

    @property
    def retry(self) -> bool:
        """Whether to connect again.

        Not after `superseded`, although the code would allow it: two clients of one account
        would keep closing each other's connections.
        """
        return self.code not in _FINAL and self.code != SUPERSEDED


class Transport(Protocol):
    """An open websocket."""

    def send(self, frame: bytes) -> None:
        """Queue one text frame; what is sent after the close is dropped."""

    def close(self) -> None:
        """Begin to close; `run` ends soon."""

    async def run(self) -> WebsocketClosed:
        """Carry frames until the websocket is closed."""


# Opens a websocket at a URL, or raises `ServerUnreachable`.
OpenTransport = Callable[[str, OnFrame], Awaitable[Transport]]


async def open_websocket(url: str, on_frame: OnFrame) -> Transport:
    """Open a websocket with the `websockets` library."""
    try:
        connection = await connect(
            url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            proxy=None,  # as HTTP requests: see docs/guides/clients.md
            max_size=INCOMING_BYTES_MAX,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,  # session.ping shows life
        )
    except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
        raise ServerUnreachable(f"Cannot open a websocket at {url}: {error}.") from None
    return _Websocket(connection, on_frame)


class _Websocket:
    def __init__(self, connection: ClientConnection, on_frame: OnFrame) -> None:
        self._connection = connection
        self._on_frame = on_frame
        # None asks the writer to close.
        self._outgoing: asyncio.Queue[bytes | None] = asyncio.Queue(OUTGOING_FRAMES_MAX + 1)

    def send(self, frame: bytes) -> None:
        if self._outgoing.qsize() < OUTGOING_FRAMES_MAX:
            self._outgoing.put_nowait(frame)
        else:
            self.close()  # the server takes nothing: begin anew

    def close(self) -> None:
        if not self._outgoing.full():
            self._outgoing.put_nowait(None)

    async def run(self) -> WebsocketClosed:
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(self._write())
            await self._read()
            writer.cancel()
        code = self._connection.close_code
        return WebsocketClosed(code or ABNORMAL, self._connection.close_reason or "")

    async def _read(self) -> None:
        try:
            async for frame in self._connection:
                self._on_frame(frame.encode() if isinstance(frame, str) else frame)
        except ConnectionClosed:
            pass  # its code is kept by the connection

    async def _write(self) -> None:
        try:
            while (frame := await self._outgoing.get()) is not None:
                await self._connection.send(frame, text=True)
        except ConnectionClosed:
            return
        await self._connection.close()
