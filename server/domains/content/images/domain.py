"""Images: everything that the domain offers."""

import logging

from persistence.images.store import ImageStore
from server.core.extras import IMAGES
from server.domains.content.images.http import ImageRoutes
from server.domains.content.images.service import Images
from server.domains.content.images.settings import ImageSettings
from server.domains.contract import Domain, Job, provide
from server.domains.interfaces import ImageIntake
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource

log = logging.getLogger(__name__)


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings = services.settings(ImageSettings)
    store = ImageStore(services.database, services.rls)
    images = Images(
        store=store,
        objects=services.objects,
        folder=services.config.data_dir / "uploads",
        settings=settings,
        is_on=settings.enabled and IMAGES.is_installed,
        publish_event=services.events.publish,
    )

    async def start() -> None:
        if settings.enabled and not IMAGES.is_installed:
            log.warning(
                "uploaded images are kept as they are, with their metadata and without "
                "thumbnails; install %s, or set PLAYHALL_IMAGES_ENABLED=false",
                IMAGES.requirement,
            )

    return Domain(
        name="images",
        settings=ImageSettings,
        endpoints=ImageRoutes(store).endpoints(),
        provides=[provide(ImageIntake, images)],
        start=[start],
        jobs=[Job("images", images.run)],
        metrics=[
            MetricsCollector(
                counters=[
                    MetricSource(
                        "images_processed",
                        "Images processed here.",
                        lambda: images.processed_total,
                    ),
                    MetricSource(
                        "images_failed",
                        "Images that could not be processed here.",
                        lambda: images.failed_total,
                    ),
                    MetricSource(
                        "images_processes_died",
                        "Processes for images that died here.",
                        lambda: images.died_total,
                    ),
                ]
            )
        ],
    )
