"""One HTTP request to somebody else's server, which may lie, stall, or name an address of ours.

The address that is looked at is the one that is connected to: the check is where the socket is
made, behind the resolver, so neither a name that resolves anew (DNS rebinding) nor a number in an
odd notation (`http://2130706433/`) gets around it. Redirects are not followed, the environment's
proxies are not used, and no more of an answer is read than its status and its headers.
"""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from persistence.webhooks.store import DeliveryFailure
from server.domains.integrations.webhooks.rules import is_public

TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 5.0
HEADER_BYTES_MAX: Final = 8 * 1024  # of a line of the answer
DNS_THREADS: Final = 8
GONE: Final = 410


class AddressRefused(OSError):
    """A webhook's host leads to an address that is not of the internet."""

    def __init__(self, address: str) -> None:
        super().__init__(errno.EACCES, f"the address {address} is not public")


class WebhookSender:
    """Sends webhooks; `may_be_private` lets them go to addresses of private networks."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @classmethod
    @asynccontextmanager
    async def opened(cls, *, may_be_private: bool) -> AsyncIterator[Self]:
        """Open one; its connections are closed at the end."""
        resolver = _Resolver()
        connector = aiohttp.TCPConnector(
            socket_factory=_socket if may_be_private else _public_socket,
            resolver=resolver,
            force_close=True,  # a connection that was kept would keep its address
            use_dns_cache=False,
            limit=0,  # whoever sends bounds what is under way
        )
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S, sock_connect=CONNECT_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_line_size=HEADER_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
        ) as session:
            try:
                yield cls(session)
            finally:
                await resolver.close()

    async def send(
        self, url: str, body: bytes, headers: Mapping[str, str]
    ) -> int | DeliveryFailure:
        """Send a body; gives the status of an answer that accepts it, else what went wrong."""
        try:
            response = await self._session.post(
                url, data=body, headers=headers, allow_redirects=False
            )
        except TimeoutError:
            return DeliveryFailure(None, f"no answer within {TIMEOUT_S:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return DeliveryFailure(None, _in_one_line(error))
        response.close()  # its body is of no use, however long it is
        if 200 <= response.status < 300:
            return response.status
        return DeliveryFailure(
            response.status,
            f"it answered {response.status}",
            is_gone=response.status == GONE,
        )


class _Resolver(AbstractResolver):
    """Looks names up in threads of its own.

    A name server that stalls holds a thread for longer than a request waits. The event loop's own
    threads are few, and files and archives need them.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(DNS_THREADS, thread_name_prefix="webhook names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Look a name up; raise `OSError`."""
        look_up = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Begin no more look-ups."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _socket(addr_info: Any) -> socket.socket:
    family, kind, protocol, _, _ = addr_info
    return socket.socket(family, kind, protocol)


def _public_socket(addr_info: Any) -> socket.socket:
    *_, (address, *_) = addr_info
    if not is_public(address):
        raise AddressRefused(address)
    return _socket(addr_info)


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
