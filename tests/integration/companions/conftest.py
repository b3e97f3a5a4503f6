"""Companions on a port, with a local AI API or the offline provider."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
import pytest

from persistence.broker.memory import MemoryBroker, MemoryHub
from persistence.companions.store import CompanionStore
from persistence.database import Database
from persistence.rls import ANONYMOUS_ROLE, Requester, RlsDatabase
from protocol.ids import SessionId, UserId, new_id
from server.core.clock import Clock
from server.core.subscriptions import Subscriptions
from server.core.tasks import Tasks
from server.domains.interfaces import CompanionModeration
from server.domains.services import Interfaces
from server.domains.social.companions.caches import CompanionCaches
from server.domains.social.companions.domain import embedder_of
from server.domains.social.companions.http import CompanionRoutes
from server.domains.social.companions.providers import OfflineProvider, OpenAiProvider
from server.domains.social.companions.recall import MemoryRecall
from server.domains.social.companions.service import CompanionService, Moderation
from server.domains.social.companions.settings import CompanionsSettings
from server.domains.social.companions.writing import AnswerWriter
from tests.fixtures.ai import AiServer, ai_server
from tests.fixtures.http import bearer, served
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.integration.inventory.conftest import by_user_id
from tests.integration.social.world import LUMINA, World, populate

FAST = {"companions_messages_per_minute": 1_000_000, "companions_messages_burst": 1_000_000}


@pytest.fixture(scope="module")
async def world(databases: Databases) -> AsyncIterator[World]:
    """A migrated database with a few people."""
    dsn = databases.create(template=TEMPLATE)
    owner = await asyncpg.connect(dsn)
    world = World(dsn, owner)
    await populate(world)
    yield world
    await owner.close()
    databases.drop(dsn)


@dataclass
class Heard:
    """What came as server-sent events."""

    said: dict[str, Any] = field(default_factory=dict)
    deltas: list[dict[str, Any]] = field(default_factory=list)
    message: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """All pieces, after it was checked that none is missing or doubled."""
        for before, after in pairwise(self.deltas):
            assert before["next_offset"] == after["offset"]
        return "".join(delta["text"] for delta in self.deltas)


@dataclass
class Companions:
    """The addresses of companions, as different people use them."""

    web: aiohttp.ClientSession
    writer: AnswerWriter
    store: CompanionStore
    recall: MemoryRecall
    caches: CompanionCaches

    async def ask(
        self, who: UUID | str, method: str, path: str, body: Any = None, **query: str
    ) -> tuple[int, Any]:
        headers = bearer(str(who)) if who else {}
        asked = self.web.request(method, path, json=body, params=query, headers=headers)
        async with asked as answer:
            return answer.status, await answer.json()

    async def good(
        self, who: UUID | str, method: str, path: str, body: Any = None, **q: str
    ) -> Any:
        status, answer = await self.ask(who, method, path, body, **q)
        assert status == 200, answer
        return answer

    async def start(self, who: UUID, luminor: UUID = LUMINA) -> str:
        body = {"luminor_id": str(luminor), "session_id": new_id()}
        made = await self.good(who, "POST", "/v1/conversations", body)
        return str(made["conversation_id"])

    @asynccontextmanager
    async def saying(
        self, who: UUID, conversation: str, text: str, **fields: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        body = {"text": text, "request_id": new_id(), **fields}
        path = f"/v1/conversations/{conversation}/messages"
        async with self.web.post(path, json=body, headers=bearer(str(who))) as answer:
            yield answer

    async def say(self, who: UUID, conversation: str, text: str, **fields: Any) -> Heard:
        async with self.saying(who, conversation, text, **fields) as answer:
            assert answer.status == 200, await answer.text()
            return await hear(answer)

    async def stream(self, who: UUID, message: str, *, offset: int = 0) -> Heard:
        path = f"/v1/companion-messages/{message}/stream"
        headers = {**bearer(str(who)), "Last-Event-ID": str(offset)}
        async with self.web.get(path, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return await hear(answer)


def requester_of(person: UUID) -> Requester:
    """Somebody who asks the store, as a player."""
    return Requester(UserId(str(person)), SessionId(new_id()))


async def hear(answer: aiohttp.ClientResponse, *, until_chars: int | None = None) -> Heard:
    """Read events to the end, or until so many characters have come."""
    heard, name = Heard(), ""
    async for line in answer.content:
        kind, _, value = line.decode().rstrip("\n").partition(": ")
        if kind == "event":
            name = value
        elif kind == "data" and name == "delta":
            heard.deltas.append(json.loads(value))
            if until_chars is not None and heard.deltas[-1]["next_offset"] >= until_chars:
                return heard
        elif kind == "data":
            setattr(heard, name, json.loads(value))
    return heard


@asynccontextmanager
async def served_companions(
    dsn: str,
    moderation: CompanionModeration | None = None,
    hub: MemoryHub | None = None,
    **settings: Any,
) -> AsyncIterator[Companions]:
    """Serve companions with some settings."""
    chosen = CompanionsSettings(**{**FAST, **settings})
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(await Database.open(dsn, embedded=True))
        anonymous = await Database.open(dsn, embedded=True, role=ANONYMOUS_ROLE)
        rls = RlsDatabase(await stack.enter_async_context(anonymous))
        provider: OfflineProvider | OpenAiProvider = OfflineProvider()
        if chosen.ai_url is not None:
            provider = OpenAiProvider(chosen)
            await stack.enter_async_context(provider.opened())
        embedder, start, close = embedder_of(chosen)
        for hook in start:
            await hook()
        for hook in close:
            stack.push_async_callback(hook)
        tasks = await stack.enter_async_context(Tasks())
        store = CompanionStore(database, rls)
        interfaces = Interfaces()
        review = Moderation(interfaces, chosen)
        if moderation is not None:
            interfaces.provide(CompanionModeration, moderation)
        writer = AnswerWriter(store, provider, chosen, tasks=tasks, moderation=review)
        clock = Clock()
        recall = MemoryRecall(store, embedder)
        broker = MemoryBroker(hub, is_whole=True)
        subscriptions = Subscriptions(broker)
        caches = CompanionCaches(store, subscriptions, clock.monotonic)
        tasks.start_loop(broker.run(), name="broker")
        tasks.start_loop(subscriptions.run(), name="subscriptions")
        service = CompanionService(store, writer, chosen, clock, review, recall, caches)
        endpoints = CompanionRoutes(service, clock).endpoints()
        web = await stack.enter_async_context(served(endpoints, by_user_id))
        yield Companions(web, writer, store, recall, caches)


@pytest.fixture(scope="module")
async def offline(world: World) -> AsyncIterator[Companions]:
    """Companions that the server itself answers for."""
    async with served_companions(world.dsn) as companions:
        yield companions


@pytest.fixture
async def ai() -> AsyncIterator[AiServer]:
    """A local AI API."""
    async with ai_server() as server:
        yield server


@pytest.fixture
async def companions(world: World, ai: AiServer) -> AsyncIterator[Companions]:
    """Companions that the local AI API answers for."""
    async with served_companions(
        world.dsn,
        ai_url=ai.url,
        ai_key="sk-secret",
        ai_cost_input=1.0,
        ai_cost_output=10.0,
        ai_silence_s=0.5,
    ) as companions:
        yield companions
