"""One websocket: the `websockets` library for the client, picows for crowds.

A wire is dialled with the function that gets every text frame, is run until it closes, and
says why it closed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, Protocol

import picows
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.typing import Subprotocol

from loadtest.line.errors import Unreachable
from protocol.errors import CloseReason
from protocol.limits import CHUNK_BYTES_MAX, SUBPROTOCOL

# The server's largest frame is an event, which is smaller than a chunk of them; twice to spare.
INCOMING_BYTES_MAX: Final = 2 * CHUNK_BYTES_MAX
OUTGOING_FRAMES_MAX: Final = 512
OPEN_TIMEOUT_S: Final = 10.0
CLOSE_TIMEOUT_S: Final = 2.0

NORMAL: Final = 1000
ABNORMAL: Final = 1006
# From here on, up to 4199, a close code means "do not come back".
_FINAL_CODES: Final = range(4100, 4200)

OnFrame = Callable[[bytes], None]


class Closed(NamedTuple):
    """Why a websocket is closed."""

    code: int
    reason: str

    @property
    def retry(self) -> bool:
        """Whether to connect again.

        Not after `superseded`, although the code would allow it: two clients of one account
        would take the connection from each other for ever.
        """
        return self.code not in _FINAL_CODES and self.code != CloseReason.SUPERSEDED.code


class Wire(Protocol):
    """An open websocket."""

    def send(self, frame: bytes) -> None:
        """Queue one text frame; what is sent after the close is dropped."""

    def close(self) -> None:
        """Begin to close; `run` ends soon."""

    async def run(self) -> Closed:
        """Carry frames until it is closed."""


Dial = Callable[[str, OnFrame], Awaitable[Wire]]


async def dial_websockets(url: str, on_frame: OnFrame) -> Wire:
    """Open a websocket with the `websockets` library."""
    try:
        connection = await open_websocket(
            url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            proxy=None,  # as HTTP requests: see docs/clients.md
            max_size=INCOMING_BYTES_MAX,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,  # session.ping shows life
        )
    except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as error:
        raise Unreachable(f"No websocket opens at {url}: {error}.") from None
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

    async def run(self) -> Closed:
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(self._write())
            await self._read()
            writer.cancel()
        code = self._connection.close_code
        return Closed(code or ABNORMAL, self._connection.close_reason or "")

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


async def dial_picows(url: str, on_frame: OnFrame) -> Wire:
    """Open a websocket with picows, which takes a fraction of the time per frame."""
    wire = _Picows(on_frame)
    try:
        await picows.ws_connect(
            lambda: wire,
            url,
            extra_headers={"Sec-WebSocket-Protocol": SUBPROTOCOL},
            websocket_handshake_timeout=OPEN_TIMEOUT_S,
            max_frame_size=INCOMING_BYTES_MAX,
            read_buffer_init_size=2048,
        )
    except (OSError, TimeoutError, picows.WSError) as error:
        raise Unreachable(f"No websocket opens at {url}: {error}.") from None
    return wire


class _Picows(picows.WSListener):
    def __init__(self, on_frame: OnFrame) -> None:
        self._on_frame = on_frame
        self._transport: picows.WSTransport | None = None
        self._closed: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()
        self._said = Closed(ABNORMAL, "")

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type is picows.WSMsgType.TEXT:
            self._on_frame(frame.get_payload_as_bytes())
        elif frame.msg_type is picows.WSMsgType.CLOSE:
            # picows has names for a few codes only, so they are read from the payload.
            payload = frame.get_payload_as_bytes()
            code = int.from_bytes(payload[:2], "big") if payload else NORMAL
            self._said = Closed(code, payload[2:].decode(errors="replace"))
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()

    def on_ws_disconnected(self, _: picows.WSTransport) -> None:
        if not self._closed.done():
            self._closed.set_result(self._said)

    def send(self, frame: bytes) -> None:
        if self._transport is not None and not self._closed.done():
            self._transport.send(picows.WSMsgType.TEXT, frame)

    def close(self) -> None:
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send_close(picows.WSCloseCode.OK)
            self._transport.disconnect()

    async def run(self) -> Closed:
        return await self._closed
