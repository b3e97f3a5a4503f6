"""The room of profiles on a real database, over a real port, with the real room of accounts."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import pytest

from persistence.accounts.store import AccountStore
from persistence.broker.memory import MemoryBroker
from persistence.database import Database
from persistence.profiles.personal_data import PersonalDataStore
from persistence.profiles.store import ProfileStore
from persistence.rls import RlsDatabase
from protocol.accounts import Tokens
from protocol.ids import PlayerId
from server.core.clock import Clock
from server.core.events import LocalEventBus
from server.core.subscriptions import Subscriptions
from server.domains.people.accounts.http import AccountRoutes, guest_limiter
from server.domains.people.accounts.keys import SigningKeys
from server.domains.people.accounts.service import Accounts, TokenLifetimes
from server.domains.people.profiles.erasure import ErasureService
from server.domains.people.profiles.export import ExportService
from server.domains.people.profiles.http import MyDataRoutes, ProfileRoutes
from tests.fixtures.http import bearer, served

Json = dict[str, Any]


class MovableClock(Clock):
    """The real time, and as much as a test adds to it."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead.total_seconds()


@dataclass
class Room:
    """The rooms and a client of theirs; `left` are the players who were taken out of lobbies."""

    database: Database
    accounts: Accounts
    clock: MovableClock
    client: aiohttp.ClientSession
    left: list[PlayerId]

    async def guest(self, display_name: str = "Ann") -> Tokens:
        return await self.accounts.create_guest(display_name)

    async def ask(
        self, method: str, path: str, who: Tokens | None = None, **body: object
    ) -> tuple[int, Json]:
        headers = bearer(who.access_token) if who else {}
        async with self.client.request(method, path, json=body, headers=headers) as reply:
            return reply.status, await reply.json()

    async def me(self, who: Tokens) -> Json:
        return (await self.ask("GET", "/v1/me", who))[1]

    async def change(self, who: Tokens, **changes: object) -> tuple[int, Json]:
        return await self.ask("PATCH", "/v1/me", who, **changes)

    async def run(self, statement: str, *arguments: object) -> None:
        async with self.database.acquire() as connection:
            await connection.execute(statement, *arguments)

    async def value(self, query: str, *arguments: object) -> Any:
        async with self.database.acquire() as connection:
            return await connection.fetchval(query, *arguments)


@pytest.fixture
async def room(database: Database, rls: RlsDatabase) -> AsyncIterator[Room]:
    clock, left = MovableClock(), list[PlayerId]()
    keys = SigningKeys(AccountStore(database), now=asyncio.get_running_loop().time)
    await keys.start()
    accounts = Accounts(
        store=AccountStore(database),
        keys=keys,
        clock=clock,
        lifetimes=TokenLifetimes(access_s=600, refresh_s=86_400),
        revoked=lambda *_: None,
    )
    signed_in = AccountRoutes(
        accounts=accounts, keys=keys, guests=guest_limiter(600), now=clock.monotonic
    )

    async def leave_lobbies(player_id: PlayerId) -> None:
        left.append(player_id)

    store, read_me = PersonalDataStore(database), signed_in.read_me
    erasure = ErasureService(
        store=store,
        subscriptions=Subscriptions(MemoryBroker()),
        clock=clock,
        leave_lobbies=leave_lobbies,
        events=LocalEventBus(),
    )
    sections = {"account": read_me}
    exports = ExportService(
        store=store, sections=sections, server=lambda: "https://play.example.org"
    )
    endpoints = [
        *signed_in.endpoints(),
        *ProfileRoutes(
            store=ProfileStore(rls, database),
            read_me=read_me,
            now=clock.monotonic,
            events=LocalEventBus(),
        ).endpoints(),
        *MyDataRoutes(exports=exports, erasure=erasure, now=clock.monotonic).endpoints(),
    ]
    async with served(endpoints, accounts.authenticate) as client:
        yield Room(database, accounts, clock, client, left)
