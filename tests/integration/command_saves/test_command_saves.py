"""Saves that are the log of a ruleset, over HTTP, on a real database."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg
import pytest

from persistence.broker.memory import MemoryBroker
from persistence.command_saves.store import SaveLogStore
from persistence.database import Database
from persistence.rls import RlsDatabase
from persistence.saves.changes import ProgressStore
from persistence.saves.schemas import SaveSchemaStore
from protocol.ids import UserId, new_id
from server.core.clock import Clock
from server.core.events import LocalEventBus
from server.core.subscriptions import Subscriptions
from server.domains.progression.command_saves.http import CommandSaveRoutes
from server.domains.progression.command_saves.service import CommandSaveService
from server.domains.progression.command_saves.settings import CommandSavesSettings
from server.domains.progression.saves.service import SlotAccess
from server.domains.progression.saves.streams import ProgressStreams
from server.ops.audit.findings import CheckFailed
from server.ops.saves_cli import VerifyContext, check_save_log
from server.rulesets import find_rulesets
from tests.fixtures.http import bearer, served
from tests.fixtures.rows import add_profile
from tests.integration.saves.conftest import by_user_id, served_saves

Json = dict[str, Any]
SETTINGS = CommandSavesSettings(requests_per_minute=1_000_000, requests_burst=1_000_000)
GOOD_NIGHT = (
    *("ask_keeper", "walk_to_sands", "return", "go_to_market", "buy_oil", "leave"),
    *("walk_to_sands", "cross", "light"),
)


def choose(*choices: str) -> list[Json]:
    return [{"type": "choose", "choice": choice} for choice in choices]


@dataclass
class Stories:
    """Saves and their logs, as different people use them."""

    http: aiohttp.ClientSession
    database: Database

    async def person(self) -> UserId:
        async with self.database.acquire() as connection:
            return UserId(str(await add_profile(connection, None)))

    async def ask(
        self, who: str, method: str, path: str, body: Any = None, match: str | None = None
    ) -> tuple[int, Json]:
        headers = bearer(UserId(who)) | ({"If-Match": match} if match else {})
        async with self.http.request(method, path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def slot(self, who: UserId, title: str = "lamplighter", **fields: Any) -> str:
        _, made = await self.ask(who, "POST", "/v1/saves", {"title": title, **fields})
        return str(made["slot_id"])

    async def story(self, who: UserId) -> str:
        slot = await self.slot(who)
        status, begun = await self.ask(who, "POST", f"/v1/saves/{slot}/log", {})
        assert status == 200, begun
        return slot

    async def command(
        self, who: UserId, slot: str, moves: list[Json], at: int, mutation_id: str | None = None
    ) -> tuple[int, Json]:
        body = {"moves": moves, "at_index": at, "mutation_id": mutation_id or new_id()}
        return await self.ask(who, "POST", f"/v1/saves/{slot}/commands", body)

    async def state(self, who: UserId, slot: str) -> Json:
        _, save = await self.ask(who, "GET", f"/v1/saves/{slot}")
        return dict(save["state"])

    async def check(self, slot: str) -> None:
        await check_save_log(VerifyContext(self.database, find_rulesets()), slot)


@pytest.fixture
async def stories(database: Database, rls: RlsDatabase) -> AsyncIterator[Stories]:
    changes, clock = ProgressStore(database), Clock()
    _, _, save_routes = served_saves(database, rls)
    service = CommandSaveService(
        database=database,
        store=SaveLogStore(),
        schemas=SaveSchemaStore(database),
        slots=SlotAccess(changes),
        stream=ProgressStreams(Subscriptions(MemoryBroker()), changes, LocalEventBus().publish),
        rulesets=find_rulesets(),
        clock=clock,
        new_seed=lambda: "5eed" * 16,
    )
    routes = CommandSaveRoutes(service, SETTINGS, clock)
    async with served([*save_routes.endpoints(), *routes.endpoints()], by_user_id) as http:
        stories = Stories(http, database)
        schema = {"json_schema": {"type": "object"}, "merge": {"/*": "server"}}
        path = "/v1/admin/save-schemas/lamplighter/1"
        assert (await stories.ask("editor", "PUT", path, schema))[0] == 200
        yield stories


@pytest.fixture
async def ada(stories: Stories) -> UserId:
    return await stories.person()


async def test_story_is_played_by_commands_and_verified(stories: Stories, ada: UserId) -> None:
    slot = await stories.story(ada)
    _, begun = await stories.ask(ada, "GET", f"/v1/saves/{slot}/log")
    assert [event["type"] for event in begun["events"]] == ["game_created", "scene_entered"]
    assert "5eed" not in str(begun)
    assert {"type": "choose", "choice": "walk_to_sands"} in begun["view"]["legal_moves"]

    half = len(GOOD_NIGHT) // 2
    _, first = await stories.command(ada, slot, choose(*GOOD_NIGHT[:half]), 2)
    assert (await stories.state(ada, slot))["flags"]["knows_keeper"]
    _, done = await stories.command(ada, slot, choose(*GOOD_NIGHT[half:]), first["next_index"])
    assert done["is_over"]
    state = await stories.state(ada, slot)
    assert (state["scene"], state["flags"]["lamp_lit"]) == ("lit", True)
    assert state["lore"] == ["the_keepers_debt", "the_last_light"]
    await stories.check(slot)
    status, refused = await stories.command(ada, slot, choose("light"), done["next_index"])
    assert (status, refused["code"]) == (409, "invalid_phase")


async def test_what_is_impossible_is_refused_and_changes_nothing(
    stories: Stories, ada: UserId
) -> None:
    slot = await stories.story(ada)
    before = await stories.state(ada, slot)
    for moves, code in (
        (choose("ask_keeper", "light"), "no_such_choice"),
        (choose("go_to_market"), "choice_closed"),
        ([{"type": "win"}], "unknown_move"),
    ):
        status, refused = await stories.command(ada, slot, moves, 2)
        assert (status, refused["code"]) == (409, code)
    assert (
        "moves.1"
        in (await stories.command(ada, slot, choose("ask_keeper", "light"), 2))[1]["message"]
    )
    _, stale = await stories.command(ada, slot, choose("ask_keeper"), 1)
    assert (stale["code"], stale["field"]) == ("save_log_moved_on", "at_index")
    for body in ({"moves": [], "at_index": 2}, {"moves": choose("a") * 101, "at_index": 2}):
        path = f"/v1/saves/{slot}/commands"
        assert (await stories.ask(ada, "POST", path, {**body, "mutation_id": new_id()}))[0] == 422
    assert await stories.state(ada, slot) == before
    await stories.check(slot)


async def test_client_cannot_write_the_state_that_the_rules_give(
    stories: Stories, ada: UserId
) -> None:
    slot = await stories.story(ada)
    before = await stories.state(ada, slot)
    forged = {**before, "flags": {"lamp_lit": True}}
    body = {"state": forged, "mutation_id": new_id()}
    status, refused = await stories.ask(ada, "PUT", f"/v1/saves/{slot}", body, '"2"')
    assert (status, refused["code"]) == (422, "server_field")
    await stories.ask(ada, "PUT", f"/v1/saves/{slot}", body, "*")  # keeps the server's fields
    assert await stories.state(ada, slot) == before
    made = {"title": "lamplighter", "state": forged}
    assert (await stories.ask(ada, "POST", "/v1/saves", made))[1]["code"] == "server_field"
    _, file = await stories.ask(ada, "GET", f"/v1/saves/{slot}/export")
    _, copy = await stories.ask(ada, "POST", "/v1/saves/import", file)
    assert copy["state"] == {}
    assert await stories.state(ada, slot) == before

    _, played = await stories.command(ada, slot, choose("ask_keeper"), 2)
    restore = f"/v1/saves/{slot}/revisions/1/restore"
    await stories.ask(ada, "POST", restore, {"mutation_id": new_id()}, "*")
    assert (await stories.state(ada, slot))["flags"] == {"knows_keeper": True}
    await stories.check(slot)
    assert played["next_index"] > 2


async def test_request_that_is_repeated_or_raced_is_carried_out_once(
    stories: Stories, ada: UserId
) -> None:
    slot, mutation_id = await stories.story(ada), new_id()
    moves = choose("help_fishers")
    same = await asyncio.gather(
        *(stories.command(ada, slot, moves, 2, mutation_id) for _ in range(20))
    )
    assert {status for status, _ in same} == {200}
    assert sum(not answer["is_repeated"] for _, answer in same) == 1
    assert all(answer["events"] == same[0][1]["events"] for _, answer in same)
    assert (await stories.state(ada, slot))["counters"]["coins"] == 5
    _, other = await stories.command(ada, slot, choose("ask_keeper"), 2, mutation_id)
    assert other["code"] == "mutation_reused"

    at = same[0][1]["next_index"]
    raced = await asyncio.gather(
        *(stories.command(ada, slot, choose("ask_keeper"), at) for _ in range(20))
    )
    assert sorted(status for status, _ in raced) == [200] + [409] * 19
    await stories.check(slot)
    again = await stories.ask(ada, "POST", f"/v1/saves/{slot}/log", {})
    assert again[1]["is_repeated"]


async def test_slot_that_cannot_be_a_log_is_refused(stories: Stories, ada: UserId) -> None:
    for title in ("four_in_a_row", "relay"):
        slot = await stories.slot(ada, title)
        status, refused = await stories.ask(ada, "POST", f"/v1/saves/{slot}/log", {})
        assert (status, refused["code"]) == (409, "not_simulated")
        assert (await stories.command(ada, slot, choose("a"), 0))[1]["code"] == "no_save_log"
    slot, eve = await stories.slot(ada), await stories.person()
    bad = {"config": {"turn_timeout_s": -1}}
    _, refused = await stories.ask(ada, "POST", f"/v1/saves/{slot}/log", bad)
    assert (refused["code"], refused["field"]) == ("invalid_field", "config.turn_timeout_s")
    for method, path, body in (
        ("POST", "log", {}),
        ("GET", "log", None),
        ("POST", "commands", {"moves": choose("a"), "at_index": 2, "mutation_id": new_id()}),
    ):
        _, answer = await stories.ask(eve, method, f"/v1/saves/{slot}/{path}", body)
        assert answer["code"] == "save_slot_not_found"


@pytest.mark.parametrize(
    ("tampering", "problem"),
    [
        (
            'UPDATE save_slots SET narrative_state = narrative_state || \'{"scene": "lit"}\'',
            "its state is not",
        ),
        (
            "UPDATE save_log_events SET payload = payload || '{\"hour\": 5}' WHERE event_index = 1",
            "hash of event 1",
        ),
        ("DELETE FROM save_log_events WHERE event_index = 6", "has 6 events|hash"),
        ("UPDATE save_logs SET seed = repeat('0', 64)", "event 0"),
    ],
)
async def test_tampering_is_found(
    stories: Stories, ada: UserId, fresh_dsn: str, tampering: str, problem: str
) -> None:
    slot = await stories.story(ada)
    await stories.command(ada, slot, choose("ask_keeper"), 2)
    await stories.check(slot)
    owner = await asyncpg.connect(fresh_dsn)
    await owner.execute(tampering)
    await owner.close()
    with pytest.raises(CheckFailed, match=problem):
        await stories.check(slot)
