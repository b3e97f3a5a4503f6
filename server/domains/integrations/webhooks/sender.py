"""One HTTP request to somebody else's server, which may lie, stall, or name an address of ours.

The address that is looked at is the one that is connected to: the check is where the socket is
made, behind the resolver, so neither a name that resolves anew (DNS rebinding) nor a number in an
odd notation (`http://2130706433/`) gets around it. Redirects are not followed, the environment's
proxies are not used, and no more of an answer is read than its status and its headers.
"""

import errno
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, Self

import aiohttp

from persistence.webhooks.store import Failure
from server.domains.integrations.webhooks.rules import is_public

TIMEOUT_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 5.0
HEADER_BYTES_MAX: Final = 8 * 1024  # of a line of the answer
GONE: Final = 410


class AddressRefused(OSError):
    """A webhook's host leads to an address that is not of the internet."""

    def __init__(self, address: str) -> None:
        super().__init__(errno.EACCES, f"the address {address} is not public")


class Sender:
    """Sends webhooks; `may_be_private` lets them go to addresses of private networks."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    @classmethod
    @asynccontextmanager
    async def opened(cls, *, may_be_private: bool) -> AsyncIterator[Self]:
        """Open one; its connections are closed at the end."""
        connector = aiohttp.TCPConnector(
            socket_factory=_socket if may_be_private else _public_socket,
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
            yield cls(session)

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> int | Failure:
        """Send a body; gives the status of an answer that accepts it, else what went wrong."""
        try:
            response = await self._session.post(
                url, data=body, headers=headers, allow_redirects=False
            )
        except TimeoutError:
            return Failure(None, f"no answer within {TIMEOUT_S:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Failure(None, _in_one_line(error))
        response.close()  # its body is of no use, however long it is
        if 200 <= response.status < 300:
            return response.status
        return Failure(
            response.status,
            f"it answered {response.status}",
            is_gone=response.status == GONE,
        )


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
