"""The room of accounts on a real database, with a clock that can be moved."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import aiohttp
import pytest

from persistence.accounts import AccountStore
from persistence.database import Database
from server.domains.accounts.accounts import Accounts, Lifetimes
from server.domains.accounts.guests import GuestLimits
from server.domains.accounts.keys import Keys
from server.domains.accounts.routes import AccountRoutes
from server.kernel.clock import Clock
from tests.fixtures.http import served
from tests.fixtures.postgres import TEMPLATE, Databases

LIFETIMES = Lifetimes(access_s=600, refresh_s=86_400)


class MovableClock(Clock):
    """The real time, and as much as a test adds to it."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead

    def move(self, **by: float) -> None:
        self.ahead += timedelta(**by)


@dataclass
class Room:
    """Everything that a test of accounts needs."""

    database: Database
    store: AccountStore
    keys: Keys
    clock: MovableClock
    accounts: Accounts
    ended: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
async def shared(databases: Databases) -> AsyncIterator[Database]:
    """One database for a file: accounts of different tests do not meet."""
    dsn = databases.create(template=TEMPLATE)
    database = await Database.open(dsn, embedded=True)
    yield database
    await database.close()
    databases.drop(dsn)


@pytest.fixture
async def room(shared: Database) -> Room:
    store, clock = AccountStore(shared), MovableClock()
    keys = Keys(store, now=asyncio.get_running_loop().time)
    await keys.start()
    ended: list[str] = []
    accounts = Accounts(
        store=store, keys=keys, clock=clock, lifetimes=LIFETIMES, end_sockets=ended.append
    )
    return Room(shared, store, keys, clock, accounts, ended)


@pytest.fixture
async def client(room: Room) -> AsyncIterator[aiohttp.ClientSession]:
    routes = AccountRoutes(
        accounts=room.accounts, keys=room.keys, guests=GuestLimits(600), now=room.clock.monotonic
    )
    async with served(routes.endpoints(), room.accounts.authenticate) as client:
        yield client
