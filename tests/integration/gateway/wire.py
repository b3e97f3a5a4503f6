"""A client that can do everything wrong: raw bytes on a socket."""

import asyncio
import socket
import ssl
from types import TracebackType
from typing import Final

from server.gateway.transport.framing import CLOSE, TEXT
from tests.integration.gateway.halls import KEY, Hall

MASK: Final = b"\x11\x22\x33\x44"

Frame = tuple[int, bytes]


def request(
    target: str = "/ws", *extra: str, without: tuple[str, ...] = (), method: str = "GET"
) -> bytes:
    """Write an upgrade's head; `extra` headers replace those of the same name."""
    headers = [
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: keep-alive, Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {KEY}",
    ]
    replaced = {*without, *(line.partition(":")[0] for line in extra)}
    kept = [line for line in headers if line.partition(":")[0] not in replaced]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *kept, *extra, "", ""]).encode()


def masked(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    """Write a client's frame."""
    size = len(payload)
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    keys = (MASK * (size // 4 + 1))[:size]
    body = (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")
    return head + MASK + body


class Wire:
    """One TCP connection to a hall, opened as a context manager."""

    def __init__(
        self,
        hall: Hall,
        *,
        tls: ssl.SSLContext | None = None,
        receive_bytes: int | None = None,
        source: str = "127.0.0.1",
    ) -> None:
        self._hall = hall
        self._tls = tls
        self._receive_bytes = receive_bytes
        self._source = source

    async def __aenter__(self) -> "Wire":
        sock = socket.socket()
        if self._receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_bytes)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind((self._source, 0))
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self._hall.port))
        self.reader, self.writer = await asyncio.open_connection(
            sock=sock, ssl=self._tls, server_hostname="127.0.0.1" if self._tls else None
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self.writer.transport.is_closing():  # early 3.11s fail on a closed TLS transport
            self.writer.transport.abort()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def send_bytewise(self, data: bytes) -> None:
        """Send byte by byte, each in a segment of its own."""
        for i in range(len(data)):
            self.writer.write(data[i : i + 1])
            await asyncio.sleep(0)

    async def head(self) -> str:
        """Read a response's head."""
        return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def status(self) -> int:
        """Read a response's head and give its status."""
        return int((await self.head()).split(" ")[1])

    async def upgrade(self) -> None:
        """Become a websocket."""
        self.send(request())
        assert await self.status() == 101

    async def frame(self) -> Frame:
        """Read a frame: its opcode and its payload."""
        first, size = await self.reader.readexactly(2)
        if size == 126:
            size = int.from_bytes(await self.reader.readexactly(2), "big")
        elif size == 127:
            size = int.from_bytes(await self.reader.readexactly(8), "big")
        return first & 0xF, await self.reader.readexactly(size)

    async def say(self, text: bytes) -> Frame:
        """Send a text message and read a frame."""
        self.send(masked(TEXT, text))
        return await self.frame()

    async def close_code(self) -> int:
        """Read until the close frame; give its code."""
        while True:
            opcode, payload = await self.frame()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big")

    async def ended(self) -> bytes:
        """Read until the server has ended the connection, and end it too; give what came."""
        rest = b""
        try:
            while data := await self.reader.read(1 << 16):
                rest += data
        except ConnectionError:
            pass  # cut off is ended as well
        self.writer.close()
        return rest
