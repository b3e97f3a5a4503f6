"""Webhooks on a real database, a receiver on a real port, and admins who ask over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from persistence.database import Database
from persistence.event_outbox import EventOutbox, append_durable_event
from persistence.sealing import Seal, SealingKey
from persistence.webhooks.store import WebhookStore
from protocol.domain_events import DURABLE_EVENTS, DurableEvent, UserErased
from protocol.errors import BadToken
from protocol.ids import PlayerId, SessionId, UserId, new_id
from server.core.clock import Clock
from server.core.event_delivery import DurableListener, OutboxDeliverer
from server.core.tasks import Tasks
from server.domains.integrations.webhooks.http import WebhookRoutes
from server.domains.integrations.webhooks.jobs import WebhookDeliverer
from server.domains.integrations.webhooks.sender import WebhookSender
from server.domains.integrations.webhooks.service import WebhookService
from server.gateway.session.identity import Identity
from tests.fixtures.http import bearer, served
from tests.fixtures.receiver import Receiver, listening
from tests.integration.gateway.conftest import certificate, tls_server

__all__ = ["certificate", "tls_server"]

ADMIN = UserId("00000000-0000-4000-8000-00000000ad00")
WAIT_S = 20


class Hall:
    """A node's webhooks, and what admins ask of them."""

    def __init__(self, database: Database, tasks: Tasks, *, may_be_private: bool) -> None:
        self.database = database
        self.seal = Seal(lambda: [SealingKey("test", bytes(range(32)))])
        self.store = WebhookStore(database)
        self.deliverer = WebhookDeliverer(
            store=self.store,
            seal=self.seal,
            clock=Clock(),
            tasks=tasks,
            may_be_private=may_be_private,
        )
        self.routes = WebhookRoutes(
            WebhookService(store=self.store, seal=self.seal, may_be_private=may_be_private)
        )
        handlers = dict.fromkeys(DURABLE_EVENTS.values(), self.deliverer.queue)
        self.events = OutboxDeliverer(
            EventOutbox(database),
            (DurableListener("webhooks", handlers),),
            now=Clock().monotonic,
        )
        self.may_be_private = may_be_private
        self.web: aiohttp.ClientSession

    async def ask(
        self, method: str, path: str = "", *, token: str = "admin", **body: object
    ) -> tuple[int, Any]:
        url, headers = f"/v1/admin/webhooks{path}", bearer(token)
        async with self.web.request(method, url, json=body, headers=headers) as reply:
            return reply.status, await reply.json()

    async def add(self, url: str, *events: str) -> tuple[str, str]:
        """Make a webhook; gives its id and its secret."""
        status, made = await self.ask("POST", url=url, events=events or ("user.erased",))
        assert status == 200, made
        return made["webhook"]["endpoint_id"], made["secret"]

    async def happen(self, event: DurableEvent | None = None) -> DurableEvent:
        """Let an event happen, and queue it."""
        event = event or UserErased(user_id=UserId(new_id()))
        async with self.database.transaction() as connection:
            await append_durable_event(connection, event)
        await self.events.poll()
        return event

    async def send(self) -> None:
        """Send what is due, and wait until nothing is under way."""
        async with WebhookSender.opened(may_be_private=self.may_be_private) as sender:
            async with asyncio.timeout(WAIT_S):
                await self.deliverer.poll(sender)
                while self.deliverer.in_flight:
                    await asyncio.sleep(0.01)

    async def pass_time(self) -> None:
        """Let every pause be over."""
        await self.run("UPDATE webhook_deliveries SET next_attempt_at = now()")

    async def deliveries(self, endpoint_id: str) -> list[dict[str, Any]]:
        _, listed = await self.ask("GET", f"/{endpoint_id}/deliveries")
        found: list[dict[str, Any]] = listed["deliveries"]
        return found

    async def webhook(self, endpoint_id: str) -> dict[str, Any]:
        _, listed = await self.ask("GET")
        (found,) = [one for one in listed["webhooks"] if one["endpoint_id"] == endpoint_id]
        return dict(found)

    async def run(self, statement: str, *values: object) -> list[dict[str, Any]]:
        async with self.database.acquire() as connection:
            return [dict(row) for row in await connection.fetch(statement, *values)]


async def _authenticate(token: str) -> Identity:
    if token not in ("admin", "moderator", "player"):
        raise BadToken
    roles = () if token == "player" else (token,)
    user_id = ADMIN if token == "admin" else UserId(new_id())
    return Identity(user_id, PlayerId(new_id()), SessionId(new_id()), "A", 2**40, roles)


async def _hall(database: Database, *, may_be_private: bool) -> AsyncIterator[Hall]:
    async with Tasks() as tasks:
        hall = Hall(database, tasks, may_be_private=may_be_private)
        async with served(hall.routes.endpoints(), _authenticate) as hall.web:
            yield hall


@pytest.fixture
async def hall(database: Database) -> AsyncIterator[Hall]:
    """Webhooks that may go to this machine."""
    async for hall in _hall(database, may_be_private=True):
        yield hall


@pytest.fixture
async def guarded(database: Database) -> AsyncIterator[Hall]:
    """Webhooks that may only go to the internet."""
    async for hall in _hall(database, may_be_private=False):
        yield hall


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with listening() as receiver:
        yield receiver
