"""People with saves, and quests on a port."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

import aiohttp
import asyncpg
import pytest

from persistence.broker.memory import MemoryBroker
from persistence.database import Connection, Database
from persistence.quests.store import QuestStore
from persistence.rls import RlsDatabase
from persistence.saves.changes import ProgressStore
from persistence.saves.schemas import SchemaStore
from protocol.ids import UserId
from server.core.clock import Clock
from server.core.subscriptions import Subscriptions
from server.domains.progression.quests.catalogue import QuestCatalogue
from server.domains.progression.quests.http import QuestRoutes
from server.domains.progression.quests.rewards import Held
from server.domains.progression.quests.service import QuestService
from server.domains.progression.quests.settings import QuestsSettings
from server.domains.progression.saves.schemas import SaveSchemaRegistry
from server.domains.progression.saves.service import SlotAccess
from server.domains.progression.saves.streams import ProgressStreams
from tests.fixtures.http import bearer, served
from tests.fixtures.rows import add_profile
from tests.integration.saves.conftest import LIMITS, by_user_id, served_saves

Json: TypeAlias = dict[str, Any]

SETTINGS = QuestsSettings(actions_per_minute=1_000_000, actions_burst=1_000_000)


class MovedClock(Clock):
    """A clock whose time of day a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.at = datetime(2026, 10, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


@dataclass
class Purse:
    """Items and currencies of accounts, as a table of its own has them: each key books once."""

    database: Database
    held: dict[str, Held] = field(default_factory=dict)

    async def grant(
        self,
        connection: Connection,
        account_id: UserId,
        slot_id: str,
        bundle: Mapping[str, Any],
        *,
        key: str,
        reason: str,
    ) -> bool:
        done = "INSERT INTO purse VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING 1"
        gold = bundle["currencies"].get("gold", 0)
        return await connection.fetchval(done, account_id, key, gold) is not None

    async def holdings(self, connection: Connection, account_id: UserId, slot_id: str) -> Held:
        return self.held.get(account_id, Held({}, {}))


@dataclass
class Quests:
    """The addresses of quests and saves, as different people use them."""

    http: aiohttp.ClientSession
    database: Database
    clock: MovedClock
    purse: Purse
    service: QuestService
    access: SlotAccess

    async def person(self) -> UserId:
        async with self.database.acquire() as connection:
            return UserId(str(await add_profile(connection, None)))

    async def ask(
        self, who: str | None, method: str, path: str, body: Any = None, **query: str
    ) -> tuple[int, Json]:
        headers = bearer(UserId(who)) if who else {}
        asked = self.http.request(method, path, json=body, params=query, headers=headers)
        async with asked as answer:
            return answer.status, await answer.json()

    async def slot(self, who: UserId, state: Json | None = None, title: str = "demo") -> str:
        body = {"title": title, "state": state or {}}
        status, made = await self.ask(who, "POST", "/v1/saves", body)
        assert status == 200, made
        return str(made["slot_id"])

    async def put(self, name: str, kind: str = "quests", **fields: Any) -> Json:
        body = {"title": name.capitalize(), **fields}
        status, answer = await self.ask("editor", "PUT", f"/v1/admin/{kind}/demo/{name}", body)
        assert status == 200, answer
        return answer

    async def quests(self, who: UserId, slot: str) -> dict[str, Json]:
        status, answer = await self.ask(who, "GET", f"/v1/saves/{slot}/quests")
        assert status == 200, answer
        return {quest["name"]: quest for quest in answer["quests"]}

    async def act(
        self, who: UserId, slot: str, name: str, verb: str, **body: str
    ) -> tuple[int, Json]:
        return await self.ask(who, "POST", f"/v1/saves/{slot}/quests/{name}/{verb}", body)

    async def do(self, who: UserId, slot: str, name: str, *verbs: str) -> Json:
        answer: Json = {}
        for verb in verbs:
            status, answer = await self.act(who, slot, name, verb)
            assert status == 200, answer
        return answer

    async def run(self, statement: str, *values: object) -> list[Json]:
        async with self.database.acquire() as connection:
            return [dict(row) for row in await connection.fetch(statement, *values)]


@pytest.fixture
async def quests(
    database: Database, rls: RlsDatabase, owner_of_tables: None
) -> AsyncIterator[Quests]:
    clock, changes, purse = MovedClock(), ProgressStore(database), Purse(database)
    _, _, save_routes = served_saves(database, rls)
    access = SlotAccess(changes, SaveSchemaRegistry(SchemaStore(database), clock, LIMITS))
    store = QuestStore(database)
    service = QuestService(
        database=database,
        rls=rls,
        store=store,
        catalogue=QuestCatalogue(store, clock.monotonic),
        slots=access,
        stream=ProgressStreams(Subscriptions(MemoryBroker()), changes),
        rewards=lambda: purse,
        clock=clock,
    )
    endpoints = [*save_routes.endpoints(), *QuestRoutes(service, SETTINGS, clock).endpoints()]
    async with served(endpoints, by_user_id) as http:
        yield Quests(http, database, clock, purse, service, access)


@pytest.fixture
async def owner_of_tables(database: Database, fresh_dsn: str) -> None:
    """Make the table of `Purse`."""
    connection = await asyncpg.connect(fresh_dsn)
    await connection.execute(
        "CREATE TABLE purse"
        " (account_id uuid, key text, gold bigint, PRIMARY KEY (account_id, key));"
        "GRANT SELECT, INSERT ON purse TO playhall_server"
    )
    await connection.close()


@pytest.fixture
async def ada(quests: Quests) -> UserId:
    return await quests.person()
