"""One node's server: the list of its domains, and what mounts them."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from shutil import disk_usage
from typing import Final

import orjson
from aiohttp import web
from prometheus_client.registry import Collector
from pydantic_settings import BaseSettings

from persistence.errors import StartRefused
from persistence.event_outbox import EventOutbox
from protocol.asyncapi import asyncapi_document
from protocol.history import Status
from protocol.limits import SUBPROTOCOL
from protocol.operations import EffectiveSettings
from server.config import Config
from server.core.containment import FAILURES
from server.core.database_clock import DatabaseClock
from server.core.event_delivery import OutboxDeliverer
from server.core.loop_watch import LoopWatch
from server.core.retention import RetentionJob, RetentionSweep
from server.core.settings import nearest_variable, split_names, unread_variables, variable_names
from server.domains.compete.blockchain.domain import build as blockchain
from server.domains.compete.bots.domain import build as bots
from server.domains.compete.epochs.domain import build as epochs
from server.domains.compete.leaderboards.domain import build as leaderboards
from server.domains.compete.ratings.domain import build as ratings
from server.domains.compete.tournaments.domain import build as tournaments
from server.domains.content.blueprints.domain import build as blueprints
from server.domains.content.files.domain import build as files
from server.domains.content.images.domain import build as images
from server.domains.content.storage.domain import build as storage
from server.domains.contract import Build, Domain
from server.domains.integrations.realtime.domain import build as realtime
from server.domains.integrations.rest.domain import build as rest
from server.domains.integrations.webhooks.domain import build as webhooks
from server.domains.interfaces import Authenticator, Games, GameTotals, LobbyAccess
from server.domains.people.accounts.domain import build as accounts
from server.domains.people.presence.domain import build as presence
from server.domains.people.profiles.domain import build as profiles
from server.domains.play.chat.domain import build as chat
from server.domains.play.games.domain import build as games
from server.domains.play.history.domain import build as history
from server.domains.play.lobbies.domain import build as lobbies
from server.domains.play.matchmaking.domain import build as matchmaking
from server.domains.play.series.domain import build as series
from server.domains.play.signaling.domain import build as signaling
from server.domains.progression.achievements.domain import build as achievements
from server.domains.progression.command_saves.domain import build as command_saves
from server.domains.progression.inventory.domain import build as inventory
from server.domains.progression.packages.domain import build as packages
from server.domains.progression.quests.domain import build as quests
from server.domains.progression.saves.domain import build as saves
from server.domains.progression.slot_games.domain import build as slot_games
from server.domains.progression.telemetry.domain import build as telemetry
from server.domains.services import Services, watch_replica
from server.domains.social.collaborations.domain import build as collaborations
from server.domains.social.companions.domain import build as companions
from server.domains.social.creations.domain import build as creations
from server.domains.social.feed.domain import build as feed
from server.domains.social.follows.domain import build as follows
from server.domains.social.maintenance.domain import build as maintenance
from server.domains.social.notifications.domain import build as notifications
from server.domains.social.reactions.domain import build as reactions
from server.domains.social.reports.domain import build as reports
from server.domains.social.subscriptions.domain import build as subscriptions
from server.gateway.http.cors import install_cors
from server.gateway.http.endpoints import Endpoint, build_http
from server.gateway.http.hsts import install_hsts
from server.gateway.http.openapi import openapi_document
from server.gateway.metrics import (
    ErrorCollector,
    MetricsCollector,
    MetricSource,
    broker_metrics,
    loop_metrics,
    metrics_writer,
    node_call_metrics,
)
from server.gateway.session.sessions import merge_routes
from server.gateway.transport.limits import TransportLimits, connections_per_address
from server.gateway.transport.listener import Listener, WebSocketRoute
from server.gateway.transport.proxies import Proxies, trust_proxies
from server.ops.admin_http import OperatorRoutes
from server.ops.effective_settings import describe_settings
from server.ops.http import OperationRoutes
from server.rulesets import find_views
from server.version import VERSION
from server.web.pages import add_pages

log = logging.getLogger(__name__)

WEBSOCKET_PATH = "/ws"

# Each is built of the services and of what those before it provide. In this order they start.
DOMAINS: Final[Sequence[Build]] = (
    accounts,
    bots,
    presence,
    games,
    lobbies,
    chat,
    signaling,
    history,
    images,
    files,
    blueprints,
    storage,
    profiles,
    blockchain,
    epochs,
    tournaments,
    webhooks,
    saves,
    inventory,
    quests,
    slot_games,
    achievements,
    command_saves,
    packages,
    telemetry,
    companions,
    notifications,
    creations,
    collaborations,
    reactions,
    follows,
    feed,
    reports,
    subscriptions,
    maintenance,
    leaderboards,
    ratings,
    matchmaking,
    series,
    rest,
    realtime,
)


class App:
    """The domains of one node, mounted on its one port."""

    def __init__(self, services: Services, *, collectors: Sequence[Collector] = ()) -> None:
        self.services = services
        self._observed = collectors  # of what is only observed where an operator asks for it
        self._started_at = services.clock.monotonic()
        self._listener: Listener | None = None
        self.domains: list[Domain] = []
        self._variables = set(variable_names(Config))
        for build in (*DOMAINS, *services.titles):
            self._mount(build(services))
        self._database_clock = DatabaseClock(services.database, services.clock)
        self._loop_watch = LoopWatch()
        self._outbox = outbox = EventOutbox(services.database)
        config = services.config
        self._events = OutboxDeliverer(
            outbox,
            tuple(each for domain in self.domains for each in domain.durable),
            now=services.clock.monotonic,
        )
        clear_events = partial(
            outbox.delete_delivered, config.events_kept_s, dead_kept_s=config.events_dead_kept_s
        )
        self.retention = RetentionJob(
            [
                RetentionSweep("event_outbox", clear_events),
                *(sweep for domain in self.domains for sweep in domain.retention),
            ],
            now=services.clock.monotonic,
        )
        services.sessions.routes = merge_routes(*(domain.commands for domain in self.domains))

    def _mount(self, domain: Domain) -> None:
        for interface, implementation in domain.provides:
            self.services.interfaces.provide(interface, implementation)
        self.services.events.add_listeners(domain.listens)
        if domain.settings is not None:
            self._claim(domain.settings, of=domain.name)
        self.domains.append(domain)

    def _claim(self, settings: type[BaseSettings], *, of: str) -> None:
        variables = set(variable_names(settings))
        if taken := sorted(variables & self._variables):
            raise StartRefused(
                f"The domain {of!r} has the setting {taken[0]}, which is another's; give its "
                "settings an env_prefix of their own."
            )
        self._variables |= variables

    # ------------------------------------------------------------------ a node's life

    async def start(self, address: str) -> None:
        """Start every domain, then its jobs; raise `StartRefused`.

        `address` is where clients reach this node.
        """
        for name in unread_variables(self._variables):
            meant = nearest_variable(name, self._variables)
            hint = f"did you mean {meant}?" if meant else "see docs/reference/settings.md"
            log.warning("%s is set, but nothing reads it; %s", name, hint)
        services = self.services
        services.address.url = address
        await self._database_clock.follow_once()
        for domain in self.domains:
            for check in domain.checks:
                await check()
        for domain in self.domains:
            for start in domain.start:
                await start()
        tasks = services.tasks
        tasks.start_loop(self._database_clock.run(), name="clock")
        tasks.start_loop(self._loop_watch.run(), name="watch of the loop")
        tasks.start_loop(services.broker.run(), name="broker")
        tasks.start_loop(services.subscriptions.run(), name="subscriptions")
        if services.config.database_replica_url is not None:
            tasks.start_loop(watch_replica(services.replica), name="replica")
        tasks.start_loop(services.passwords.run(), name="password hashing")
        tasks.start_loop(services.sessions.close_silent(), name="silent connections")
        tasks.start_loop(self._events.run(), name="events")
        tasks.start_loop(self.retention.run(), name="retention")
        for domain in self.domains:
            for job in domain.jobs:
                tasks.start_loop(job.run(), name=job.name)

    async def stop(self) -> None:
        """Have the domains finish what is under way, each within a bound of its own."""
        for domain in self.domains:
            for stop in domain.stop:
                await stop()

    # ------------------------------------------------------------------ the port

    def http(self) -> web.Application:
        """Make the application behind every address that is no websocket."""
        config = self.services.config
        authenticate = self.services.interfaces.get(Authenticator).authenticate
        app = build_http(
            self.endpoints(), authenticate, self.services.error_counts.counting("http")
        )
        add_pages(app, find_views(self.services.rulesets), split_names(config.origins))
        for domain in self.domains:
            for mount in domain.mounts:
                mount(app)
        install_cors(app, split_names(config.origins))
        if config.hsts_s and (config.tls_certificate or config.public_url.startswith("https://")):
            install_hsts(app, config.hsts_s)
        trust_proxies(app, self._proxies())
        return app

    def listener(self, http: web.Server) -> Listener:
        """Make what listens for HTTP and websockets on one port."""
        config, services = self.services.config, self.services
        limits = TransportLimits(
            connections_max=config.connections_max,
            connections_per_address_max=(
                config.connections_per_address_max
                or connections_per_address(config.connections_max)
            ),
            keepalive_timeout_s=config.keepalive_timeout_s,
            body_timeout_s=config.body_timeout_s,
            write_timeout_s=config.write_timeout_s,
            outbox_bytes_max=config.outbox_bytes_max,
        )
        websockets = {
            WEBSOCKET_PATH: WebSocketRoute(
                lambda _: services.sessions.create_session(), SUBPROTOCOL
            )
        }
        for domain in self.domains:
            websockets |= domain.websockets
        self._listener = Listener(
            http=http,
            websockets=websockets,
            limits=limits,
            origins=frozenset(split_names(config.origins)),
            proxies=self._proxies(),
            count_refusal=services.error_counts.counting("http"),
        )
        return self._listener

    def _proxies(self) -> Proxies:
        return Proxies.parse(split_names(self.services.config.trusted_proxies))

    # ------------------------------------------------------------------ what can be asked

    def endpoints(self) -> list[Endpoint]:
        """List the addresses of all domains, with those that describe them."""
        listed = [endpoint for domain in self.domains for endpoint in domain.endpoints]
        games = self.services.interfaces.get(Games)
        operations = OperationRoutes(
            probe=self._probe,
            draining=lambda: games.draining,
            status=self._status,
            metrics=metrics_writer(*self.collectors()),
            openapi=lambda: orjson.dumps(openapi_document(listed, version=VERSION)),
            asyncapi=lambda: orjson.dumps(asyncapi_document(version=VERSION)),
        )
        listed += operations.endpoints()  # which describe themselves as well
        listed += OperatorRoutes(
            services=self.services,
            outbox=self._outbox,
            settings=self._settings_in_force,
        ).endpoints()
        return listed

    def _settings_in_force(self) -> EffectiveSettings:
        services = self.services
        read: list[tuple[str | None, BaseSettings]] = [(None, services.config)]
        read += (
            (domain.name, services.settings(domain.settings))
            for domain in self.domains
            if domain.settings is not None
        )
        return describe_settings(services.node, read, known=self._variables)

    # ------------------------------------------------------------------ how it is doing

    async def _probe(self) -> None:
        async with self.services.database.acquire():
            pass

    async def _status(self) -> Status:
        services = self.services
        totals = await services.interfaces.get(GameTotals).read()
        return Status(
            version=VERSION,
            node=services.node,
            connections=len(services.sessions),
            games=len(services.interfaces.get(Games)),
            lobbies=services.interfaces.get(LobbyAccess).count_followed(),
            events_total=totals.events,
            games_completed_total=totals.games_completed,
            uptime_s=round(services.clock.monotonic() - self._started_at, 1),
        )

    def collectors(self) -> list[Collector]:
        """List what reads the metrics of the node and of all domains."""
        services = self.services
        of_the_node = MetricsCollector(
            gauges=(
                MetricSource("connections", "Open TCP connections.", self._connections),
                MetricSource(
                    "clock_ahead_seconds",
                    "By how much the machine's clock is ahead of the database's.",
                    self._database_clock.ahead_s,
                ),
                MetricSource("sessions", "Open websockets.", lambda: len(services.sessions)),
                MetricSource("tasks", "Running tasks.", lambda: len(services.tasks)),
                MetricSource("data_dir_bytes", "Size of the data folder's disk.", self._disk_size),
                MetricSource("data_dir_free_bytes", "Free there.", self._disk_free),
            ),
            counters=(
                MetricSource(
                    "commands", "Commands that were understood.", lambda: services.sessions.commands
                ),
                MetricSource("task_failures", "Tasks that failed.", self._failures),
                MetricSource("bytes_out", "Bytes written to websockets.", self._bytes_out),
            ),
        )
        return [
            of_the_node,
            *loop_metrics(self._loop_watch),
            ErrorCollector(lambda: services.error_counts.counts),
            broker_metrics(services.subscriptions, is_configured=bool(services.config.redis_url)),
            *([] if services.config.database_replica_url is None else [self._of_the_replica()]),
            node_call_metrics(services.calls),
            self._events.collector,
            self.retention,
            *self._observed,
            *(each for domain in self.domains for each in domain.metrics),
        ]

    def _of_the_replica(self) -> Collector:
        replica = self.services.replica
        return MetricsCollector(
            gauges=(
                MetricSource(
                    "replica_lag_seconds", "How far the standby is behind.", lambda: replica.lag_s
                ),
            ),
            counters=(
                MetricSource("replica_reads", "Reads of the standby.", lambda: replica.reads),
                MetricSource(
                    "replica_fallbacks",
                    "Reads of the primary that could have been the standby's.",
                    lambda: replica.fallbacks,
                ),
            ),
        )

    def _connections(self) -> int:
        return self._listener.connections if self._listener is not None else 0

    def _bytes_out(self) -> int:
        return self._listener.bytes_out if self._listener is not None else 0

    def _disk_size(self) -> int:
        return disk_usage(self._existing_folder()).total

    def _disk_free(self) -> int:
        return disk_usage(self._existing_folder()).free

    def _existing_folder(self) -> Path:
        """Give the data folder or, until it is made, where it will be."""
        folder = self.services.config.data_dir.absolute()
        return next(each for each in (folder, *folder.parents) if each.exists())

    def _failures(self) -> int:
        return FAILURES.total + self.services.broker.metrics.failures
