"""Creations: everything that the domain offers."""

from functools import partial

from persistence.creations.store import CreationStore
from server.core.periodic import repeat_every
from server.core.retention import RetentionSweep
from server.domains.contract import Domain, Job
from server.domains.interfaces import FileUploads
from server.domains.services import Services
from server.domains.social.creations.http import CreationRoutes
from server.domains.social.creations.service import CreationService
from server.domains.social.creations.settings import CreationsSettings
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings = services.settings(CreationsSettings)
    store = CreationStore(services.database, services.rls)
    uploads = services.interfaces.get(FileUploads)
    service = CreationService(store, uploads, services.events.publish)
    flush = partial(repeat_every, settings.views_flush_s, service.flush_views, "adding up views")
    return Domain(
        name="creations",
        settings=CreationsSettings,
        endpoints=CreationRoutes(service, settings, services.clock).endpoints(),
        metrics=[
            MetricsCollector(
                counters=[
                    MetricSource(
                        "creations_published",
                        "Creations published here.",
                        lambda: service.published_total,
                    ),
                    MetricSource(
                        "creation_views",
                        "Views added to the totals here.",
                        lambda: service.views_total,
                    ),
                ]
            )
        ],
        jobs=[Job("creation views", flush)],
        retention=[
            RetentionSweep("creation_views", store.delete_views),
            RetentionSweep("view_salts", store.delete_salts),
        ],
    )
