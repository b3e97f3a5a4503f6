"""A connection to a Redis server that is made again whenever it is lost.

`redis.asyncio` offers clients that reconnect by themselves, within a call. They hide when a
subscription was interrupted, which is just what a broker must know. So its single connections are
used here, which fail once and for all, and what happens between two of them is in sight.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeAlias

from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    UnixDomainSocketConnection,
    parse_url,
)
from redis.exceptions import RedisError

from persistence.broker.port import BrokerMetrics

log = logging.getLogger(__name__)

Work: TypeAlias = Callable[[AbstractConnection], Awaitable[None]]

# What servers and networks do. Anything else is a bug of ours, and logged as one.
_EXPECTED: Final = (RedisError, OSError, EOFError, TimeoutError)


class InvalidRedisUrl(ValueError):
    """The server's URL cannot be used. The message does not repeat it: it may hold a password."""


@dataclass(frozen=True, slots=True)
class RedisTimeouts:
    """How long a broker waits for what."""

    timeout_s: float = 2.0  # for a connection, and for the replies to a batch
    ping_every_s: float = 3.0  # on a silent subscribing connection
    silent_max_s: float = 7.0  # without a pong or anything else, the connection counts as lost
    # Waits between two attempts are drawn between 0 and a bound that doubles, so that nodes which
    # lost one server together do not come back together.
    retry_base_s: float = 0.1
    retry_max_s: float = 5.0
    stable_s: float = 10.0  # a connection that lasted this long makes the bound small again


class RedisServer:
    """Where a Redis server is, and how to connect to it."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        """Raise `InvalidRedisUrl`."""
        try:
            settings: dict[str, Any] = dict(parse_url(url))
            kind = settings.pop("connection_class", Connection)
            # Version 2 of the protocol has all that is needed, in the same form with any server.
            # Time limits are set around whole steps here, instead of around each read.
            settings |= {
                "protocol": 2,
                "socket_timeout": None,
                "socket_connect_timeout": timeout_s,
                "client_name": "playhall-broker",
                "driver_info": None,
            }
            self._make: Callable[[], AbstractConnection] = lambda: kind(**settings)
            self._make()
        except (ValueError, TypeError, RedisError):
            raise InvalidRedisUrl(
                "write the URL as redis://, rediss:// or unix://, with options of redis-py"
            ) from None
        self.database = int(settings.get("db", 0))
        # For logs: all of the URL that is no secret.
        self.address: str = (
            settings.get("path", "")
            if kind is UnixDomainSocketConnection
            else f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"
        )

    def make_connection(self) -> AbstractConnection:
        """Make a connection that is not open yet."""
        return self._make()


class ReconnectingLink:
    """One connection at a time, and the work that is done with it."""

    def __init__(
        self, server: RedisServer, name: str, *, pace: RedisTimeouts, metrics: BrokerMetrics
    ) -> None:
        self._server = server
        self._name = name
        self._pace = pace
        self._metrics = metrics
        self._is_down = False

    async def keep_connected(self, work: Work) -> NoReturn:
        """Connect and work, again and again; the work ends only by what it raises."""
        loop = asyncio.get_running_loop()
        attempts = 0
        while True:
            connection = self._server.make_connection()
            began_at = loop.time()
            try:
                await self._connect(connection)
                await work(connection)
            except Exception as error:
                self._went_down(error)
            finally:
                await _close(connection)
            attempts = 0 if loop.time() - began_at >= self._pace.stable_s else attempts + 1
            await asyncio.sleep(self._pause_s(attempts))

    async def _connect(self, connection: AbstractConnection) -> None:
        async with asyncio.timeout(self._pace.timeout_s):
            await connection.connect()  # type: ignore[no-untyped-call]
            # The kernel accepts connections to a server that does not answer any more.
            await connection.send_command("PING", check_health=False)
            await connection.read_response()
        self._metrics.connects += 1
        if self._is_down:
            log.warning("%s to Redis at %s is back", self._name, self._server.address)
        self._is_down = False

    def _pause_s(self, attempts: int) -> float:
        bound_s = min(self._pace.retry_max_s, self._pace.retry_base_s * 2 ** min(attempts, 20))
        return random.uniform(0.0, bound_s)  # noqa: S311 - spreads nodes, guards nothing

    def _went_down(self, error: Exception) -> None:
        self._metrics.disconnects += 1
        if not _is_expected(error):
            self._metrics.failures += 1
            log.error("%s to Redis failed", self._name, exc_info=error)
        elif not self._is_down:  # said once, however long it lasts
            why = _first(error)
            log.warning("%s to Redis at %s is down: %r", self._name, self._server.address, why)
        self._is_down = True


async def _close(connection: AbstractConnection) -> None:
    """Close at once: to a server that reads nothing, what is written would keep a socket open."""
    if connection._writer is not None:
        connection._writer.transport.abort()
    await connection.disconnect(nowait=True)


def _first(error: BaseException) -> BaseException:
    """Find the first error in a group of them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _is_expected(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(_is_expected(each) for each in error.exceptions)
    return isinstance(error, _EXPECTED)
