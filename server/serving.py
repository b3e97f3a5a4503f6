"""A node's life: open the database, listen, serve, and go away without losing anything."""

import asyncio
import errno
import gc
import logging
import random
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from persistence.database import SERVER_ROLE, Database
from persistence.errors import StartRefused
from persistence.rls import ANONYMOUS_ROLE, RlsDatabase
from persistence.signals import StoppedBySecondSignal, handled_signals
from protocol.errors import CloseReason
from server.app import App
from server.config import Config
from server.core.addresses import WILDCARDS, socket_url
from server.core.clock import Clock
from server.core.containment import contain_failures, count_unhandled
from server.core.node_name import NodeName
from server.core.settings import SettingsReader, split_names
from server.core.tasks import Tasks
from server.domains.contract import Build
from server.domains.services import Services, build_broker
from server.gamekit.fold import AnyRuleset
from server.gateway.transport.http_connection import http_runner
from server.ops.reload_rulesets import RulesetReloader

log = logging.getLogger(__name__)

BACKLOG = 4096
ANY_IPV6 = "::"
Addresses = list[tuple[socket.AddressFamily, str]]
NO_SUCH_ADDRESS = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
TLS_HANDSHAKE_TIMEOUT_S = 5.0
BROKER_DRAIN_TIMEOUT_S = 1.0
RECONNECT_WITHIN_MS = 3000
CLOSE_GROUP = 200
CLOSE_GROUP_PAUSE_S = 0.05


class StopRequest:
    """Asks a node to stop: asked by a signal, or forced by a database that is gone."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._why: StartRefused | None = None

    def on_signal(self, number: signal.Signals) -> None:
        """Ask; a second SIGTERM or SIGINT raises `StoppedBySecondSignal`.

        SIGHUP hurries nobody: when a terminal closes, it comes more than once.
        """
        if self._asked.is_set() and number != signal.SIGHUP:
            raise StoppedBySecondSignal(number)
        self._asked.set()

    async def wait(self) -> None:
        """Return once the node has to go away."""
        await self._asked.wait()

    async def stop_if_fails(self, database: Coroutine[Any, Any, None]) -> None:
        """Look after a database; should that fail, the node goes away, and `check` says why."""
        try:
            await database
        except StartRefused as error:
            self._why = error
            self._asked.set()

    def check(self) -> None:
        """Raise what forced the node to go away, if something did."""
        if self._why is not None:
            raise self._why


async def serve(
    config: Config,
    dsn: str,
    *,
    rulesets: dict[str, AnyRuleset],
    settings: SettingsReader,
    titles: Sequence[Build] = (),
    ready: Callable[[str], None],
    keep_database: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP; `ready` gets the address once clients may come.

    A second signal ends the loop with `StoppedBySecondSignal`, whatever is under way.
    `keep_database` looks after a database of the node's own; the node goes away when it raises
    `StartRefused`, which is raised from here in the end.
    """
    stop = StopRequest()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(count_unhandled)
    for number in handled_signals():
        loop.add_signal_handler(number, stop.on_signal, number)
    async with Tasks() as keeper:
        if keep_database is not None:
            keeper.start_loop(stop.stop_if_fails(keep_database()), name="the bundled database")
        await _serve(
            config,
            dsn,
            rulesets=rulesets,
            settings=settings,
            titles=titles,
            ready=ready,
            stop=stop,
        )
    stop.check()


async def _serve(
    config: Config,
    dsn: str,
    *,
    rulesets: dict[str, AnyRuleset],
    settings: SettingsReader,
    titles: Sequence[Build],
    ready: Callable[[str], None],
    stop: StopRequest,
) -> None:
    broker = build_broker(config)
    opened = partial(
        Database.open, dsn, pool_max=config.database_pool, allow_unsafe=config.unsafe_database
    )
    async with (
        await opened(role=SERVER_ROLE) as database,
        await opened(role=ANONYMOUS_ROLE) as anonymous,
        Tasks() as tasks,
    ):
        with NodeName(config.data_dir) as node:
            base = Services(
                config,
                database,
                RlsDatabase(anonymous),
                node,
                Clock(),
                tasks,
                rulesets,
                broker,
                titles,
                settings,
            )
            app = App(base)
            if config.reload_rulesets:
                reloader = RulesetReloader(rulesets, config.ruleset_directories())
                tasks.start_loop(reloader.run(), name="reloading of rulesets")
            async with _listening(app, config) as url:
                ready(url)
                await stop.wait()
                log.info(
                    "shutting down: finishing work in progress, no new games (repeat to force)"
                )
                await _go_away(app)
                if not await broker.drain(BROKER_DRAIN_TIMEOUT_S):
                    log.warning(
                        "other nodes were not notified of the last changes; they look for them"
                    )


@asynccontextmanager
async def _listening(app: App, config: Config) -> AsyncIterator[str]:
    runner = http_runner(app.http())
    await runner.setup()
    assert runner.server is not None
    listener = app.listener(runner.server)
    tls = _tls(config)
    servers = [
        await _listen(listener.protocol, each, tls) for each in _bind(config.host, config.port)
    ]
    url = _url(servers[0].sockets[0], tls)
    if not config.public_url and _is_wildcard(servers[0].sockets[0]):
        log.warning(
            "clients are sent the address %s, which only this machine can reach; "
            "set PLAYHALL_PUBLIC_URL to where others reach it",
            url,
        )
    try:
        await app.start(config.public_url or url)
        _settle_garbage()
        for server in servers:
            await server.start_serving()
        yield url
    finally:
        for server in servers:
            server.close()
        await listener.close_all(CloseReason.GOING_AWAY)
        await runner.cleanup()


def _settle_garbage() -> None:
    """Have the collector pass over what stays as long as the server."""
    gc.collect()
    gc.freeze()


async def _listen(
    protocol: Callable[[], asyncio.Protocol], sock: socket.socket, tls: ssl.SSLContext | None
) -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(
        protocol,
        sock=sock,
        backlog=BACKLOG,
        ssl=tls,
        ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT_S if tls else None,
        start_serving=False,
    )


def _bind(hosts: str, port: int) -> list[socket.socket]:
    """Bind every host, all to one port: with port 0, to the one that the first was given."""
    bound: list[socket.socket] = []
    try:
        wanted = [_addresses_of(host) for host in split_names(hosts) or (ANY_IPV6,)]
        has_ipv4 = any(family == socket.AF_INET for each in wanted for family, _ in each)
        for addresses in wanted:
            _bind_host(addresses, port, bound, with_ipv4=not has_ipv4)
    except OSError as error:
        for each in bound:
            each.close()
        raise StartRefused(
            f"Cannot listen on {hosts}, port {port} ({error.strerror or error}); choose another "
            "port with --port (0 for any free one), or other addresses with PLAYHALL_HOST."
        ) from error
    return bound


def _bind_host(
    addresses: Addresses, port: int, bound: list[socket.socket], *, with_ipv4: bool
) -> None:
    """Bind the addresses of one host, but for those that this machine lacks if it has another."""
    lacking: OSError | None = None
    before = len(bound)
    for family, address in addresses:
        try:
            bound.append(_bind_one(family, address, _port_of(bound) or port, with_ipv4=with_ipv4))
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
    family: socket.AddressFamily, address: str, port: int, *, with_ipv4: bool
) -> socket.socket:
    """Bind one address; `::` takes IPv4 as well, if no IPv4 address is named beside it."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
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


def _url(sock: socket.socket, tls: ssl.SSLContext | None) -> str:
    host, port = sock.getsockname()[:2]
    return socket_url("https" if tls else "http", host, port)


def _is_wildcard(sock: socket.socket) -> bool:
    return sock.getsockname()[0] in WILDCARDS


def _tls(config: Config) -> ssl.SSLContext | None:
    if config.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.tls_certificate, config.tls_key)
    except OSError as error:  # ssl.SSLError is one
        raise StartRefused(
            f"The TLS certificate {config.tls_certificate} or its key cannot be used: {error}; "
            "PLAYHALL_TLS_CERTIFICATE and PLAYHALL_TLS_KEY name PEM files."
        ) from error
    return context


async def _go_away(app: App) -> None:
    """Finish what is under way, give the games back, and ask everybody to come again."""
    await app.stop()
    sessions = app.services.sessions
    for n, session in enumerate(list(sessions), 1):
        pause_ms = random.randint(0, RECONNECT_WITHIN_MS)  # noqa: S311 - to spread them
        why = CloseReason.GOING_AWAY
        with contain_failures("closing a connection"):
            sessions.dismiss(session, why, "This server is stopping.", pause_ms=pause_ms)
        if n % CLOSE_GROUP == 0:
            await asyncio.sleep(CLOSE_GROUP_PAUSE_S)
