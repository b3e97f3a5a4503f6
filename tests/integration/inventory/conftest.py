"""People with save slots, and an economy on a port."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeAlias

import aiohttp
import pytest

from persistence.broker.memory import MemoryBroker
from persistence.database import Database
from persistence.inventory.definitions import DefinitionStore
from persistence.inventory.store import EconomyStore
from persistence.rls import RlsDatabase
from persistence.saves.changes import ChangeRow, ProgressStore
from protocol.ids import PlayerId, SessionId, UserId, new_id
from server.core.clock import Clock
from server.core.events import LocalEventBus
from server.core.subscriptions import Subscriptions
from server.core.tasks import Tasks
from server.domains.progression.inventory.definitions import DefinitionRoutes
from server.domains.progression.inventory.http import InventoryRoutes
from server.domains.progression.inventory.service import EconomyService
from server.domains.progression.inventory.settings import InventorySettings
from server.domains.progression.saves.streams import ProgressStreams
from server.gateway.session.identity import Identity
from tests.fixtures.http import bearer, served
from tests.fixtures.rows import add_profile

Json: TypeAlias = dict[str, Any]

SETTINGS = InventorySettings(
    plausibility="shadow",
    requests_per_minute=1_000_000,
    requests_burst=1_000_000,
    items_max=12,
    currencies_max=5,
    recipes_max=3,
)
STAFF = {
    role: UserId(f"00000000-0000-4000-8000-0000000000f{place}")
    for place, role in enumerate(("editor", "support", "moderator", "admin"))
}


async def by_user_id(token: str) -> Identity:
    """Take the token for an account's id, or for the role of one on the staff."""
    user_id, roles = (STAFF[token], (token,)) if token in STAFF else (UserId(token), ())
    return Identity(user_id, PlayerId(user_id), SessionId(new_id()), "", 0.0, roles)


NO_LISTENERS = LocalEventBus()


@dataclass
class Answer:
    """An answer: its status, its body, and its headers in lowercase."""

    status: int
    body: Json
    headers: dict[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.body[name]

    @property
    def said(self) -> tuple[int, str]:
        return self.status, self.body["code"]


@dataclass
class Market:
    """The economy, as different people use it."""

    http: aiohttp.ClientSession
    database: Database
    service: EconomyService
    tasks: Tasks
    announced: list[ChangeRow]
    _keys: Callable[[], int] = field(default_factory=lambda: count(1).__next__)

    def key(self) -> str:
        return f"key:{self._keys()}"

    async def person(self) -> UserId:
        async with self.database.acquire() as connection:
            return UserId(str(await add_profile(connection, None)))

    async def slot(self, who: UserId, *, play_time_s: int = 0) -> str:
        made = await self.run(
            "INSERT INTO save_slots (account_id, title, play_time_s) VALUES ($1, 'demo', $2)"
            " RETURNING slot_id",
            who,
            play_time_s,
        )
        return str(made[0]["slot_id"])

    async def ask(
        self,
        who: str | None,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        **query: object,
    ) -> Answer:
        sent = {**(bearer(who) if who else {}), **(headers or {})}
        params = {name: str(value) for name, value in query.items() if value is not None}
        url = f"/v1{path}"
        async with self.http.request(method, url, json=body, params=params, headers=sent) as answer:
            told = await answer.json()
            return Answer(answer.status, told, {k.lower(): v for k, v in answer.headers.items()})

    async def define(self, plural: str, name: str, /, **content: object) -> Answer:
        body = {"name": name.title(), **content}
        made = await self.ask(
            "editor", "PUT", f"/admin/{plural}/{name}", body, headers={"If-Match": "*"}
        )
        assert made.status == 200, made
        return made

    async def move(self, who: str, slot: str, what: str, **body: object) -> Answer:
        """Collect, spend, use or craft; with a new key unless one is given."""
        asked = {"key": self.key(), **body}
        return await self.ask(who, "POST", f"/saves/{slot}/inventory/{what}", asked)

    async def give(self, who: UserId, slot: str | None, **body: object) -> Answer:
        """Give somebody a bundle as support; items, currencies, lore and cosmetics by name."""
        fields = {"kind": "give", "reason": "A test", "metadata": {}, "key": self.key()}
        asked = {
            **fields,
            "account_id": who,
            "slot_id": slot,
            "bundle": {k: v for k, v in body.items() if k not in fields},
            **{k: v for k, v in body.items() if k in fields},
        }
        return await self.ask("support", "POST", "/admin/economy/adjustments", asked)

    async def held(self, who: UserId, slot: str) -> tuple[dict[str, int], dict[str, int]]:
        read = await self.ask(who, "GET", f"/saves/{slot}/inventory")
        assert read.status == 200, read
        return {each["item_id"]: each["quantity"] for each in read["items"]}, read["currencies"]

    async def grant(self, who: UserId, slot: str, bundle: Any, key: str) -> bool:
        """Grant as another domain does."""
        async with self.database.transaction() as connection:
            granted = await self.service.grant(
                connection, who, slot, bundle, key=key, reason="A quest"
            )
        return granted is not None

    async def run(self, statement: str, *values: object) -> list[Json]:
        async with self.database.acquire() as connection:
            return [dict(row) for row in await connection.fetch(statement, *values)]

    async def assert_balanced(self) -> None:
        """Check that the ledger sums to zero."""
        sums = await self.run(
            "SELECT item_id, currency_id, sum(amount) FROM ledger_entries"
            " GROUP BY item_id, currency_id HAVING sum(amount) <> 0"
        )
        assert sums == []


def make_service(
    database: Database,
    rls: RlsDatabase,
    tasks: Tasks,
    settings: InventorySettings,
    *,
    publish: Callable[[object], None] = NO_LISTENERS.publish,
) -> tuple[EconomyService, EconomyStore, DefinitionStore, list[ChangeRow]]:
    announced: list[ChangeRow] = []
    streams = ProgressStreams(Subscriptions(MemoryBroker()), ProgressStore(database), publish)
    announce = streams.announce
    streams.announce = lambda change: (announced.append(change), announce(change))[1]  # type: ignore[method-assign]
    store = EconomyStore(database, rls)
    counts = {
        "item": settings.items_max,
        "currency": settings.currencies_max,
        "recipe": settings.recipes_max,
    }
    definitions = DefinitionStore(database, rls, counts)
    service = EconomyService(
        store=store,
        definitions=definitions,
        progress=streams,
        tasks=tasks,
        plausibility=settings.plausibility,
    )
    return service, store, definitions, announced


@pytest.fixture
def settings() -> InventorySettings:
    return SETTINGS


@pytest.fixture
async def market(
    database: Database, rls: RlsDatabase, settings: InventorySettings
) -> AsyncIterator[Market]:
    async with Tasks() as tasks:
        service, store, definitions, announced = make_service(database, rls, tasks, settings)
        routes = InventoryRoutes(service=service, store=store, settings=settings, clock=Clock())
        endpoints = [*routes.endpoints(), *DefinitionRoutes(definitions).endpoints()]
        async with served(endpoints, by_user_id) as http:
            market = Market(http, database, service, tasks, announced)
            await market.define("items", "iron", is_server_owned=False)
            await market.define("items", "sword")
            await market.define("currencies", "gold")
            await market.define("currencies", "gems", scope="account", holding_max=1000)
            yield market


@pytest.fixture
async def ada(market: Market) -> UserId:
    return await market.person()


@pytest.fixture
async def slot(market: Market, ada: UserId) -> str:
    return await market.slot(ada)
