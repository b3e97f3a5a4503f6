"""Rematches and series: everything that the domain offers."""

from functools import partial
from typing import Final

from persistence.series.store import SeriesStore
from protocol.domain_events import GameCompleted
from server.core.event_delivery import DurableListener
from server.core.retention import RetentionSweep
from server.domains.contract import Domain, Job
from server.domains.interfaces import MatchLobbies
from server.domains.play.series.commands import SeriesCommands
from server.domains.play.series.service import SeriesService
from server.domains.services import Services

KEPT_S: Final = 604_800.0  # after its last change


def build(services: Services) -> Domain:
    """Put the domain together."""
    store = SeriesStore(services.database)
    service = SeriesService(store, services.interfaces.get(MatchLobbies), services.sessions)
    return Domain(
        name="series",
        commands=SeriesCommands(service).routes(),
        durable=[
            DurableListener(
                "series",
                {GameCompleted: service.count_completed},
                {GameCompleted: service.pass_over_games},
            )
        ],
        jobs=[Job("series", service.run)],
        retention=[RetentionSweep("series", partial(store.delete_old, KEPT_S))],
    )
