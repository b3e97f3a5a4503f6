"""Tournaments: everything that the domain offers."""

from persistence.tournaments.store import TournamentStore
from protocol.domain_events import GameCompleted
from server.core.event_delivery import DurableListener
from server.domains.compete.tournaments.http import TournamentRoutes
from server.domains.compete.tournaments.jobs import TournamentJobs
from server.domains.compete.tournaments.service import TournamentService
from server.domains.compete.tournaments.streams import TournamentStreams
from server.domains.contract import Domain, Job
from server.domains.interfaces import Games, SeatedGames
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    seated_games = services.interfaces.get(SeatedGames)
    store = TournamentStore(services.database)
    streams = TournamentStreams(services.subscriptions, store)
    service = TournamentService(
        store=store,
        streams=streams,
        games=seated_games,
        rulesets=services.rulesets,
        clock=services.clock,
    )
    jobs = TournamentJobs(
        store=store,
        streams=streams,
        seated_games=seated_games,
        games=services.interfaces.get(Games),
    )
    return Domain(
        name="tournaments",
        commands=streams.routes(),
        endpoints=TournamentRoutes(service, store, services.clock).endpoints(),
        durable=[
            DurableListener(
                "tournaments",
                {GameCompleted: service.record_game},
                {GameCompleted: service.pass_over_games},
            )
        ],
        metrics=[
            MetricsCollector(
                gauges=[
                    MetricSource(
                        "tournaments_watched",
                        "Tournaments that connections of this node watch.",
                        lambda: len(streams),
                    ),
                ],
                counters=[
                    MetricSource(
                        "tournaments_advanced",
                        "Steps of tournaments that this node took.",
                        lambda: jobs.advanced_total,
                    ),
                    MetricSource(
                        "tournament_games",
                        "Games of tournaments that this node started.",
                        lambda: jobs.started_total,
                    ),
                    MetricSource(
                        "tournament_results",
                        "Results of tournaments that this node counted.",
                        lambda: service.results_total,
                    ),
                ],
            )
        ],
        jobs=[Job("tournaments", jobs.run)],
    )
