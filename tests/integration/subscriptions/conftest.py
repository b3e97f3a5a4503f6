"""A whole server with Stripe's API beside it, for all tests of a file."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
from pydantic import SecretStr

from persistence.database import Database
from persistence.rls import ANONYMOUS_ROLE, RlsDatabase
from protocol.ids import UserId
from server.app import App
from server.config import Config
from server.core.clock import Clock
from server.core.events import ProfileChanged
from server.core.settings import SettingsReader
from server.core.tasks import Tasks
from server.domains.people.accounts.settings import AccountSettings
from server.domains.services import Services
from server.domains.social.subscriptions.service import SubscriptionService
from server.domains.social.subscriptions.settings import SubscriptionsSettings
from tests.fixtures.http import bearer, listening
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.fixtures.stripe_server import KEY, SECRET, StripeServer, event, sign, stripe_server

CREATOR, REALM, OLD_CREATOR = "price_creator", "price_realm", "price_old"
TIMEOUT_S = 1.5


@dataclass
class Subscriber:
    """Somebody with an account that is no guest's."""

    user_id: str
    token: str


@dataclass
class Shop:
    """A server, Stripe, and the database as its owner."""

    http: aiohttp.ClientSession
    stripe: StripeServer
    owner: asyncpg.Connection
    service: SubscriptionService
    changed: list[UserId]  # whose profile was said to have changed

    async def guest(self) -> Subscriber:
        async with self.http.post("/v1/auth/guest", json={}) as answer:
            tokens = await answer.json()
        return Subscriber(tokens["user_id"], tokens["access_token"])

    async def person(self) -> Subscriber:
        who = await self.guest()
        await self.owner.execute(
            "UPDATE auth.users SET is_anonymous = false WHERE id = $1", who.user_id
        )
        return who

    async def customer(self, who: Subscriber) -> str:
        """Make somebody a customer, as a checkout does."""
        await self.ok(who, "POST", "/subscription/checkout", {"tier": "creator"})
        found = await self.profile(who)
        return str(found["stripe_customer_id"])

    async def ask(
        self, who: Subscriber | None, method: str, path: str, body: Any = None
    ) -> tuple[int, Any]:
        headers = bearer(who.token) if who else {}
        async with self.http.request(method, f"/v1{path}", json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def ok(self, who: Subscriber, method: str, path: str, body: Any = None) -> Any:
        status, answer = await self.ask(who, method, path, body)
        assert status == 200, answer
        return answer

    async def send(
        self, kind: str, thing: dict[str, Any], signature: str | None = None, **fields: Any
    ) -> tuple[int, Any]:
        """Send a signed event; its object says nothing that is believed."""
        return await self.send_body(json.dumps(event(kind, thing, **fields)).encode(), signature)

    async def send_body(self, body: bytes, signature: str | None = None) -> tuple[int, Any]:
        headers = {"Stripe-Signature": sign(body) if signature is None else signature}
        async with self.http.post("/v1/stripe/events", data=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def profile(self, who: Subscriber) -> asyncpg.Record:
        row = await self.owner.fetchrow("SELECT * FROM profiles WHERE id = $1", who.user_id)
        assert row is not None
        return row

    async def state(self, who: Subscriber) -> tuple[str, str | None]:
        row = await self.profile(who)
        return row["tier"], row["subscription_status"]

    async def changes(self, who: Subscriber) -> list[str]:
        """List the tiers that are on record."""
        rows = await self.owner.fetch(
            "SELECT after ->> 'tier' AS tier FROM audit_log"
            " WHERE action = 'subscription' AND target = $1 ORDER BY id",
            who.user_id,
        )
        return [row["tier"] for row in rows]

    async def check_now(self, who: Subscriber) -> None:
        """Let the time come at which Stripe is asked again, and ask."""
        await self.owner.execute(
            "UPDATE profiles SET subscription_check_at = now() - interval '1 s'"
            " WHERE id = $1 AND subscription_check_at IS NOT NULL",
            who.user_id,
        )
        await self.service.check()


@pytest.fixture(scope="module")
async def server(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    dsn = databases.create(template=TEMPLATE)
    database = await Database.open(dsn, embedded=True)
    anonymous = await Database.open(dsn, embedded=True, role=ANONYMOUS_ROLE)
    owner = await asyncpg.connect(dsn)
    async with stripe_server() as stripe, Tasks() as tasks:
        settings = SettingsReader(
            SubscriptionsSettings(
                key=SecretStr(KEY),
                webhook_secrets=SecretStr(f"whsec_old, {SECRET}"),
                prices_creator=f"{CREATOR}, {OLD_CREATOR}",
                prices_realm_builder=REALM,
                return_url="https://hall.example.org",
                timeout_s=TIMEOUT_S,
                url=stripe.url,
            ),
            AccountSettings(guests_per_minute=100_000),
        )
        folder: Path = tmp_path_factory.mktemp("shop")
        config = Config(data_dir=folder, epochs=False)
        services = Services(
            config, database, RlsDatabase(anonymous), "n1", Clock(), tasks, {}, settings=settings
        )
        app, changed = App(services), list[UserId]()
        services.events.add_listeners({ProfileChanged: lambda event: changed.append(event.user_id)})
        domain = next(domain for domain in app.domains if domain.name == "subscriptions")
        service = domain.jobs[0].run.__self__  # type: ignore[attr-defined]
        async with (
            listening(app) as port,
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http,
        ):
            yield Shop(http, stripe, owner, service, changed)
        await app.stop()
    await owner.close()
    await anonymous.close()
    await database.close()
    databases.drop(dsn)


@pytest.fixture
async def shop(server: Shop) -> AsyncIterator[Shop]:
    server.stripe.failures.clear()
    server.stripe.holds.clear()
    server.stripe.asked.clear()
    yield server
    assert server.stripe.failures == []
