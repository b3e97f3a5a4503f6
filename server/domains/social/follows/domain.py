"""Follows: everything that the domain offers."""

from persistence.follows.store import FollowStore
from server.domains.contract import Domain
from server.domains.services import Services
from server.domains.social.follows.http import FollowRoutes
from server.domains.social.follows.settings import FollowsSettings


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings = services.settings(FollowsSettings)
    routes = FollowRoutes(FollowStore(services.rls), settings, services.clock)
    return Domain(name="follows", settings=FollowsSettings, endpoints=routes.endpoints())
