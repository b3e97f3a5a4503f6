"""Proxies in front of the server: whose word counts for where a client is."""

from collections.abc import Awaitable, Callable, Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

from aiohttp import hdrs, web

from server.core.addresses import normalize_ip_address

# Further addresses were put there by somebody who wants to keep us busy.
HOPS_MAX: Final = 32
MAPPED_BITS: Final = 96  # of ::ffff:0:0/96, before the IPv4 address

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Proxies:
    """The proxies that are trusted to say, in `X-Forwarded-For`, who connected to them.

    Each proxy appends the address that it sees, so that only what stands right of a proxy
    that is not trusted can be believed; the rest anybody may have made up.
    """

    def __init__(self, networks: Iterable[IPv4Network | IPv6Network] = ()) -> None:
        self._networks = tuple(map(_plain_network, networks))

    @classmethod
    def parse(cls, names: Iterable[str]) -> "Proxies":
        """Read addresses and networks; raise `ValueError` where one is neither."""
        return cls(map(ip_network, names))

    def trusts(self, address: str) -> bool:
        """Say whether an address is a trusted proxy's."""
        parsed = _parsed(address) if self._networks else None
        return parsed is not None and any(parsed in network for network in self._networks)

    def client(self, peer: str, forwarded: Iterable[str]) -> str:
        """Give the client's address: of `X-Forwarded-For`, the right-most untrusted one.

        `peer` is who connected; what cannot be read ends the search at who wrote it.
        """
        hops = [hop.strip() for line in forwarded for hop in line.split(",")]
        nearest = normalize_ip_address(peer)
        for hop in hops[: -HOPS_MAX - 1 : -1]:
            if not self.trusts(nearest):
                break
            if (parsed := _parsed(_without_port(hop))) is None:
                break
            nearest = str(parsed)
        return nearest


def trust_proxies(app: web.Application, proxies: Proxies) -> None:
    """Have every handler see the client's address where a trusted proxy asked for it."""

    @web.middleware
    async def with_client_address(request: web.Request, handler: Handler) -> web.StreamResponse:
        peer = request.remote or ""
        client = proxies.client(peer, request.headers.getall(hdrs.X_FORWARDED_FOR, ()))
        if client != peer:
            request = request.clone(remote=client)
        return await handler(request)

    app.middlewares.insert(0, with_client_address)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def _plain_network(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """Write a network of IPv4 addresses in IPv6 (`::ffff:10.0.0.0/104`) as that of IPv4."""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < MAPPED_BITS:
        return network
    return IPv4Network((mapped, network.prefixlen - MAPPED_BITS))


def _without_port(hop: str) -> str:
    """Take off the port that some proxies write: `192.0.2.1:4711`, `[2001:db8::1]:4711`."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
