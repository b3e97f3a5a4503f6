"""The rooms whose addresses the documents describe."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from persistence.accounts.store import AccountStore
from persistence.database import Database
from persistence.history.store import HistoryStore
from server.core.clock import Clock
from server.domains.people.accounts.http import AccountRoutes, guest_limiter
from server.domains.people.accounts.keys import SigningKeys
from server.domains.people.accounts.service import Accounts, TokenLifetimes
from server.domains.play.history.http import HistoryRoutes
from server.gateway.http.endpoints import Endpoint
from server.rulesets import find_rulesets
from tests.integration.web.site import Site, open_site


@pytest.fixture
def rooms(database: Database) -> list[Endpoint]:
    """The addresses of accounts and records."""
    clock, store = Clock(), AccountStore(database)
    keys = SigningKeys(store, now=clock.monotonic)
    accounts = Accounts(
        store=store,
        keys=keys,
        clock=clock,
        lifetimes=TokenLifetimes(600, 86_400),
        revoked=lambda *_: None,
    )
    account_routes = AccountRoutes(
        accounts=accounts, keys=keys, guests=guest_limiter(600), now=clock.monotonic
    )
    record_routes = HistoryRoutes(store=HistoryStore(database), rulesets=find_rulesets())
    return [*account_routes.endpoints(), *record_routes.endpoints()]


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
async def client(site: Site) -> AsyncIterator[aiohttp.ClientSession]:
    async with open_site(site, []) as client:
        yield client
