"""Webhooks: everything that the domain offers."""

from persistence.sealing import Seal
from persistence.webhooks.store import WebhookStore
from protocol.domain_events import DURABLE_EVENTS
from server.core.event_delivery import DurableListener
from server.domains.contract import Domain, Job
from server.domains.integrations.webhooks.http import WebhookRoutes
from server.domains.integrations.webhooks.jobs import WebhookDeliverer
from server.domains.integrations.webhooks.metrics import WebhookCollector
from server.domains.integrations.webhooks.service import WebhookService
from server.domains.integrations.webhooks.settings import WebhookSettings
from server.domains.services import Services


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
        kept_s=settings.webhook_deliveries_kept_s,
    )
    routes = WebhookRoutes(
        WebhookService(store=store, seal=seal, may_be_private=settings.webhooks_private)
    )
    handlers = dict.fromkeys(DURABLE_EVENTS.values(), deliverer.queue)
    return Domain(
        name="webhooks",
        settings=WebhookSettings,
        endpoints=routes.endpoints(),
        durable=[DurableListener("webhooks", handlers)],
        metrics=[WebhookCollector(deliverer)],
        jobs=[Job("webhooks", deliverer.run)],
    )
