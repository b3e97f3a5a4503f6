"""Random play in several slots at once: quests go by their table, and rewards are given once."""

import asyncio
from datetime import timedelta
from random import Random
from typing import Any

import asyncpg
import pytest

from persistence.inventory.verification import EconomyVerification
from protocol.ids import UserId, new_id
from server.domains.progression.quests.machine import TRANSITIONS, QuestStatus
from tests.integration.quests.conftest import Quests

STEPS = 70
SLOTS_MAX = 4
AT_ONCE = 3
GOLD = {"wolf": 5, "bear": 7, "hare": 11}
MET = {"flags": {"met": True}}
VERBS = ("accept", "advance", "complete", "claim", "claim", "abandon")
# What the database's own trigger lets through is recorded beside it.
RECORD = """
    CREATE TABLE moves (one text, two text);
    GRANT INSERT ON moves TO playhall_server;
    CREATE FUNCTION record_move() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO public.moves VALUES (OLD.status, NEW.status);
        RETURN NULL;
    END $$;
    CREATE TRIGGER record AFTER UPDATE ON quest_progress
        FOR EACH ROW EXECUTE FUNCTION record_move();
"""


class Player:
    """Somebody who does anything, in any order, with several requests at once."""

    def __init__(self, quests: Quests, who: UserId, seed: int) -> None:
        self.quests = quests
        self.who = who
        self.random = Random(seed)
        self.slots: list[str] = []
        self.granted = 0  # gold, as the answers say

    async def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        headers = {"If-Match": "*", "Authorization": f"Bearer {self.who}"}
        url = f"/v1/saves{path}"
        asked = self.quests.http.request(method, url, json=body, params=query, headers=headers)
        async with asked as answer:
            told = await answer.json()
            assert answer.status < 500, told
            return told

    async def begin(self) -> None:
        made = await self.ask("POST", "", {"title": "demo"})
        if "slot_id" in made:
            self.slots.append(made["slot_id"])

    async def act(self) -> None:
        """Do anything with any slot, which another request may be deleting."""
        if not self.slots:
            await self.begin()
            return
        slot, choice = self.random.choice(self.slots), self.random.random()
        if choice < 0.65:
            await self._act_on_quest(slot)
        elif choice < 0.8:
            flags = {name: self.random.random() < 0.7 for name in ("met", "dead")}
            flags["dead"] = self.random.random() < 0.1
            body = {"state": {"flags": flags}, "mutation_id": new_id()}
            await self.ask("PUT", f"/{slot}", body)
        elif choice < 0.85:
            body = {"mutation_id": new_id()}
            await self.ask("POST", f"/{slot}/revisions/1/restore", body)
        elif choice < 0.9 and len(self.slots) < SLOTS_MAX:
            await self._copy(slot)
        elif choice < 0.94:
            self.slots = [each for each in self.slots if each != slot]
            await self.ask("DELETE", f"/{slot}", discard="true")
        elif choice < 0.97:
            self.quests.clock.at += timedelta(minutes=self.random.choice((10, 70)))
        elif len(self.slots) < SLOTS_MAX:
            await self.begin()

    async def finish(self) -> None:
        """Do what a player does who wants a reward, whatever was before."""
        await self.begin()
        slot = self.slots[-1]
        await self.ask("PUT", f"/{slot}", {"state": MET, "mutation_id": new_id()})
        for verb in ("accept", "complete", "claim"):
            await self._do(slot, "wolf", verb)

    async def _act_on_quest(self, slot: str) -> None:
        name, verb = self.random.choice(list(GOLD)), self.random.choice(VERBS)
        await self._do(slot, name, verb)

    async def _do(self, slot: str, name: str, verb: str) -> None:
        body = {"step": "talk"} if verb == "advance" else {}
        done = await self.ask("POST", f"/{slot}/quests/{name}/{verb}", body)
        if done.get("granted") and not done["is_repeated"]:
            self.granted += done["granted"]["currencies"].get("gold", 0)

    async def _copy(self, slot: str) -> None:
        file = await self.ask("GET", f"/{slot}/export")
        if "state" not in file:
            return
        copy = await self.ask("POST", "/import", file)
        if "slot_id" in copy:
            self.slots.append(copy["slot_id"])


@pytest.mark.parametrize("seed", range(2))
async def test_random_play_keeps_to_the_table_and_is_rewarded_once(
    quests: Quests, ada: UserId, fresh_dsn: str, seed: int
) -> None:
    owner = await asyncpg.connect(fresh_dsn)
    await owner.execute(RECORD)
    schedule = {"starts_at": "2026-10-01T12:00", "zone": "UTC", "duration_s": 3600}
    await quests.put("fair", kind="events", recurrence="FREQ=DAILY", **schedule)
    conditions: dict[str, Any] = {
        "wolf": {"required_flags": "flags.met", "fails_when": "flags.dead"},
        "bear": {"steps": [{"kind": "report", "name": "talk"}]},
        "hare": {"event": "fair", "required_flags": 'quests.bear != "active"'},
    }
    for name, fields in conditions.items():
        reward = {"currencies": {"gold": GOLD[name]}, "items": {"iron.sword": 1}}
        await quests.put(name, reward_bundle={**reward, "flags": {"met": True}}, **fields)
    player = Player(quests, ada, seed)
    for _ in range(STEPS):
        await asyncio.gather(*(player.act() for _ in range(AT_ONCE)))
        await quests.availability.check_waiting()
    await player.finish()

    claimed = await quests.run(
        "SELECT name FROM reward_claims JOIN quests USING (quest_id) WHERE grant_key = 'reward'"
    )
    gold = await quests.run("SELECT balance FROM currency_balances WHERE slot_id IS NULL")
    earned = sum(GOLD[row["name"]] for row in claimed)
    assert "wolf" in {row["name"] for row in claimed}
    assert [row["balance"] for row in gold] == [earned]
    assert player.granted == earned
    grants = await quests.run("SELECT key FROM ledger_transactions WHERE kind = 'grant'")
    assert len(grants) == len(claimed)

    moves = {(row["one"], row["two"]) for row in await owner.fetch("SELECT DISTINCT * FROM moves")}
    await owner.close()
    listed = {(str(one), str(two)) for one in TRANSITIONS for two in TRANSITIONS[one].values()}
    steps = {
        (str(status), str(status)) for status in QuestStatus
    }  # a step of a quest that stays active
    assert moves <= listed | steps
    assert ("completed", "claimed") in moves
    async for checked in EconomyVerification(quests.database).check_accounts():
        assert checked.differences == []
