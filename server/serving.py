"""A node's life: open the database, listen, serve, and go away without losing anything."""

import asyncio
import gc
import logging
import random
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from compiled import loader
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
from server.core.settings import SettingsReader
from server.core.tasks import Tasks
from server.domains.contract import Build
from server.domains.services import Services, build_broker
from server.gamekit.fold import AnyRuleset
from server.gateway.transport.http_connection import http_runner
from server.listening import bind, bind_own_port
from server.ops.observability.install import Observation, observing
from server.ops.reload_rulesets import RulesetReloader

log = logging.getLogger(__name__)

BACKLOG = 4096
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

    def ask(self) -> None:
        """Ask, however often."""
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


class SupervisorPipe(asyncio.Protocol):
    """The pipe to a worker's supervisor, which closes when that ends."""

    def __init__(self, stop: StopRequest) -> None:
        self._stop = stop

    def connection_lost(self, _: Exception | None) -> None:
        """Go away: nobody would start this worker again, or stop it."""
        self._stop.ask()


async def serve(
    config: Config,
    dsn: str,
    *,
    rulesets: dict[str, AnyRuleset],
    settings: SettingsReader,
    titles: Sequence[Build] = (),
    ready: Callable[[str], None],
    keep_database: Callable[[], Coroutine[Any, Any, None]] | None = None,
    worker: int | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP; `ready` gets the address once clients may come.

    A `worker` shares the port with others, and goes away with its supervisor, which holds the other
    end of its standard input.

    A second signal ends the loop with `StoppedBySecondSignal`, whatever is under way.
    `keep_database` looks after a database of the node's own; the node goes away when it raises
    `StartRefused`, which is raised from here in the end.
    """
    stop = StopRequest()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(count_unhandled)
    for number in handled_signals():
        loop.add_signal_handler(number, stop.on_signal, number)
    if worker is not None:
        await loop.connect_read_pipe(partial(SupervisorPipe, stop), sys.stdin)
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
            worker=worker,
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
    worker: int | None,
) -> None:
    broker = build_broker(config)
    opened = partial(
        Database.open, dsn, pool_max=config.database_pool, allow_unsafe=config.unsafe_database
    )
    async with (
        AsyncExitStack() as observers,  # the last to end: what ends before may still be traced
        await opened(role=SERVER_ROLE) as database,
        await opened(role=ANONYMOUS_ROLE) as anonymous,
        Tasks() as tasks,
    ):
        with NodeName(_folder_of_name(config, worker)) as node:
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
            _log_build()
            observation = await observers.enter_async_context(observing(config, node))
            app = App(base, collectors=observation.collectors)
            if config.reload_rulesets:
                reloader = RulesetReloader(rulesets, config.ruleset_directories())
                tasks.start_loop(reloader.run(), name="reloading of rulesets")
            async with _listening(app, config, worker, observation) as url:
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


def _log_build() -> None:
    if loader.IS_IN_USE:
        log.info("the path of a move is compiled")
    elif loader.PROBLEM is not None:
        log.warning("the compiled build is not used: %s", loader.PROBLEM)


@asynccontextmanager
async def _listening(
    app: App, config: Config, worker: int | None, observation: Observation
) -> AsyncIterator[str]:
    http = app.http()
    observation.observe_http(http)
    runner = http_runner(http)
    await runner.setup()
    assert runner.server is not None
    listener = app.listener(runner.server)
    tls = _tls(config)
    bound = bind(config.host, config.port, shared=worker is not None)
    own = bound
    if worker is not None:
        own = bind_own_port(config.host, config.port, worker)
    servers = [
        await _listen(listener.protocol, each, tls)
        for each in (bound if worker is None else bound + own)
    ]
    url = _url(servers[0].sockets[0], tls)
    if not config.public_url and _is_wildcard(servers[0].sockets[0]):
        log.warning(
            "clients are sent the address %s, which only this machine can reach; "
            "set PLAYHALL_PUBLIC_URL to where others reach it",
            url,
        )
    try:
        await app.start(config.public_url or _url(own[0], tls))
        _settle_garbage()
        for server in servers:
            await server.start_serving()
        yield url
    finally:
        for server in servers:
            server.close()
        await listener.close_all(CloseReason.GOING_AWAY)
        await runner.cleanup()


def _folder_of_name(config: Config, worker: int | None) -> Path:
    """Say where a node's name is kept: each worker has one, and keeps it when it is restarted."""
    return config.data_dir if worker is None else config.data_dir / "workers" / str(worker)


def _settle_garbage() -> None:
    """Have the collector pass over what stays as long as the server, and work from here on."""
    gc.collect()
    gc.freeze()
    gc.enable()


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
