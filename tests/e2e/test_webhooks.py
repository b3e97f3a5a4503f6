"""What happens on a server reaches a webhook: a game, its lobby, and who came and went."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from protocol.domain_events import DURABLE_EVENTS
from tests.faults.recording import table
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.receiver import Received, listening

WAIT_S = 60
EVENTS = ["game.completed", "lobby.closed", "user.created", "user.erased"]


async def test_everything_that_happens_is_sent_and_counted(
    fresh_dsn: str, serving_dsn: str, tmp_path: Path
) -> None:
    node = Node(tmp_path, serving_dsn, webhooks_private="true")
    await asyncio.to_thread(node.start)
    try:
        async with listening() as receiver, aiohttp.ClientSession(node.url) as web:
            secret = await _webhook(web, fresh_dsn, receiver.url)
            async with table(lambda: node.url, "relay", humans=2) as [host, guest]:
                await host.act({"type": "end", "scores": {}})
                await guest.see_the_end()
            await _erase(web, guest.tokens)
            await _until(lambda: len(receiver.received) >= 5)
            messages = _by_type(receiver.received, secret)
            metrics = await _metrics(web)
    finally:
        node.kill()
    users = {player.tokens["user_id"] for player in (host, guest)}
    assert {each["user_id"] for each in messages["user.created"]} == users
    assert messages["user.erased"] == [{"user_id": guest.tokens["user_id"]}]
    [completed], [closed] = messages["game.completed"], messages["lobby.closed"]
    assert completed["game_id"] == closed["game_id"] == host.game_id
    assert completed["lobby_id"] == closed["lobby_id"]
    assert [seat["player_id"] for seat in completed["players"]] == [
        host.player_id,
        guest.player_id,
    ]
    assert metrics["playhall_webhooks_delivered_total"] == 5
    assert metrics["playhall_events_delivered_total"] >= 5
    assert metrics["playhall_events_failures_total"] == 0
    assert metrics["playhall_task_failures_total"] == 0


async def _webhook(web: aiohttp.ClientSession, dsn: str, url: str) -> str:
    """Make a webhook as an admin, who was there before it."""
    async with web.post("/v1/auth/guest", json={}) as reply:
        admin = await reply.json()
    owner = await asyncpg.connect(dsn)
    await owner.execute(
        "INSERT INTO account_roles (user_id, role) VALUES ($1, 'admin')", admin["user_id"]
    )
    pending = "SELECT count(*) FROM event_outbox WHERE done_at IS NULL"
    async with asyncio.timeout(WAIT_S):
        while await owner.fetchval(pending):
            await asyncio.sleep(0.05)
    await owner.close()
    hook = {"url": url, "events": EVENTS}
    headers = bearer(admin["access_token"])
    async with web.post("/v1/admin/webhooks", json=hook, headers=headers) as reply:
        made = await reply.json()
    return str(made["secret"])


async def _erase(web: aiohttp.ClientSession, tokens: Any) -> None:
    headers = bearer(tokens["access_token"])
    async with web.get("/v1/me", headers=headers) as reply:
        username = (await reply.json())["username"]
    async with web.delete("/v1/me", json={"confirm": username}, headers=headers) as reply:
        assert reply.status == 200, await reply.text()


async def _until(condition: Any) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)  # nothing more comes, and what came is counted


def _by_type(received: list[Received], secret: str) -> dict[str, list[dict[str, Any]]]:
    messages: dict[str, list[dict[str, Any]]] = {}
    for request in received:
        message = request.verified(secret)
        event = DURABLE_EVENTS[message["type"]].model_validate_json(json.dumps(message["data"]))
        assert event.model_dump() == message["data"]
        messages.setdefault(message["type"], []).append(message["data"])
    return messages


async def _metrics(web: aiohttp.ClientSession) -> dict[str, float]:
    async with web.get("/metrics") as reply:
        lines = (await reply.text()).splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}
