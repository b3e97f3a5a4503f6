"""The ways to sign in, put together on the room's database; letters land in a list."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from persistence.accounts.sessions import SessionStore
from persistence.accounts.sign_in import SignInStore
from persistence.broker.memory import MemoryBroker
from server.core.events import LocalEventBus
from server.core.mailer import Mail
from server.core.passwords import PasswordHasher
from server.core.subscriptions import Subscriptions
from server.domains.people.accounts.codes import OneTimeCodes
from server.domains.people.accounts.email import EmailSignIn
from server.domains.people.accounts.password_limits import (
    AttemptLimiter,
    PasswordAttemptLimits,
    PasswordLimits,
    Rate,
)
from server.domains.people.accounts.providers import ProviderSignIn
from server.domains.people.accounts.revocation import SessionRevocation
from server.domains.people.accounts.sign_in_http import SignInRoutes
from server.domains.people.accounts.sign_in_methods import SignInMethodService
from server.gateway.http.endpoints import Endpoint, build_http
from server.gateway.transport.proxies import Proxies, trust_proxies
from tests.fixtures.http import bearer, served_app
from tests.integration.accounts.conftest import SEAL, Room, more_addresses

PLENTY = Rate(per_minute=6000, burst=6000)
NO_LIMITS = PasswordAttemptLimits(*(PLENTY for _ in PasswordAttemptLimits()))
SERVER = "http://hall.example.org"
PASSWORD = "correct horse"


@dataclass
class Ways:
    """Clients, and what was mailed to them."""

    room: Room
    letters: list[Mail] = field(default_factory=list)
    mail_rate: Rate = PLENTY
    limits: PasswordAttemptLimits = NO_LIMITS
    passwords: PasswordHasher = field(default_factory=PasswordHasher)

    def __post_init__(self) -> None:
        room = self.room
        store = SignInStore(room.database)
        self.codes = OneTimeCodes(store=store, seal=SEAL, clock=room.clock)
        self.methods = SignInMethodService(store=store, seal=SEAL, accounts=room.accounts)
        self.providers = ProviderSignIn(
            codes=self.codes, methods=self.methods, providers={"discord": "Discord"}
        )
        now = room.clock.monotonic
        self.email = EmailSignIn(
            store=store,
            methods=self.methods,
            codes=self.codes,
            accounts=room.accounts,
            send=self.letters.append,
            server=lambda: SERVER,
            mails=AttemptLimiter(network=PLENTY, account=self.mail_rate, now=now),
            guesses=PasswordLimits(now=now, limits=self.limits),
            passwords=self.passwords,
        )

    @asynccontextmanager
    async def served(self) -> AsyncIterator["Client"]:
        """Serve the addresses on a port of their own; clients may say where they come from."""
        addresses = [*more_addresses(self.room), *self._addresses()]
        app = build_http(addresses, self.room.accounts.authenticate)
        trust_proxies(app, Proxies.parse(["127.0.0.1"]))
        try:
            async with served_app(app) as client:
                yield Client(client, self)
        finally:
            await self.passwords.close()

    def _addresses(self) -> list[Endpoint]:
        store, now = SessionStore(self.room.database), self.room.clock.monotonic
        revocation = SessionRevocation(
            store=store,
            subscriptions=Subscriptions(MemoryBroker()),
            events=LocalEventBus(),
            now=now,
        )
        routes = SignInRoutes(
            methods=self.methods, revocation=revocation, email=self.email, providers=self.providers
        )
        return routes.endpoints()

    def code(self) -> str:
        """Read the code in the latest letter."""
        found = re.search(rf"{SERVER}/account/confirm#([\w-]{{43}})\n", self.letters[-1].text)
        assert found is not None, self.letters[-1].text
        return found[1]


@dataclass
class Client:
    """Asks over HTTP, from `address` as far as the server can tell."""

    http: aiohttp.ClientSession
    ways: Ways
    address: str = "192.0.2.1"

    def at(self, address: str) -> "Client":
        """Give the same client, elsewhere."""
        return replace(self, address=address)

    async def post(self, path: str, *, token: str = "", **body: object) -> tuple[int, Any]:
        return await self._ask("POST", path, token, body)

    async def get(self, path: str, *, token: str = "") -> tuple[int, Any]:
        return await self._ask("GET", path, token, None)

    async def delete(self, path: str, *, token: str = "") -> tuple[int, Any]:
        return await self._ask("DELETE", path, token, None)

    async def registered(self, email: str, password: str = PASSWORD) -> Any:
        """Register, and give the tokens."""
        assert (await self.post("/v1/auth/email", email=email))[0] == 200
        status, confirmed = await self.post(
            "/v1/auth/email/confirm", code=self.ways.code(), password=password
        )
        assert status == 200, confirmed
        return confirmed["tokens"]

    async def sign_in(self, email: str, password: str = PASSWORD) -> tuple[int, Any]:
        return await self.post("/v1/auth/email/sign-in", email=email, password=password)

    async def methods(self, token: str) -> list[tuple[str, str]]:
        _, listed = await self.get("/v1/me/methods", token=token)
        return [(method["kind"], method["name"]) for method in listed["methods"]]

    async def _ask(self, verb: str, path: str, token: str, body: object) -> tuple[int, Any]:
        headers = {"X-Forwarded-For": self.address} | (bearer(token) if token else {})
        async with self.http.request(verb, path, json=body, headers=headers) as reply:
            return reply.status, await reply.json()
