"""Sockets to listen on: every address that is named, all on one port."""

import errno
import logging
import socket
from collections.abc import Sequence
from typing import Final

from persistence.errors import StartRefused
from server.core.settings import split_names

log = logging.getLogger(__name__)

ANY_IPV6: Final = "::"
Addresses = list[tuple[socket.AddressFamily, str]]
NO_SUCH_ADDRESS: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def bind(hosts: str, port: int, *, shared: bool = False) -> list[socket.socket]:
    """Bind every host, all to one port: with port 0, to the one that the first was given.

    A `shared` port may be bound by other processes of this user as well; the kernel spreads
    connections over those that listen.
    """
    bound: list[socket.socket] = []
    try:
        wanted = [_addresses_of(host) for host in split_names(hosts) or (ANY_IPV6,)]
        has_ipv4 = any(family == socket.AF_INET for each in wanted for family, _ in each)
        for addresses in wanted:
            _bind_host(addresses, port, bound, with_ipv4=not has_ipv4, shared=shared)
    except OSError as error:
        for each in bound:
            each.close()
        raise StartRefused(
            f"Cannot listen on {hosts}, port {port} ({error.strerror or error}); choose another "
            "port with --port (0 for any free one), or other addresses with PLAYHALL_HOST."
        ) from error
    return bound


def _bind_host(
    addresses: Addresses,
    port: int,
    bound: list[socket.socket],
    *,
    with_ipv4: bool,
    shared: bool,
) -> None:
    """Bind the addresses of one host, but for those that this machine lacks if it has another."""
    lacking: OSError | None = None
    before = len(bound)
    for family, address in addresses:
        try:
            wanted = _port_of(bound) or port
            bound.append(_bind_one(family, address, wanted, with_ipv4=with_ipv4, shared=shared))
        except OSError as error:
            if error.errno not in NO_SUCH_ADDRESS:
                raise
            lacking = error
    if lacking is not None and len(bound) == before:
        raise lacking


def _addresses_of(host: str) -> Addresses:
    found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _bind_one(
    family: socket.AddressFamily, address: str, port: int, *, with_ipv4: bool, shared: bool
) -> socket.socket:
    """Bind one address; `::` takes IPv4 as well, if no IPv4 address is named beside it."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            is_only_ipv6 = address != ANY_IPV6 or not with_ipv4
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, is_only_ipv6)
        sock.setblocking(False)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock


def _port_of(bound: Sequence[socket.socket]) -> int:
    return int(bound[0].getsockname()[1]) if bound else 0


def bind_own_port(hosts: str, port: int, worker: int) -> list[socket.socket]:
    """Bind the port that is a worker's own: one of those after the shared one, if it is free."""
    try:
        return bind(hosts, port + 1 + worker)
    except StartRefused:
        own = bind(hosts, 0)
        log.warning("port %d is taken; worker %d has %d", port + 1 + worker, worker, _port_of(own))
        return own
