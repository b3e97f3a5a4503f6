"""Inventory: everything that the domain offers."""

from persistence.inventory.definitions import DefinitionStore
from persistence.inventory.store import EconomyStore
from server.domains.contract import Domain, provide
from server.domains.interfaces import Economy, EconomyReview, ProgressStream, SlotDeletions
from server.domains.progression.inventory.definitions import DefinitionRoutes
from server.domains.progression.inventory.http import InventoryRoutes
from server.domains.progression.inventory.service import EconomyService
from server.domains.progression.inventory.settings import InventorySettings
from server.domains.services import Services
from server.gateway.metrics import MetricsCollector, MetricSource


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings = services.settings(InventorySettings)
    store = EconomyStore(services.database, services.rls)
    definitions = DefinitionStore(
        services.database,
        services.rls,
        {
            "item": settings.items_max,
            "currency": settings.currencies_max,
            "recipe": settings.recipes_max,
        },
    )
    service = EconomyService(
        store=store,
        definitions=definitions,
        progress=services.interfaces.get(ProgressStream),
        tasks=services.tasks,
        plausibility=settings.plausibility,
    )
    services.interfaces.get(SlotDeletions).add_holdings(service.held_in)
    routes = InventoryRoutes(service=service, store=store, settings=settings, clock=services.clock)
    return Domain(
        name="inventory",
        settings=InventorySettings,
        endpoints=[*routes.endpoints(), *DefinitionRoutes(definitions).endpoints()],
        metrics=[
            MetricsCollector(
                counters=[
                    MetricSource(
                        "ledger_transactions",
                        "Transactions of the ledger that were committed here.",
                        lambda: service.transactions,
                    ),
                    MetricSource(
                        "economy_flagged",
                        "Implausible gains that were let through and flagged.",
                        lambda: service.flagged,
                    ),
                    MetricSource(
                        "economy_refused",
                        "Implausible gains that were refused.",
                        lambda: service.refused,
                    ),
                ]
            )
        ],
        provides=[provide(Economy, service), provide(EconomyReview, service)],
    )
