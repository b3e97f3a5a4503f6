"""A node's life: open the database, listen, serve, and go away without losing anything."""

import asyncio
import gc
import logging
import random
import signal
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from persistence.behalf import ANONYMOUS_ROLE, Behalf
from persistence.database import SERVER_ROLE, Database
from persistence.refusals import StartRefused
from persistence.signals import handled
from protocol.errors import CloseReason, Overloaded, Unavailable
from server.app import App
from server.config import Config
from server.foundation import Foundation
from server.gamekit.fold import AnyRuleset
from server.kernel.clock import Clock
from server.kernel.node import NodeName
from server.kernel.stopping import StoppedAtOnce
from server.kernel.tasks import Tasks

log = logging.getLogger(__name__)

BACKLOG = 4096
GARBAGE_OBJECTS = 50_000
TLS_HANDSHAKE_TIMEOUT_S = 5.0
DRAIN_TIMEOUT_S = 10.0
RECONNECT_WITHIN_MS = 3000
CLOSE_GROUP = 200
CLOSE_GROUP_PAUSE_S = 0.05


class Stop:
    """Tells a node to go away: asked by a signal, or forced by a database that is gone."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._why: StartRefused | None = None

    def signalled(self, number: signal.Signals) -> None:
        """Ask; a second SIGTERM or SIGINT raises `StoppedAtOnce`.

        SIGHUP hurries nobody: when a terminal closes, it comes more than once.
        """
        if self._asked.is_set() and number != signal.SIGHUP:
            raise StoppedAtOnce(number)
        self._asked.set()

    async def wait(self) -> None:
        """Return once the node has to go away."""
        await self._asked.wait()

    async def without(self, database: Coroutine[Any, Any, None]) -> None:
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
    ready: Callable[[str], None],
    keep_database: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP; `ready` is told the address once clients may come.

    A second signal ends the loop with `StoppedAtOnce`, whatever is under way. `keep_database`
    looks after a database of the node's own; the node goes away when it raises `StartRefused`,
    which is raised from here in the end.
    """
    stop = Stop()
    loop = asyncio.get_running_loop()
    for number in handled():
        loop.add_signal_handler(number, stop.signalled, number)
    async with Tasks() as keeper:
        if keep_database is not None:
            keeper.loop(stop.without(keep_database()), name="the bundled database")
        await _serve(config, dsn, rulesets=rulesets, ready=ready, stop=stop)
    stop.check()


async def _serve(
    config: Config,
    dsn: str,
    *,
    rulesets: dict[str, AnyRuleset],
    ready: Callable[[str], None],
    stop: Stop,
) -> None:
    async with (
        _database(config, dsn, role=SERVER_ROLE) as database,
        _database(config, dsn, role=ANONYMOUS_ROLE) as anonymous,
        Tasks() as tasks,
    ):
        with NodeName(config.data_dir) as node:
            base = Foundation(config, database, Behalf(anonymous), node, Clock(), tasks, rulesets)
            app = App(base)
            async with _listening(app, config) as url:
                ready(url)
                await stop.wait()
                log.info("going away: no new games, finishing what is under way; again to hurry")
                await _go_away(app)


@asynccontextmanager
async def _database(config: Config, dsn: str, *, role: str) -> AsyncIterator[Database]:
    database = await Database.open(
        dsn,
        role=role,
        pool_max=config.database_pool,
        allow_unsafe=config.unsafe_database,
    )
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def _listening(app: App, config: Config) -> AsyncIterator[str]:
    runner = web.AppRunner(app.http(), access_log=None, handle_signals=False)
    await runner.setup()
    assert runner.server is not None
    door = app.open_door(runner.server)
    tls = _tls(config)
    server = await _bind(door.protocol, config, tls)
    host, port = server.sockets[0].getsockname()[:2]
    url = f"{'https' if tls else 'http'}://{host}:{port}"
    try:
        await app.start(config.public_url or url)
        _settle_garbage()
        await server.start_serving()
        yield url
    finally:
        server.close()
        await door.close_all(CloseReason.GOING_AWAY)
        await runner.cleanup()


def _settle_garbage() -> None:
    """Look for garbage in cycles less often: hardly anything here makes any."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS)


async def _bind(
    protocol: Callable[[], asyncio.Protocol], config: Config, tls: ssl.SSLContext | None
) -> asyncio.Server:
    try:
        return await asyncio.get_running_loop().create_server(
            protocol,
            config.host,
            config.port,
            backlog=BACKLOG,
            ssl=tls,
            ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT_S if tls else None,
            start_serving=False,
        )
    except OSError as error:
        raise StartRefused(
            f"Cannot listen on {config.host}:{config.port} ({error.strerror or error}); "
            "choose another port with --port, 0 for any free one."
        ) from error


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
    """Finish what is under way, give the games back, and tell everybody to come again."""
    app.hosting.suspend()
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT_S):
            await app.log.drain()
    except TimeoutError:
        log.warning("some events were not committed; nobody was told that they were")
    try:
        await app.lease.release()
    except (Overloaded, Unavailable):
        log.warning("the lease could not be given back; other nodes wait until it runs out")
    for n, session in enumerate(list(app.sessions), 1):
        pause_ms = random.randint(0, RECONNECT_WITHIN_MS)  # noqa: S311 - to spread them
        why = CloseReason.GOING_AWAY
        app.sessions.dismiss(session, why, "This server is stopping.", pause_ms=pause_ms)
        if n % CLOSE_GROUP == 0:
            await asyncio.sleep(CLOSE_GROUP_PAUSE_S)
