"""The room of accounts on a real database, with a clock that can be moved."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import aiohttp
import pytest

from persistence.accounts.moderation import ModerationStore
from persistence.accounts.sessions import SessionStore
from persistence.accounts.store import AccountStore
from persistence.broker.memory import MemoryBroker
from persistence.database import Database
from persistence.sealing import Seal, SealingKey
from protocol.accounts import Tokens
from protocol.ids import UserId
from server.core.clock import Clock
from server.core.events import LocalEventBus
from server.core.subscriptions import Subscriptions
from server.domains.people.accounts.admin_http import AdminRoutes
from server.domains.people.accounts.http import AccountRoutes, SessionRoutes, guest_limiter
from server.domains.people.accounts.keys import SigningKeys
from server.domains.people.accounts.moderation import AccountModeration
from server.domains.people.accounts.revocation import SessionRevocation
from server.domains.people.accounts.service import Accounts, TokenLifetimes
from server.gateway.http.endpoints import Endpoint
from tests.fixtures.http import served
from tests.fixtures.postgres import TEMPLATE, Databases

LIFETIMES = TokenLifetimes(access_s=600, refresh_s=86_400)
SEAL = Seal(lambda: [SealingKey("test", bytes(range(32)))])


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
    keys: SigningKeys
    clock: MovableClock
    accounts: Accounts
    ended: list[str] = field(default_factory=list)

    @property
    def moderators(self) -> ModerationStore:
        return ModerationStore(self.database)

    async def admin(self) -> Tokens:
        """Somebody who was made an admin."""
        tokens = await self.accounts.create_guest("Ada")
        await self.moderators.set_roles(UserId(tokens.user_id), ["admin"], actor="console")
        return tokens


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
    keys = SigningKeys(store, now=asyncio.get_running_loop().time)
    await keys.start()
    ended: list[str] = []
    accounts = Accounts(
        store=store, keys=keys, clock=clock, lifetimes=LIFETIMES, revoked=ended.append
    )
    return Room(shared, store, keys, clock, accounts, ended)


@pytest.fixture
async def client(room: Room) -> AsyncIterator[aiohttp.ClientSession]:
    routes = AccountRoutes(
        accounts=room.accounts, keys=room.keys, guests=guest_limiter(600), now=room.clock.monotonic
    )
    addresses = [*routes.endpoints(), *more_addresses(room)]
    async with served(addresses, room.accounts.authenticate) as client:
        yield client


def more_addresses(room: Room) -> list[Endpoint]:
    """The addresses of sessions and of moderation."""
    store, clock = SessionStore(room.database), room.clock
    revocation = SessionRevocation(
        store=store,
        subscriptions=Subscriptions(MemoryBroker()),
        events=LocalEventBus(),
        now=clock.monotonic,
    )
    moderation = AccountModeration(
        store=room.moderators,
        seal=SEAL,
        banned=revocation.publish_banned,
        activity_changed=revocation.publish_activity,
        revoked=revocation.publish_revoked,
    )
    admin = AdminRoutes(moderation=moderation, sessions=store, database=room.database, clock=clock)
    return [*SessionRoutes(store=store, revocation=revocation).endpoints(), *admin.endpoints()]
