"""Leaderboards: everything that the domain offers."""

from functools import partial

from persistence.leaderboards.store import BoardStore
from protocol.domain_events import GameCompleted
from server.core.event_delivery import DurableListener
from server.core.retention import RetentionSweep
from server.domains.compete.leaderboards.http import BoardRoutes
from server.domains.compete.leaderboards.service import BoardCounter, BoardEditor, BoardReader
from server.domains.compete.leaderboards.settings import BoardsSettings
from server.domains.contract import Domain
from server.domains.interfaces import FollowedPlayers
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings, clock = services.settings(BoardsSettings), services.clock
    store = BoardStore(services.database)
    counter = BoardCounter(store, services.rulesets)
    friends = services.interfaces.get(FollowedPlayers)
    reader = BoardReader(store, services.rulesets, friends, clock.now)
    editor = BoardEditor(store, reader, clock.now)
    return Domain(
        name="leaderboards",
        settings=BoardsSettings,
        endpoints=BoardRoutes(store, reader, editor, clock).endpoints(),
        durable=[
            DurableListener(
                "leaderboards",
                {GameCompleted: counter.count_completed},
                {GameCompleted: counter.count_all},
            )
        ],
        metrics=[
            MetricsCollector(
                counters=[
                    MetricSource(
                        "board_games",
                        "Games that were counted for leaderboards here.",
                        lambda: counter.counted,
                    )
                ]
            )
        ],
        retention=[
            RetentionSweep("board_entries", partial(store.delete_ended, settings.days_kept_s))
        ],
    )
