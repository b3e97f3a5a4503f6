"""Matchmaking: everything that the domain offers."""

from persistence.matchmaking.store import MatchStore
from server.core.events import PlayerConnected, PlayerDisconnected
from server.domains.contract import Domain, Job
from server.domains.interfaces import MatchLobbies, PlayerRatings
from server.domains.play.matchmaking.commands import MatchCommands
from server.domains.play.matchmaking.jobs import Matchmaker
from server.domains.play.matchmaking.rules import SearchRules
from server.domains.play.matchmaking.service import MatchmakingService
from server.domains.play.matchmaking.settings import MatchmakingSettings
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings = services.settings(MatchmakingSettings)
    rules = SearchRules(
        window=settings.window,
        window_per_s=settings.window_per_s,
        window_max=settings.window_max,
        region_s=settings.region_s,
        bots_after_s=settings.bots_after_s,
    )
    store, lobbies = MatchStore(services.database), services.interfaces.get(MatchLobbies)
    service = MatchmakingService(
        store=store,
        lobbies=lobbies,
        ratings=services.interfaces.get(PlayerRatings),
        sessions=services.sessions,
        rules=rules,
        tickets_max=settings.tickets_max,
        clock=services.clock,
    )
    matchmaker = Matchmaker(
        store=store,
        lobbies=lobbies,
        service=service,
        rulesets=services.rulesets,
        rules=rules,
        accept_s=settings.accept_s,
        grace_s=settings.grace_s,
    )
    return Domain(
        name="matchmaking",
        settings=MatchmakingSettings,
        commands=MatchCommands(service).routes(),
        listens={
            PlayerConnected: lambda event: service.player_connected(event.player_id),
            PlayerDisconnected: lambda event: service.player_disconnected(event.player_id),
        },
        jobs=[Job("matchmaking", matchmaker.run)],
        metrics=[
            MetricsCollector(
                gauges=[
                    MetricSource("match_waiting", "People who wait for a match.", service.waiting)
                ],
                counters=[
                    MetricSource(
                        "matches_found", "Matches that were found here.", lambda: matchmaker.found
                    ),
                    MetricSource(
                        "matches_started",
                        "Matches whose game was started here.",
                        lambda: matchmaker.started,
                    ),
                ],
            )
        ],
    )
