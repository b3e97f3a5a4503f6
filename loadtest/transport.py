"""The load tester's websocket: picows, which takes a fraction of `websockets`' time per frame."""

import asyncio
from typing import Final

import picows

from playhall.errors import ServerUnreachable
from playhall.transport import (
    ABNORMAL,
    INCOMING_BYTES_MAX,
    NORMAL,
    OPEN_TIMEOUT_S,
    SUBPROTOCOL,
    OnFrame,
    Transport,
    WebsocketClosed,
)

_TEXT: Final = picows.WSMsgType.TEXT
_CLOSE: Final = picows.WSMsgType.CLOSE


async def open_picows(url: str, on_frame: OnFrame) -> Transport:
    """Open a websocket with picows."""
    transport = _PicowsTransport(on_frame)
    try:
        await picows.ws_connect(
            lambda: transport,
            url,
            extra_headers={"Sec-WebSocket-Protocol": SUBPROTOCOL},
            websocket_handshake_timeout=OPEN_TIMEOUT_S,
            max_frame_size=INCOMING_BYTES_MAX,
            read_buffer_init_size=2048,
        )
    except (OSError, TimeoutError, picows.WSError) as error:
        raise ServerUnreachable(f"Cannot open a websocket at {url}: {error}.") from None
    return transport


class _PicowsTransport(picows.WSListener):
    def __init__(self, on_frame: OnFrame) -> None:
        self._on_frame = on_frame
        self._transport: picows.WSTransport | None = None
        self._closed: asyncio.Future[WebsocketClosed] = asyncio.get_running_loop().create_future()
        self._close_frame = WebsocketClosed(ABNORMAL, "")  # the server's, once it came

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        kind = frame.msg_type
        if kind is _TEXT:
            self._on_frame(frame.get_payload_as_bytes())
        elif kind is _CLOSE:
            # picows has names for a few codes only, so they are read from the payload.
            payload = frame.get_payload_as_bytes()
            code = int.from_bytes(payload[:2], "big") if payload else NORMAL
            self._close_frame = WebsocketClosed(code, payload[2:].decode(errors="replace"))
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()

    def on_ws_disconnected(self, _: picows.WSTransport) -> None:
        if not self._closed.done():
            self._closed.set_result(self._close_frame)

    def send(self, frame: bytes) -> None:
        if self._transport is not None and not self._closed.done():
            self._transport.send(_TEXT, frame)

    def close(self) -> None:
        if self._transport is not None and not self._transport.is_disconnected:
            self._transport.send_close(picows.WSCloseCode.OK)
            self._transport.disconnect()

    async def run(self) -> WebsocketClosed:
        return await self._closed
