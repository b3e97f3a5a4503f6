"""A Redis stream that entries are added to, over one connection that is made when it is needed."""

import asyncio
from collections.abc import Sequence
from typing import Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from persistence.broker.link import RedisServer

TIMEOUT_S: Final = 10.0  # for a connection, and for the replies to a batch


class RedisStreamWriter:
    """Adds entries; about the newest `entries_max` are kept. Raises `InvalidRedisUrl`."""

    def __init__(self, url: str, name: str, *, entries_max: int) -> None:
        self._server = RedisServer(url, timeout_s=TIMEOUT_S)
        self._head: Final[tuple[str | int, ...]] = ("XADD", name, "MAXLEN", "~", entries_max, "*")
        self._connection: AbstractConnection | None = None

    async def add(self, entries: Sequence[Sequence[bytes]]) -> str | None:
        """Add entries, each the names and values of its fields in turn.

        Says what went wrong, in which case some of them may have been added; None if nothing did.
        """
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._add(entries)
        except (RedisError, OSError, EOFError, TimeoutError) as error:
            await self.close()
            return " ".join(str(error).split()) or type(error).__name__
        except BaseException:
            await self.close()  # replies to what was sent may still come
            raise
        return None

    async def _add(self, entries: Sequence[Sequence[bytes]]) -> None:
        if self._connection is None:
            self._connection = self._server.make_connection()
            await self._connection.connect()  # type: ignore[no-untyped-call]
        connection = self._connection
        commands = [(*self._head, *entry) for entry in entries]
        packed = connection.pack_commands(commands)
        await connection.send_packed_command(packed, check_health=False)
        for _ in entries:
            await connection.read_response()

    async def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.disconnect(nowait=True)
