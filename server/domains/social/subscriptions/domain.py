"""Subscriptions: everything that the domain offers."""

from contextlib import AsyncExitStack
from typing import Final

from persistence.errors import StartRefused
from persistence.subscriptions.store import SubscriptionStore
from server.core.extras import STRIPE
from server.core.retention import RetentionSweep
from server.domains.contract import Domain, Hook, Job
from server.domains.services import Services
from server.domains.social.subscriptions.http import SubscriptionRoutes
from server.domains.social.subscriptions.service import SubscriptionService
from server.domains.social.subscriptions.settings import SubscriptionsSettings
from server.gateway.metrics import MetricsCollector, MetricSource

RESULTS: Final = ("applied", "unchanged", "duplicate", "ignored", "unknown_customer", "failed")


def build(services: Services) -> Domain:
    """Put the domain together. Raise `StartRefused` where Stripe's library is missing."""
    settings = services.settings(SubscriptionsSettings)
    store = SubscriptionStore(services.database, services.rls)
    service, start, stop = _service(services, settings, store)
    routes = SubscriptionRoutes(store, service, settings, services.clock, services.address)
    counters = [_count(service, result) for result in RESULTS]
    return Domain(
        name="subscriptions",
        settings=SubscriptionsSettings,
        endpoints=routes.endpoints(),
        metrics=[MetricsCollector(counters=counters)],
        start=start,
        jobs=[] if service is None else [Job("stripe subscriptions", service.run)],
        retention=[RetentionSweep("stripe_events", store.forget_events)],
        stop=stop,
    )


def _service(
    services: Services, settings: SubscriptionsSettings, store: SubscriptionStore
) -> tuple[SubscriptionService | None, list[Hook], list[Hook]]:
    """Make what follows Stripe, if it is set up, and how it is opened and closed."""
    if settings.key is None:
        return None, [], []
    if not STRIPE.is_installed:
        raise StartRefused(
            f"PLAYHALL_STRIPE_KEY needs {STRIPE.requirement}; install it, or set no key."
        )
    # Stripe's library takes half a second to import, which servers without it save.
    from server.domains.social.subscriptions.stripe_api import StripeApi

    api, stack = StripeApi(settings), AsyncExitStack()

    async def start() -> None:
        await stack.enter_async_context(api.opened())

    service = SubscriptionService(store, api, settings, services.clock, services.events)
    return service, [start], [stack.aclose]


def _count(service: SubscriptionService | None, result: str) -> MetricSource:
    return MetricSource(
        f"stripe_events_{result}",
        f"Events of Stripe with the result {result}.",
        lambda: 0 if service is None else service.received[result],
    )
