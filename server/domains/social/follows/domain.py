"""Follows: everything that the domain offers."""

from persistence.follows.store import FollowStore
from server.domains.contract import Domain, provide
from server.domains.interfaces import FollowedPlayers
from server.domains.services import Services
from server.domains.social.follows.http import FollowRoutes
from server.domains.social.follows.settings import FollowsSettings


def build(services: Services) -> Domain:
    """Put the domain together."""
    settings = services.settings(FollowsSettings)
    store = FollowStore(services.rls)
    return Domain(
        name="follows",
        settings=FollowsSettings,
        endpoints=FollowRoutes(store, settings, services.clock).endpoints(),
        provides=[provide(FollowedPlayers, store)],
    )
