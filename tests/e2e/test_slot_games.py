"""The result of a game reaches an attached slot once, though its node dies before and after."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from persistence.event_outbox import SQL, event_columns
from protocol.domain_events import GameCompleted, SeatOutcome
from protocol.ids import GameId, PlayerId, new_id
from tests.faults.client_line import Guest, Json, Line, new_guests
from tests.fixtures.http import bearer
from tests.fixtures.node import Node

WAIT_S = 30
# As after a listener's commit that its node did not live to note.
DUE_AGAIN = """
    UPDATE event_outbox SET done_at = NULL, delivered_to = '{}', next_attempt_at = now()
    WHERE name = 'game.completed'
"""


async def ask(node: Node, who: Guest, method: str, path: str, body: Any = None) -> Json:
    headers = {**bearer(who.token), "If-Match": "*"}
    async with (
        aiohttp.ClientSession(node.url) as web,
        web.request(method, f"/v1{path}", json=body, headers=headers) as answer,
    ):
        told: Json = await answer.json()
        assert answer.status == 200, told
        return told


async def test_result_is_applied_once_though_the_node_is_killed(
    fresh_dsn: str, serving_dsn: str, tmp_path: Path
) -> None:
    owner = await asyncpg.connect(fresh_dsn)
    game = new_id()
    with Node(tmp_path, serving_dsn) as node:
        ann, boss = await new_guests(node, 2)
        await owner.execute(
            "INSERT INTO account_roles (user_id, role) VALUES ($1, 'editor')",
            boss.session["user_id"],
        )
        await ask(node, boss, "PUT", "/admin/currencies/gold", {"name": "G", "scope": "account"})
        rewards = {"rewards": [{"result": "win", "bundle": {"currencies": {"gold": 5}}}]}
        await ask(node, boss, "PUT", "/admin/game-rewards/demo/relay", rewards)
        slot = (await ask(node, ann, "POST", "/saves", {"title": "demo"}))["slot_id"]
        await ask(node, ann, "PUT", f"/saves/{slot}/game", {"game_id": game})

        node.kill()
        name, version, payload = event_columns(completed(game, ann.player_id))
        await owner.execute(SQL["append_event"], name, version, payload.decode())
        node.start()
        async with Line(node.websocket_url) as device:
            await device.call("session.hello", token=ann.token, companion=True)
            watched = await device.ok("progress.watch", after=0)
            change = await _result(device, watched["changes"])
        assert (change["slot_id"], change["data"]["granted"]["currencies"]) == (slot, {"gold": 5})

        node.kill()
        await owner.execute(DUE_AGAIN)
        node.start()
        async with asyncio.timeout(WAIT_S):
            while not await owner.fetchval(
                "SELECT bool_and(done_at IS NOT NULL) FROM event_outbox"
                " WHERE name = 'game.completed'"
            ):
                await asyncio.sleep(0.05)
        read = await ask(node, ann, "GET", f"/saves/{slot}/inventory")
        assert read["currencies"] == {"gold": 5}
    await owner.close()


def completed(game: str, player: str) -> GameCompleted:
    seat = SeatOutcome(player_id=PlayerId(player), seat=0, score=9, is_winner=True, forfeited=False)
    return GameCompleted(
        game_id=GameId(game),
        lobby_id=None,
        ruleset="relay",
        started_at=None,
        completed_at="2026-10-01T12:00:00.000Z",
        winner_id=PlayerId(player),
        uncounted=None,
        players=[seat],
    )


async def _result(device: Line, changes: list[Json]) -> Json:
    """Read until the result of a game is here."""
    async with asyncio.timeout(WAIT_S):
        while True:
            for change in changes:
                if change["kind"] == "game.result":
                    return change
            device.updates.clear()
            await device.read()
            changes = [each for each in device.updates if each["type"] == "progress.change"]
