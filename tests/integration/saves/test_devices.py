"""The client package against a served API: devices that sync, and a queue in a file."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from persistence.database import Database
from persistence.rls import RlsDatabase
from persistence.saves.changes import ProgressStore
from playhall.errors import ClientError, Json, RequestRefused
from playhall.http import HttpClient
from playhall.saves import PENDING_MAX, OfflineSaves, SaveQueue, SaveRequest
from protocol.ids import UserId, new_id
from server.domains.progression.saves.service import CONFLICTS_MAX, SlotAccess
from server.domains.progression.saves.settings import SavesSettings
from tests.faults.devices import MERGE, START, Simulation
from tests.fixtures.http import served
from tests.integration.saves.conftest import Saves, by_user_id, served_saves


class Account:
    """Whoever the token says."""

    def __init__(self, user_id: UserId) -> None:
        self.token = str(user_id)


class ServedSaves:
    """One slot of the served API, as the simulation asks."""

    def __init__(self, saves: Saves, who: UserId, slot_id: str) -> None:
        self._saves = saves
        self._who = who
        self._slot_id = slot_id

    async def _ask(self, method: str, path: str, body: Any = None, match: Any = None) -> Json:
        answer = await self._saves.ask(
            self._who, method, f"/{self._slot_id}{path}", body, match=match
        )
        if answer.status >= 400:
            raise RequestRefused.from_reply(answer.body)
        return answer.body

    async def put(self, request: SaveRequest) -> Json:
        return await self._ask("PUT", "", request.body, request.base)

    async def get(self) -> tuple[int, Json]:
        save = await self._ask("GET", "")
        return save["revision"], save["state"]

    async def open_conflicts(self) -> list[str]:
        conflicts = (await self._ask("GET", "/conflicts"))["conflicts"]
        return [each["conflict_id"] for each in conflicts if each["status"] == "open"]

    async def resolve(self, conflict_id: str, mutation_id: str, side: str) -> int:
        body = {"conflict_id": conflict_id, "mutation_id": mutation_id, "choose": side}
        return int((await self._ask("POST", "/resolve", body, "*"))["revision"])

    async def undo(self, conflict_id: str, mutation_id: str) -> bool:
        body = {"conflict_id": conflict_id, "mutation_id": mutation_id}
        try:
            await self._ask("POST", "/undo", body, "*")
        except RequestRefused:
            return False
        return True

    async def revision(self, revision: int) -> Json:
        return dict((await self._ask("GET", f"/revisions/{revision}"))["state"])

    async def parents(self) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {}
        query = "?limit=100"
        while True:
            page = await self._ask("GET", f"/revisions{query}")
            found |= {each["revision"]: each["parents"] for each in page["revisions"]}
            if page["next"] is None:
                return found
            query = f"?limit=100&cursor={page['next']}"


@pytest.fixture
async def roomy(database: Database, rls: RlsDatabase) -> AsyncIterator[Saves]:
    """Saves that forget nothing."""
    settings = SavesSettings(
        saves_revisions_kept=1000,
        saves_slots_max=100,
        saves_writes_per_minute=10**6,
        saves_writes_burst=10**6,
    )
    service, schemas, routes = served_saves(database, rls, settings)
    async with served(routes.endpoints(), by_user_id) as http:
        access = SlotAccess(ProgressStore(database))
        saves = Saves(http, database, service, schemas, access)
        await saves.publish(merge=MERGE)
        yield saves


async def test_devices_converge_on_a_real_server(roomy: Saves) -> None:
    ada = await roomy.person()
    seen = 0
    for seed in range(4):
        server = ServedSaves(roomy, ada, await roomy.make(ada, START))
        simulation = Simulation(seed, server, devices=3, steps=60)
        await simulation.run()
        seen += simulation.conflicts
    assert seen, "these seeds show no conflict"


# ------------------------------------------------------------------ the queue in a file


@pytest.fixture
async def http(roomy: Saves) -> AsyncIterator[HttpClient]:
    async with HttpClient(str(roomy.http._base_url).rstrip("/")) as http:
        yield http


async def test_save_survives_the_program_and_is_sent_later(
    roomy: Saves, http: HttpClient, tmp_path: Path
) -> None:
    ada = await roomy.person()
    file = tmp_path / "saves.json"
    phone = OfflineSaves(http, Account(ada), file, device="phone")
    slot = await phone.create("demo", {"gold": 10})
    laptop = OfflineSaves(http, Account(ada), tmp_path / "other.json", device="laptop")
    assert await laptop.open(slot) == {"gold": 10}

    async with HttpClient("http://127.0.0.1:1") as nowhere:
        away = OfflineSaves(nowhere, Account(ada), file, device="phone")
        away.write(slot, {"gold": 12})
        away.write(slot, {"gold": 13}, play_time_s=60)
        assert not await away.sync()
    laptop.write(slot, {"gold": 15})
    assert await laptop.sync()

    later = OfflineSaves(http, Account(ada), file, device="phone")
    assert later.state(slot) == {"gold": 13}
    assert await later.sync()
    assert later.state(slot) == await roomy.state(ada, slot) == {"gold": 18}
    assert later.queue.count_waiting() == 0
    assert await laptop.sync()
    assert laptop.state(slot) == {"gold": 18}


async def test_conflicts_and_refusals_are_told_and_lose_nothing(
    roomy: Saves, http: HttpClient, tmp_path: Path
) -> None:
    ada = await roomy.person()
    device = OfflineSaves(http, Account(ada), tmp_path / "saves.json")
    slot = await device.create("demo", {"name": "x"})
    await roomy.write(ada, slot, 1, {"name": "y"})
    device.write(slot, {"name": "z"})
    assert await device.sync()
    (conflict,) = device.queue.conflicts
    assert conflict.details["paths"] == ["/name"]
    assert device.state(slot) == {"name": "y"}

    device.write(slot, {"text": "\0"})
    assert await device.sync()
    (refused,) = device.queue.refused
    assert (refused.error.code, refused.state) == ("invalid_field", {"text": "\0"})
    assert device.state(slot) == {"name": "y"}

    await roomy.ask(ada, "DELETE", f"/{slot}")
    device.write(slot, {"name": "late"})
    assert await device.sync()
    assert device.queue.list_slots() == []
    assert device.queue.refused[-1].state == {"name": "late"}

    stranger = OfflineSaves(http, Account(UserId("nobody")), tmp_path / "saves.json")
    stranger._account.token = ""
    with pytest.raises(RequestRefused, match="bad_token"):
        await stranger.open(new_id())


async def test_refused_writes_stay_in_the_file_until_they_are_taken(
    roomy: Saves, http: HttpClient, tmp_path: Path
) -> None:
    ada = await roomy.person()
    file = tmp_path / "saves.json"
    device = OfflineSaves(http, Account(ada), file)
    slot = await device.create("demo", {"name": "x"})
    await roomy.ask(ada, "DELETE", f"/{slot}")
    device.write(slot, {"name": "late"})
    assert await device.sync()

    restarted = OfflineSaves(http, Account(ada), file)
    (refused,) = restarted.take_refused()
    assert (refused.slot_id, refused.state) == (slot, {"name": "late"})
    assert refused.error.code == "save_slot_not_found"
    assert OfflineSaves(http, Account(ada), file).take_refused() == []


async def test_slot_with_too_many_conflicts_does_not_hold_up_the_others(
    roomy: Saves, http: HttpClient, tmp_path: Path
) -> None:
    ada = await roomy.person()
    device = OfflineSaves(http, Account(ada), tmp_path / "saves.json")
    full = await device.create("demo", {"name": "x"})
    other = await device.create("demo", {"name": "x"})
    await roomy.write(ada, full, 1, {"name": "y"})
    for n in range(CONFLICTS_MAX):
        await roomy.write(ada, full, 1, {"name": f"branch {n}"})
    device.write(full, {"name": "z"})
    device.write(other, {"name": "z"})
    with pytest.raises(RequestRefused, match="too_many_save_conflicts"):
        await device.sync()
    assert device.queue.count_waiting(full) == 1
    assert device.queue.count_waiting(other) == 0
    assert await roomy.state(ada, other) == {"name": "z"}


def test_queue_keeps_states_as_they_were_written() -> None:
    queue = SaveQueue()
    queue.update_from_server("s", 1, {"seen": []})
    state = queue.state("s")
    for n in range(3):
        state["seen"].append(n)
        queue.write("s", state)
        sent = queue.next_request("s")
        assert sent is not None
        assert sent.body["state"] == {"seen": [0]}, "what may have arrived must not change"
    queue.state("s")["seen"].clear()
    assert queue.state("s") == {"seen": [0, 1, 2]}


@pytest.mark.parametrize("bad", [2**70, {1, 2}, {3: "key"}, "\ud800"])
def test_state_that_is_not_json_is_refused_and_changes_nothing(bad: object) -> None:
    queue = SaveQueue()
    queue.update_from_server("s", 1, {"gold": 1})
    with pytest.raises(ClientError, match="cannot be written as JSON"):
        queue.write("s", {"gold": bad})
    assert queue.state("s") == {"gold": 1}
    assert queue.count_waiting() == 0
    queue.write("s", {"gold": 2})
    assert queue.to_json()


def test_queue_is_bounded_and_the_last_write_counts() -> None:
    queue = SaveQueue("phone")
    queue.update_from_server("s", 1, {})
    first = queue.next_request("s")
    assert first is None
    for n in range(3 * PENDING_MAX):
        queue.write("s", {"n": n})
        queue.next_request("s")
    assert queue.count_waiting("s") == PENDING_MAX
    sent = queue.next_request("s")
    assert sent is not None
    assert (sent.base, sent.body["state"]) == (1, {"n": 0}), "what may have arrived stays"
    for n in range(PENDING_MAX):
        request = queue.next_request("s")
        assert request is not None
        queue.on_accepted(request, {"revision": n + 2, "current": n + 2})
    assert queue.next_request("s") is None
    assert queue.state("s") == {"n": 3 * PENDING_MAX - 1}
    queue.on_accepted(request, {"revision": 1, "current": 1})  # answered twice

    again = SaveQueue("phone")
    again.load(queue.to_json())
    assert again.to_json() == queue.to_json()
    for damaged in (b"", b"{}", b'{"format": 2, "slots": []}', b'{"format": 1, "slots": [{}]}'):
        with pytest.raises(ClientError):
            again.load(damaged)
