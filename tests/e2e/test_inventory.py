"""Inventories on a real node: devices are told, copies of slots hold nothing, all is exported."""

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
TABLES = {
    "inventory_items",
    "currency_balances",
    "ledger_transactions",
    "ledger_entries",
    "unlocks",
}


async def test_economy_of_a_title_from_its_definitions_to_the_erasure_of_its_player(
    fresh_dsn: str, serving_dsn: str, tmp_path: Path
) -> None:
    with Node(tmp_path, serving_dsn) as node:
        ann, boss = await new_guests(node, 2)
        owner = await asyncpg.connect(fresh_dsn)
        await owner.execute(
            "INSERT INTO account_roles (user_id, role) VALUES ($1, 'admin')",
            boss.session["user_id"],
        )
        async with aiohttp.ClientSession(node.url) as web, Line(node.websocket_url) as device:

            async def ask(
                who: Guest, method: str, path: str, body: Any = None, **more: str
            ) -> Json:
                headers = {**bearer(who.token), **more}
                async with web.request(method, f"/v1{path}", json=body, headers=headers) as answer:
                    told: Json = await answer.json()
                    assert answer.status == 200, told
                    return told

            await device.call("session.hello", token=ann.token, companion=True)
            after = (await device.ok("progress.watch"))["number"]
            match = {"If-Match": "*"}
            for path, body in (
                ("items/iron", {"name": "Iron", "is_server_owned": False}),
                ("items/sword", {"name": "Sword"}),
                ("currencies/gold", {"name": "Gold", "scope": "account"}),
                (
                    "recipes/forge",
                    {
                        "name": "Forge",
                        "takes": {"items": {"iron": 2}},
                        "gives": {"items": {"sword": 1}},
                    },
                ),
            ):
                await ask(boss, "PUT", f"/admin/{path}", body, **match)

            state = {"inventory": {"sword": 99}}
            slot = (await ask(ann, "POST", "/saves", {"title": "demo", "state": state}))["slot_id"]
            inventory = f"/saves/{slot}/inventory"
            found = {"key": "k1", "bundle": {"items": {"iron": 5}}}
            await ask(ann, "POST", f"{inventory}/collect", found)
            await ask(ann, "POST", f"{inventory}/craft", {"key": "k2", "recipe_id": "forge"})
            gift = {
                "key": "g1",
                "account_id": ann.session["user_id"],
                "slot_id": slot,
                "kind": "give",
                "bundle": {"currencies": {"gold": 9}, "lore": ["anvil"]},
                "reason": "Sorry for the outage",
            }
            await ask(boss, "POST", "/admin/economy/adjustments", gift)
            changes = await _changes(device, after + 4)
            assert [each["kind"] for each in changes] == ["save.revision"] + 3 * [
                "inventory.changed"
            ]
            assert changes[2]["data"]["items"] == [
                {"item_id": "iron", "stack_key": "", "quantity": 3},
                {"item_id": "sword", "stack_key": "", "quantity": 1},
            ]
            assert changes[3]["data"]["currencies"] == {"gold": 9}

            # What a client writes into its save is no inventory; a copy of a slot holds nothing.
            write = {"mutation_id": new_id(), "state": {"inventory": {"iron": 10**6}}}
            await ask(ann, "PUT", f"/saves/{slot}", write, **{"If-Match": '"1"'})
            restore = {"mutation_id": new_id()}
            path = f"/saves/{slot}/revisions/1/restore"
            await ask(ann, "POST", path, restore, **{"If-Match": '"2"'})
            held = await ask(ann, "GET", inventory)
            assert {each["item_id"]: each["quantity"] for each in held["items"]} == {
                "iron": 3,
                "sword": 1,
            }
            file = await ask(ann, "GET", f"/saves/{slot}/export")
            copy = (await ask(ann, "POST", "/saves/import", file))["slot_id"]
            assert await ask(ann, "GET", f"/saves/{copy}/inventory") == {
                "slot_id": copy,
                "items": [],
                "currencies": {"gold": 9},
                "next": None,
            }

            async with web.get("/v1/me/export", headers=bearer(ann.token)) as answer:
                files = zipfile.ZipFile(io.BytesIO(await answer.read()))
            exported = {
                name.partition("tables/")[2].removesuffix(".jsonl")
                for name in files.namelist()
                if "tables/" in name and files.read(name)
            }
            assert exported >= TABLES
            async with web.get("/metrics") as answer:
                assert "playhall_ledger_transactions_total 3.0" in await answer.text()
            username = (await ask(ann, "GET", "/me"))["username"]
            await ask(ann, "DELETE", "/me", {"confirm": username})
        for table in TABLES:
            assert await owner.fetchval(f"SELECT count(*) FROM {table}") == 0
        await owner.close()


async def _changes(device: Line, last: int) -> list[Json]:
    """Read until a change is here."""
    changes: dict[int, Json] = {}
    async with asyncio.timeout(WAIT_S):
        while last not in changes:
            device.updates.clear()
            await device.read()
            for update in device.updates:
                if update["type"] == "progress.change":
                    changes[update["number"]] = update
    return [changes[number] for number in sorted(changes)]
