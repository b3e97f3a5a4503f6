"""Lobbies: everything that the domain offers."""

from functools import partial
from typing import Final

from persistence.lobbies.store import LobbyStore
from server.core.events import (
    LobbyGameCompleted,
    MemberKicked,
    PlayerConnected,
    PlayerDisconnected,
)
from server.core.retention import RetentionSweep
from server.domains.contract import Domain, Job, provide
from server.domains.interfaces import (
    Games,
    LobbyAccess,
    LobbyChat,
    MatchLobbies,
    MembersKey,
    PeerAdmissions,
    PresenceElsewhere,
    SeatedGames,
    TokenScopes,
)
from server.domains.play.lobbies.admin_http import LobbyAdminRoutes
from server.domains.play.lobbies.commands import LobbyCommands
from server.domains.play.lobbies.http import LobbyRoutes, PeerRoutes
from server.domains.play.lobbies.lobbies import Lobbies
from server.domains.play.lobbies.peers import PeerAccessControl, build_ice_servers
from server.domains.play.lobbies.settings import LobbySettings
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource

PEER_TOKEN_S: Final = 600


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings, games = services.settings(LobbySettings), services.interfaces.get(Games)
    store = LobbyStore(services.database, services.rls)
    lobbies = Lobbies(
        store=store,
        subscriptions=services.subscriptions,
        presence=services.sessions,
        elsewhere=services.interfaces.get(PresenceElsewhere),
        rulesets=services.rulesets,
        start_game=games.create,
        passwords=services.passwords,
        shared_limits=services.shared_limits,
        clock=services.clock,
        tasks=services.tasks,
        events=services.events,
        games_here=games.games_by_lobby,
        quick_play_wait_s=settings.quick_play_wait_s,
        grace_s=settings.lobby_grace_s,
    )
    tokens = services.interfaces.get(TokenScopes)("peer", PEER_TOKEN_S)

    def members_key() -> str:
        # Signaling is built after lobbies, which say whom it lets in.
        return services.interfaces.get(MembersKey)()

    peers = PeerAccessControl(
        store,
        key=members_key,
        ice=build_ice_servers(settings),
        tokens=tokens,
        clock=services.clock,
        server=services.address,
        is_any_node=lambda: services.calls.is_possible,
    )
    peer_routes = PeerRoutes(peers)

    def close(event: LobbyGameCompleted) -> None:
        work = lobbies.publish_game_over(event.lobby_id)
        services.tasks.start_work(work, name="lobby after game")

    return Domain(
        name="lobbies",
        settings=LobbySettings,
        commands={**LobbyCommands(lobbies).routes(), **peer_routes.routes()},
        endpoints=[
            *LobbyRoutes(lobbies).endpoints(),
            *peer_routes.endpoints(),
            *LobbyAdminRoutes(lobbies).endpoints(),
        ],
        listens={
            PlayerConnected: lambda event: lobbies.player_connected(event.player_id),
            PlayerDisconnected: lambda event: lobbies.player_disconnected(event.player_id),
            LobbyGameCompleted: close,
            MemberKicked: lobbies.maintenance.announce_kick,
        },
        metrics=[
            MetricsCollector(
                gauges=[MetricSource("lobbies", "Lobbies in memory.", lobbies.count_followed)]
            ),
        ],
        provides=(
            provide(LobbyAccess, lobbies),
            provide(LobbyChat, lobbies),
            provide(PeerAdmissions, peers),
            provide(MatchLobbies, lobbies.matches),
            provide(SeatedGames, lobbies.seated_games),
        ),
        jobs=[
            Job("lobbies: committing", store.run),
            Job("lobbies", lobbies.maintenance.run),
        ],
        retention=[
            RetentionSweep("lobbies", partial(store.delete_closed, settings.closed_lobbies_kept_s))
        ],
    )
