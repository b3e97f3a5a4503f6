"""Webhooks: everything that the domain offers."""

from functools import partial

from persistence.sealing import Seal
from persistence.webhooks.store import WebhookStore
from protocol.domain_events import DURABLE_EVENTS
from server.core.event_delivery import DurableListener
from server.core.retention import RetentionSweep
from server.domains.contract import Domain, Job, provide
from server.domains.integrations.webhooks.http import WebhookRoutes
from server.domains.integrations.webhooks.jobs import WebhookDeliverer
from server.domains.integrations.webhooks.service import (
    WebhookRequests,
    WebhookService,
    require_secrets,
)
from server.domains.integrations.webhooks.settings import WebhookSettings
from server.domains.interfaces import SignedRequests
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings, seal = services.settings(WebhookSettings), services.interfaces.get(Seal)
    store = WebhookStore(services.database)
    deliverer = WebhookDeliverer(
        store=store,
        seal=seal,
        clock=services.clock,
        tasks=services.tasks,
        may_be_private=settings.webhooks_private,
    )
    routes = WebhookRoutes(
        WebhookService(store=store, seal=seal, may_be_private=settings.webhooks_private)
    )
    requests = WebhookRequests(clock=services.clock, may_be_private=settings.webhooks_private)
    models = DURABLE_EVENTS.values()
    listener = DurableListener(
        "webhooks",
        dict.fromkeys(models, deliverer.queue),
        dict.fromkeys(models, deliverer.queue_all),
    )
    return Domain(
        name="webhooks",
        settings=WebhookSettings,
        endpoints=routes.endpoints(),
        durable=[listener],
        metrics=[_numbers(deliverer)],
        provides=[provide(SignedRequests, requests)],
        checks=[partial(require_secrets, store, seal)],
        jobs=[Job("webhooks", deliverer.run)],
        retention=[
            RetentionSweep(
                "webhook_deliveries",
                partial(store.delete_old_deliveries, settings.webhook_deliveries_kept_s),
            )
        ],
    )


def _numbers(deliverer: WebhookDeliverer) -> MetricsCollector:
    return MetricsCollector(
        gauges=[
            MetricSource(
                "webhooks_pending",
                "Deliveries that wait, of all nodes.",
                lambda: deliverer.backlog.pending,
            ),
            MetricSource(
                "webhooks_disabled",
                "Webhooks that were disabled because they fail.",
                lambda: deliverer.backlog.disabled,
            ),
        ],
        counters=[
            MetricSource(
                "webhooks_delivered",
                "Deliveries that were accepted.",
                lambda: deliverer.delivered_total,
            ),
            MetricSource(
                "webhooks_failures", "Attempts that failed.", lambda: deliverer.failed_total
            ),
            MetricSource(
                "webhooks_dead", "Deliveries that were given up.", lambda: deliverer.dead_total
            ),
        ],
    )
