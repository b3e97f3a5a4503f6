"""Match history: everything that the domain offers."""

from persistence.history.store import HistoryStore
from server.domains.contract import Domain
from server.domains.play.history.http import HistoryRoutes
from server.domains.services import Services


def build(services: Services) -> Domain:
    """Put the domain together."""
    store = HistoryStore(services.database, services.replica)
    routes = HistoryRoutes(store=store, rulesets=services.rulesets)
    return Domain(name="history", endpoints=routes.endpoints())
