"""People with accounts, and saves on a port."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import aiohttp
import pytest

from persistence.broker.memory import MemoryBroker
from persistence.database import Database
from persistence.rls import RlsDatabase
from persistence.saves.changes import ProgressStore
from persistence.saves.schemas import SaveSchemaStore
from persistence.saves.store import SaveStore
from protocol.ids import PlayerId, SessionId, UserId, new_id
from server.core.clock import Clock
from server.core.events import LocalEventBus
from server.core.subscriptions import Subscriptions
from server.domains.progression.saves.http import SaveRoutes
from server.domains.progression.saves.schemas import SaveSchemaRegistry
from server.domains.progression.saves.service import Deletions, SaveService, SlotAccess
from server.domains.progression.saves.settings import SavesSettings
from server.domains.progression.saves.states import StateLimits
from server.domains.progression.saves.streams import ProgressStreams
from server.gateway.session.identity import Identity
from tests.fixtures.http import bearer, served
from tests.fixtures.rows import add_profile

Json: TypeAlias = dict[str, Any]

SETTINGS = SavesSettings(
    saves_slots_max=3,
    saves_revisions_kept=5,
    saves_pins_max=2,
    saves_writes_per_minute=10**6,
    saves_writes_burst=10**6,
)
LIMITS = StateLimits(bytes_max=1 << 20, depth_max=32, mods_bytes_max=1024)

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
class Saves:
    """The addresses of saves, as different people use them."""

    http: aiohttp.ClientSession
    database: Database
    service: SaveService
    schemas: SaveSchemaRegistry
    access: SlotAccess

    @property
    def store(self) -> SaveStore:
        return self.service._store

    async def person(self) -> UserId:
        async with self.database.acquire() as connection:
            return UserId(str(await add_profile(connection, None)))

    async def ask(
        self,
        who: UserId | None,
        method: str,
        path: str = "",
        body: Any = None,
        *,
        match: int | str | None = None,
        data: bytes | None = None,
        headers: dict[str, str] | None = None,
        **query: object,
    ) -> Answer:
        sent = {**(bearer(who) if who else {}), **(headers or {})}
        if match is not None:
            sent["If-Match"] = match if isinstance(match, str) else f'"{match}"'
        url = path if path.startswith("/v1") else f"/v1/saves{path}"
        params = {name: str(value) for name, value in query.items()}
        asked = self.http.request(method, url, json=body, data=data, params=params, headers=sent)
        async with asked as answer:
            told = await answer.json() if answer.status != 304 else {}
            return Answer(answer.status, told, {k.lower(): v for k, v in answer.headers.items()})

    async def make(self, who: UserId, state: Json | None = None, **fields: object) -> str:
        """Make a slot; gives its id."""
        body = {"title": "demo", "state": state or {}, **fields}
        made = await self.ask(who, "POST", "", body)
        assert made.status == 200, made
        return str(made["slot_id"])

    async def write(
        self, who: UserId, slot: str, base: int | str | None, state: Json, **fields: object
    ) -> Answer:
        body = {"state": state, "mutation_id": new_id(), **fields}
        return await self.ask(who, "PUT", f"/{slot}", body, match=base)

    async def state(self, who: UserId, slot: str) -> Json:
        answer = await self.ask(who, "GET", f"/{slot}")
        assert answer.status == 200, answer
        return dict(answer["state"])

    async def publish(self, version: int = 1, title: str = "demo", **fields: object) -> Answer:
        body = {"json_schema": {"type": "object"}, **fields}
        path = f"/v1/admin/save-schemas/{title}/{version}"
        return await self.ask(UserId("editor"), "PUT", path, body)

    async def run(self, statement: str, *values: object) -> list[Json]:
        async with self.database.acquire() as connection:
            return [dict(row) for row in await connection.fetch(statement, *values)]


EDITOR = UserId("00000000-0000-4000-8000-0000000000ed")


async def by_user_id(token: str) -> Identity:
    """Take the token for an account's id; `editor` is one who makes content."""
    user_id, roles = (EDITOR, ("editor",)) if token == "editor" else (UserId(token), ())
    return Identity(user_id, PlayerId(user_id), SessionId(new_id()), "", 0.0, roles)


def served_saves(
    database: Database,
    rls: RlsDatabase,
    settings: SavesSettings = SETTINGS,
    *,
    publish: Callable[[object], None] = NO_LISTENERS.publish,
    deletions: Deletions | None = None,
) -> tuple[SaveService, SaveSchemaRegistry, SaveRoutes]:
    clock, changes = Clock(), ProgressStore(database)
    schemas = SaveSchemaRegistry(SaveSchemaStore(database), clock, LIMITS)
    streams = ProgressStreams(Subscriptions(MemoryBroker()), changes, publish)
    service = SaveService(
        store=SaveStore(database, rls, changes),
        schemas=schemas,
        settings=settings,
        announce=streams.announce,
        clock=clock,
        limits=LIMITS,
        deletions=deletions or Deletions(),
    )
    routes = SaveRoutes(
        service=service, schemas=schemas, settings=settings, clock=clock, saw=lambda _: None
    )
    return service, schemas, routes


@pytest.fixture
async def saves(database: Database, rls: RlsDatabase) -> AsyncIterator[Saves]:
    service, schemas, routes = served_saves(database, rls)
    async with served(routes.endpoints(), by_user_id) as http:
        access = SlotAccess(ProgressStore(database))
        yield Saves(http, database, service, schemas, access)


@pytest.fixture
async def ada(saves: Saves) -> UserId:
    return await saves.person()
