"""Games: everything that the domain offers."""

import asyncio
import logging
from contextlib import suppress
from functools import partial
from typing import Any

from persistence.eventlog.completion import XpRule
from persistence.eventlog.writer import EventLogWriter
from persistence.games.administration import GameAdministrationStore
from persistence.games.directory import RoomDirectoryStore
from persistence.games.store import GameStore
from protocol.errors import Overloaded, Unavailable
from protocol.ids import GameId, LobbyId, PlayerId
from server.core.events import MemberKicked, PlayerDisconnected, WatcherExcluded
from server.core.rules_watch import RulesWatch
from server.core.subscriptions import TopicKind
from server.domains.contract import Domain, Job, provide
from server.domains.interfaces import (
    CompletedGames,
    GameChat,
    Games,
    GameSeats,
    GameTotals,
    LobbyAccess,
)
from server.domains.play.games.access import GameAccess
from server.domains.play.games.admin_http import GameAdminRoutes
from server.domains.play.games.administration import GameAdministration
from server.domains.play.games.commands import GameCommands
from server.domains.play.games.completed_games import CompletedGameReader
from server.domains.play.games.directory import DirectoryMaintenance, DirectoryRoutes
from server.domains.play.games.http import GameRoutes
from server.domains.play.games.metrics import game_metrics, lease_metrics
from server.domains.play.games.node_lease import NodeLease
from server.domains.play.games.placement import LoadMeter, Placement
from server.domains.play.games.presence import GamePresence
from server.domains.play.games.registry import GameRegistry, GameRegistryConfig
from server.domains.play.games.settings import GameSettings
from server.domains.play.games.totals import CachedTotals
from server.domains.services import Services

log = logging.getLogger(__name__)

ADOPT_EVERY_S = 1.0
UNLOAD_EVERY_S = 30.0
DRAIN_TIMEOUT_S = 10.0


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings = services.settings(GameSettings)
    clock, tasks = services.clock, services.tasks
    store = GameStore(
        services.database,
        node=services.node,
        objects=services.objects,
        replica=services.replica,
    )
    totals = CachedTotals(store.count_totals, tasks=tasks, now=clock.monotonic)
    event_log = EventLogWriter(
        services.database,
        writers=settings.writers,
        xp=XpRule(settings.xp_per_game, settings.xp_per_win),
    )
    directory = RoomDirectoryStore(services.database, public=services.rls.anonymous)
    directory_maintenance = DirectoryMaintenance(directory)

    def may_serve() -> bool:  # the lease needs the games, and they the lease
        return lease.is_good()

    meter = LoadMeter(
        games=lambda: len(games),
        connections=lambda: len(services.sessions),
        is_draining=lambda: games.draining,
        rulesets=services.rulesets,
    )
    completed_games = CompletedGameReader(store, services.rulesets)
    games = GameRegistry(
        config=GameRegistryConfig(services.node, settings.bot_pause_s, settings.idle_game_s),
        store=store,
        log=event_log,
        clock=clock,
        tasks=tasks,
        rulesets=services.rulesets,
        subscriptions=services.subscriptions,
        events=services.events,
        may_serve=may_serve,
        seats_changed=directory_maintenance.note_change,
        calls=services.calls,
        placement=Placement(store, services.calls, meter) if settings.spread_games else None,
        on_completed=completed_games.note_completed,
    )
    lease = NodeLease(
        store,
        clock=clock,
        lease_s=settings.lease_s,
        address=services.address,
        returned=games.unload_lost,
        load=meter.read,
    )
    presence = GamePresence(games, services.sessions)
    access = GameAccess(
        registry=games,
        store=store,
        may_watch=partial(_may_watch, services),
        clock=clock,
    )
    commands = GameCommands(
        registry=games,
        store=store,
        rulesets=services.rulesets,
        access=access,
        subscriptions=services.subscriptions,
        clock=clock,
        calls=services.calls,
        lease_s=settings.lease_s,
    )
    endpoints = GameRoutes(
        access=access,
        store=store,
        rulesets=services.rulesets,
        faults=games.faults,
        now=clock.monotonic,
    )

    administration = GameAdministration(
        store=GameAdministrationStore(services.database),
        games=store,
        registry=games,
        rulesets=services.rulesets,
        subscriptions=services.subscriptions,
        events=services.events,
    )
    watch = RulesWatch(
        limit_s=settings.rules_limit_s, room_bytes=settings.rules_memory_mb * 1_048_576
    )

    async def start() -> None:
        watch.start()
        await lease.renew()
        with suppress(Unavailable):  # else they are read once somebody asks
            await totals.read()

    async def stop() -> None:
        games.stop_accepting()
        with suppress(Overloaded, Unavailable):
            await lease.renew()  # which says that it takes no more games
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT_S):
                await event_log.drain()
        except TimeoutError:
            log.warning("some events were not committed; none of them was acknowledged")
        try:
            await lease.release()
        except (Overloaded, Unavailable):
            log.warning("the lease could not be released; other nodes wait until it expires")
        watch.stop()

    return Domain(
        name="games",
        settings=GameSettings,
        commands=commands.routes(),
        endpoints=[
            *DirectoryRoutes(directory).endpoints(),
            *endpoints.endpoints(),
            *GameAdminRoutes(administration).endpoints(),
        ],
        listens={
            PlayerDisconnected: lambda event: presence.player_disconnected(event.player_id),
            MemberKicked: presence.member_kicked,
            WatcherExcluded: lambda event: presence.exclude_watcher(event.game_id, event.player_id),
        },
        metrics=[*game_metrics(games, event_log), lease_metrics(lease)],
        provides=(
            provide(Games, games),
            provide(GameSeats, access),
            provide(GameTotals, totals),
            provide(CompletedGames, completed_games),
            provide(GameChat, _Chat(commands, access)),
        ),
        start=[start],
        jobs=[
            Job("log", event_log.run),
            Job("lease", lease.keep_renewing),
            Job("adoption", partial(games.keep_adopting, every_s=ADOPT_EVERY_S)),
            Job("idle games", partial(games.keep_unloading_idle, every_s=UNLOAD_EVERY_S)),
            Job("followers elsewhere", commands.owner.keep_forgetting),
            Job("directory of games", directory_maintenance.run),
        ],
        stop=[stop],
    )


async def _may_watch(services: Services, lobby_id: LobbyId, player_id: PlayerId | None) -> bool:
    # Lobbies are built after games, which they start.
    return await services.interfaces.get(LobbyAccess).may_watch(lobby_id, player_id)


class _Chat:
    def __init__(self, commands: GameCommands, access: GameAccess) -> None:
        self._commands = commands
        self._access = access

    @property
    def chat(self) -> TopicKind[Any]:
        return self._commands.chat

    async def may_speak(self, game_id: GameId, player_id: PlayerId) -> bool:
        return await self._access.may_speak(game_id, player_id)
