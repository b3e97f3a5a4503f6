"""Saves on real nodes: one device writes, others are told, and all of it is the person's own."""

import asyncio
import io
import json
import zipfile
from contextlib import AsyncExitStack
from operator import itemgetter
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from protocol.ids import new_id
from server.gateway.session.sessions import COMPANIONS_MAX
from tests.faults.client_line import Guest, Json, Line, new_guests
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.redis import RedisServer

WAIT_S = 30


class Device:
    """A companion connection, and the changes that it was told of."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.changes: list[Json] = []

    async def watch(self, after: int | None = None) -> Json:
        reply = await self.line.ok("progress.watch", after=after)
        self.changes += reply["changes"]
        return reply

    async def reach(self, number: int) -> None:
        """Read until a change is here; every number comes once, in order."""
        async with asyncio.timeout(WAIT_S):
            while not self.changes or self.changes[-1]["number"] < number:
                self.line.updates.clear()
                await self.line.read()
                for update in self.line.updates:
                    last = self.changes[-1]["number"] if self.changes else 0
                    if update["type"] == "progress.change" and update["number"] > last:
                        self.changes.append(update)
        numbers = [change["number"] for change in self.changes]
        assert numbers == list(range(numbers[0], number + 1))


async def test_other_devices_are_told_on_every_node_and_resume_from_a_number(
    serving_dsn: str, tmp_path: Path, redis_server: RedisServer
) -> None:
    with (
        Node(tmp_path / "a", serving_dsn, redis_url=redis_server.url) as here,
        Node(tmp_path / "b", serving_dsn, redis_url=redis_server.url) as there,
    ):
        (ann, eve) = await new_guests(here, 2)
        async with AsyncExitStack() as stack:
            web = await stack.enter_async_context(
                aiohttp.ClientSession(here.url, headers=bearer(ann.token))
            )
            lines = [
                await stack.enter_async_context(Line(node.websocket_url))
                for node in (here, here, here, there, there)
            ]
            await lines[0].greet(ann)
            await lines[4].greet(eve)
            for line in lines[1:4]:
                welcome = await line.call("session.hello", token=ann.token, companion=True)
                assert welcome["type"] == "session.welcome"
            devices = [Device(line) for line in lines]
            for device in devices:
                assert (await device.watch())["number"] == 0
            refused = await lines[1].call("lobby.create", ruleset="relay", seats=2)
            assert refused["code"] == "forbidden"

            slot = (await _ask(web, "POST", "", {"title": "demo", "state": {"a": 1}}))["slot_id"]
            for revision in range(1, 6):
                await _write(web, slot, revision, {"a": revision})
            for device in devices[:4]:
                await device.reach(6)
            assert [change["data"]["revision"] for change in devices[3].changes] == list(
                range(1, 7)
            )
            assert {change["slot_id"] for change in devices[3].changes} == {slot}
            assert (await lines[4].ok("session.ping"))["type"] == "ok"
            assert devices[4].changes == []

            # One misses some, and comes back with the number that it has.
            lines[3].cut()
            await _write(web, slot, 6, {"a": 6, "b": 1})
            await _write(web, slot, 6, {"a": 9}, expected=409)
            await _ask(web, "DELETE", f"/{slot}")
            back = Device(await stack.enter_async_context(Line(there.websocket_url)))
            await back.line.call("session.hello", token=ann.token, companion=True)
            reply = await back.watch(6)
            assert (reply["number"], reply["is_complete"]) == (9, True)
            kinds = [change["kind"] for change in reply["changes"]]
            assert kinds == ["save.revision", "save.conflict", "save.deleted"]
            ahead = await back.line.ok("progress.watch", after=10**6)
            assert (ahead["is_complete"], ahead["changes"]) == (False, [])
            await back.line.ok("progress.unwatch")

            for _ in range(COMPANIONS_MAX - 1):
                line = await stack.enter_async_context(Line(there.websocket_url))
                await line.call("session.hello", token=ann.token, companion=True)
            line = await stack.enter_async_context(Line(there.websocket_url))
            many = await line.call("session.hello", token=ann.token, companion=True)
            assert many["code"] == "overloaded"


async def test_saves_are_exported_and_erased_with_the_account(
    fresh_dsn: str, serving_dsn: str, tmp_path: Path
) -> None:
    with Node(tmp_path, serving_dsn) as node:
        (ann,) = await new_guests(node, 1)
        owner = await asyncpg.connect(fresh_dsn)
        async with (
            aiohttp.ClientSession(node.url, headers=bearer(ann.token)) as web,
            Line(node.websocket_url) as line,
        ):
            await line.call("session.hello", token=ann.token, companion=True)
            made = await _ask(web, "POST", "", {"title": "demo", "state": {"name": "x"}})
            slot = made["slot_id"]
            await _write(web, slot, 1, {"name": "y"})
            await _write(web, slot, 1, {"name": "z"}, expected=409)
            assert await _seen(owner, ann)

            async with web.get("/v1/me/export") as answer:
                files = zipfile.ZipFile(io.BytesIO(await answer.read()))
            rows = {
                name.partition("tables/")[2].removesuffix(".jsonl"): [
                    json.loads(row) for row in files.read(name).splitlines()
                ]
                for name in files.namelist()
                if "tables/" in name
            }
            assert rows["save_slots"][0]["narrative_state"] == {"name": "y"}
            revisions = sorted(rows["save_revisions"], key=itemgetter("revision"))
            assert [row["state"] for row in revisions] == [
                {"name": "x"},
                {"name": "y"},
                {"name": "z"},
            ]
            assert len(rows["save_conflicts"]) == 1
            assert len(rows["progress_changes"]) == 3

            async with web.get("/v1/me") as answer:
                username = (await answer.json())["username"]
            async with web.delete("/v1/me", json={"confirm": username}) as answer:
                assert answer.status == 200, await answer.text()
            assert (await line.end()).code == 4103
        for table in ("save_slots", "save_revisions", "save_conflicts", "progress_changes"):
            assert await owner.fetchval(f"SELECT count(*) FROM {table}") == 0
        await owner.close()


async def _ask(
    web: aiohttp.ClientSession, method: str, path: str, body: Any = None, **headers: str
) -> Json:
    async with web.request(method, f"/v1/saves{path}", json=body, headers=headers) as answer:
        told: Json = await answer.json()
        return {**told, "status": answer.status}


async def _write(
    web: aiohttp.ClientSession, slot: str, base: int, state: Json, expected: int = 200
) -> None:
    body = {"state": state, "mutation_id": new_id()}
    told = await _ask(web, "PUT", f"/{slot}", body, **{"If-Match": f'"{base}"'})
    assert told["status"] == expected, told


async def _seen(owner: asyncpg.Connection, who: Guest) -> bool:
    """Wait until it is noted that somebody was here; their player names the account."""
    query = "SELECT account_id, last_seen FROM players WHERE id = $1"
    async with asyncio.timeout(WAIT_S):
        while (row := await owner.fetchrow(query, who.player_id))["last_seen"] is None:
            await asyncio.sleep(0.2)
    return str(row["account_id"]) == who.session["user_id"]
