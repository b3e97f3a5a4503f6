"""Quests and saves that are a log, on a real node: devices are told, all is exported and erased."""

import asyncio
import io
import zipfile
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from protocol.ids import new_id
from tests.faults.client_line import Guest, Json, Line, new_guests
from tests.fixtures.http import bearer
from tests.fixtures.node import Node

WAIT_S = 30
TABLES = {"quest_progress", "reward_claims", "save_logs"}


async def test_story_is_played_by_commands_and_its_quest_rewarded(
    fresh_dsn: str, serving_dsn: str, tmp_path: Path
) -> None:
    with Node(tmp_path, serving_dsn) as node:
        ann, boss = await new_guests(node, 2)
        owner = await asyncpg.connect(fresh_dsn)
        await owner.execute(
            "INSERT INTO account_roles (user_id, role) VALUES ($1, 'editor')",
            boss.session["user_id"],
        )
        async with aiohttp.ClientSession(node.url) as web, Line(node.websocket_url) as device:

            async def ask(who: Guest, method: str, path: str, body: Any = None) -> Json:
                headers = {**bearer(who.token), "If-Match": "*"}
                async with web.request(method, f"/v1{path}", json=body, headers=headers) as answer:
                    told: Json = await answer.json()
                    assert answer.status == 200, told
                    return told

            await device.call("session.hello", token=ann.token, companion=True)
            await device.ok("progress.watch")
            await ask(boss, "PUT", "/admin/currencies/gold", {"name": "Gold", "scope": "account"})
            schema = {"json_schema": {"type": "object"}, "merge": {"/*": "server"}}
            await ask(boss, "PUT", "/admin/save-schemas/lamplighter/1", schema)
            quest = {
                "title": "Know the keeper",
                "required_flags": "flags.knows_keeper",
                "reward_bundle": {"currencies": {"gold": 5}},
            }
            await ask(boss, "PUT", "/admin/quests/lamplighter/keeper", quest)

            slot = (await ask(ann, "POST", "/saves", {"title": "lamplighter"}))["slot_id"]
            begun = await ask(ann, "POST", f"/saves/{slot}/log", {})
            quests = f"/saves/{slot}/quests"
            assert (await ask(ann, "GET", quests))["quests"][0]["status"] == "locked"
            commands = {
                "moves": [{"type": "choose", "choice": "ask_keeper"}],
                "at_index": begun["next_index"],
                "mutation_id": new_id(),
            }
            await ask(ann, "POST", f"/saves/{slot}/commands", commands)
            assert "quest.available" in await _kinds(device, "quest.available")
            for verb in ("accept", "complete", "claim"):
                done = await ask(ann, "POST", f"{quests}/keeper/{verb}")
            assert done["granted"]["currencies"] == {"gold": 5}
            assert (await ask(ann, "GET", f"/saves/{slot}/inventory"))["currencies"] == {"gold": 5}
            kinds = await _kinds(device, "quest.claimed")
            assert [kind for kind in kinds if kind.startswith("quest.")] == [
                "quest.active",
                "quest.completed",
                "quest.claimed",
            ]

            async with web.get("/v1/me/export", headers=bearer(ann.token)) as answer:
                files = zipfile.ZipFile(io.BytesIO(await answer.read()))
            exported = {
                name.partition("tables/")[2].removesuffix(".jsonl")
                for name in files.namelist()
                if "tables/" in name and files.read(name)
            }
            assert exported >= TABLES
            logs = next(name for name in files.namelist() if name.endswith("save_logs.jsonl"))
            assert b"seed" not in files.read(logs)
            async with web.get("/metrics") as answer:
                assert "playhall_quests_claimed_total 1.0" in await answer.text()
            username = (await ask(ann, "GET", "/me"))["username"]
            await ask(ann, "DELETE", "/me", {"confirm": username})
        for table in (*TABLES, "save_log_events", "save_log_mutations"):
            assert await owner.fetchval(f"SELECT count(*) FROM {table}") == 0
        await owner.close()


async def _kinds(device: Line, last: str) -> list[str]:
    """Read until a change of a kind is here."""
    kinds: dict[int, str] = {}
    async with asyncio.timeout(WAIT_S):
        while last not in kinds.values():
            device.updates.clear()
            await device.read()
            for update in device.updates:
                if update["type"] == "progress.change":
                    kinds[update["number"]] = update["kind"]
    return [kinds[number] for number in sorted(kinds)]
