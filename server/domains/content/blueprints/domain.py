"""Blueprints: everything that the domain offers."""

from persistence.blueprints.store import BlueprintStore
from server.domains.content.blueprints.http import BlueprintRoutes
from server.domains.contract import Domain
from server.domains.interfaces import StoredFiles
from server.domains.services import Services


def build(services: Services) -> Domain:
    """Put the domain together."""
    files = services.interfaces.get(StoredFiles)
    routes = BlueprintRoutes(store=BlueprintStore(services.rls), missing=files.missing)
    return Domain(name="blueprints", endpoints=routes.endpoints())
