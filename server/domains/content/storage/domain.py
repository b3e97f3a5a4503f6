"""Stored objects: everything that the domain offers."""

from persistence.storage.store import ObjectStore
from server.domains.content.storage.http import StorageRoutes
from server.domains.content.storage.settings import StorageSettings
from server.domains.contract import Domain, provide
from server.domains.interfaces import GameSeats, ServerObjects
from server.domains.services import Services


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings = services.settings(StorageSettings)
    store = ObjectStore(services.database, services.rls)
    routes = StorageRoutes(
        store, services.interfaces.get(GameSeats), settings=settings, clock=services.clock
    )
    return Domain(
        name="storage",
        settings=StorageSettings,
        endpoints=routes.endpoints(),
        provides=(provide(ServerObjects, store),),
    )
