"""People with saves, and quests on a port."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import aiohttp
import pytest

from persistence.broker.memory import MemoryBroker
from persistence.database import Database
from persistence.quests.store import QuestStore
from persistence.rls import RlsDatabase
from persistence.saves.changes import ProgressStore
from persistence.slot_games.store import SlotGameStore
from protocol.ids import UserId, new_id
from server.core.clock import Clock
from server.core.events import LocalEventBus, ProgressChanged, ProgressFollowed
from server.core.subscriptions import Subscriptions
from server.core.tasks import Tasks
from server.domains.progression.inventory.definitions import DefinitionRoutes
from server.domains.progression.inventory.http import InventoryRoutes
from server.domains.progression.inventory.service import EconomyService
from server.domains.progression.quests.availability import QuestAvailability
from server.domains.progression.quests.catalogue import QuestCatalogue
from server.domains.progression.quests.http import QuestRoutes
from server.domains.progression.quests.service import QuestService
from server.domains.progression.quests.settings import QuestsSettings
from server.domains.progression.saves.service import Deletions, SlotAccess
from server.domains.progression.saves.settings import SavesSettings
from server.domains.progression.saves.streams import ProgressStreams
from server.domains.progression.slot_games.http import SlotGameRoutes
from server.domains.progression.slot_games.service import SlotGameService
from tests.fixtures.http import bearer, served
from tests.fixtures.rows import add_profile
from tests.integration.inventory.conftest import SETTINGS as ECONOMY
from tests.integration.inventory.conftest import by_user_id, make_service
from tests.integration.saves.conftest import served_saves

Json: TypeAlias = dict[str, Any]

SAVES = SavesSettings(saves_writes_per_minute=1_000_000, saves_writes_burst=1_000_000)
SETTINGS = QuestsSettings(actions_per_minute=1_000_000, actions_burst=1_000_000)


class MovedClock(Clock):
    """A clock whose time of day a test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.at = datetime(2026, 10, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at


@dataclass
class Quests:
    """The addresses of quests and saves, as different people use them."""

    http: aiohttp.ClientSession
    database: Database
    clock: MovedClock
    economy: EconomyService
    service: QuestService
    access: SlotAccess
    availability: QuestAvailability
    streams: ProgressStreams
    slot_games: SlotGameService

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

    async def define(self, plural: str, name: str, **fields: Any) -> tuple[int, str]:
        body = {"name": name, **({"scope": "account"} if name == "gold" else {}), **fields}
        return await self._define("PUT", plural, name, body)

    async def undefine(self, plural: str, name: str) -> tuple[int, str]:
        return await self._define("DELETE", plural, name, None)

    async def _define(self, method: str, plural: str, name: str, body: Any) -> tuple[int, str]:
        headers = {"If-Match": "*", **bearer(UserId("editor"))}
        path = f"/v1/admin/{plural}/{name}"
        async with self.http.request(method, path, json=body, headers=headers) as answer:
            return answer.status, (await answer.json()).get("code", "")

    async def quests(self, who: UserId, slot: str) -> dict[str, Json]:
        status, answer = await self.ask(who, "GET", f"/v1/saves/{slot}/quests")
        assert status == 200, answer
        return {quest["name"]: quest for quest in answer["quests"]}

    async def write(self, who: UserId, slot: str, state: Json, **fields: Any) -> Json:
        body = {"state": state, "mutation_id": new_id(), **fields}
        headers = {"If-Match": "*", **bearer(who)}
        async with self.http.put(f"/v1/saves/{slot}", json=body, headers=headers) as answer:
            told: Json = await answer.json()
            assert answer.status == 200, told
            return told

    async def announced(self, who: UserId) -> list[str]:
        """List the quests that devices were told of as available, after all looks are done."""
        await self.availability.check_waiting()
        rows = await self.run(
            "SELECT data ->> 'name' AS name FROM progress_changes"
            " WHERE account_id = $1 AND kind = 'quest.available' ORDER BY number",
            who,
        )
        return [row["name"] for row in rows]

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
async def quests(database: Database, rls: RlsDatabase) -> AsyncIterator[Quests]:
    clock, changes, events = MovedClock(), ProgressStore(database), LocalEventBus()
    deletions = Deletions()
    _, _, save_routes = served_saves(
        database, rls, SAVES, publish=events.publish, deletions=deletions
    )
    access, store = SlotAccess(changes), QuestStore(database)
    streams = ProgressStreams(Subscriptions(MemoryBroker()), changes, events.publish)
    catalogue = QuestCatalogue(store, clock.monotonic)
    async with Tasks() as tasks:
        economy, economy_store, definitions, _ = make_service(
            database, rls, tasks, ECONOMY, publish=events.publish
        )
        deletions.add_holdings(economy.held_in)
        service = QuestService(
            database=database,
            rls=rls,
            store=store,
            catalogue=catalogue,
            slots=access,
            stream=streams,
            economy=economy,
            review=economy,
            clock=clock,
        )
        slot_games = SlotGameService(
            database=database,
            rls=rls,
            store=SlotGameStore(database),
            slots=access,
            stream=streams,
            economy=economy,
        )
        availability = QuestAvailability(
            database=database,
            catalogue=catalogue,
            slots=access,
            stream=streams,
            clock=clock,
            announce=service.announce_available,
        )
        events.add_listeners(
            {
                ProgressChanged: availability.note_change,
                ProgressFollowed: availability.note_follower,
            }
        )
        market = InventoryRoutes(
            service=economy, store=economy_store, settings=ECONOMY, clock=clock
        )
        routes = [
            save_routes,
            market,
            DefinitionRoutes(definitions),
            QuestRoutes(service, SETTINGS, clock),
            SlotGameRoutes(slot_games, clock),
        ]
        endpoints = [each for some in routes for each in some.endpoints()]
        async with served(endpoints, by_user_id) as http:
            quests = Quests(
                http, database, clock, economy, service, access, availability, streams, slot_games
            )
            for plural, name in (("currencies", "gold"), ("items", "iron.sword")):
                assert await quests.define(plural, name) == (200, "")
            yield quests


@pytest.fixture
async def ada(quests: Quests) -> UserId:
    return await quests.person()
