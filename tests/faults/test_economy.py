"""A server that is killed amid transactions of the ledger: each is there once, all sum to zero."""

import asyncio
from random import Random
from typing import Any, NamedTuple

import aiohttp
import asyncpg
import pytest

from tests.faults.client_line import Guest, new_guests
from tests.faults.conftest import Nodes, Rounds
from tests.faults.table import Figures
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.shell import playhall

pytestmark = pytest.mark.slow

PLAYERS = 8
TIMEOUT = aiohttp.ClientTimeout(total=30)
DEFINITIONS = """
    INSERT INTO item_definitions (item_id, name, is_server_owned) VALUES ('iron', 'Iron', false);
    INSERT INTO item_definitions (item_id, name) VALUES ('sword', 'Sword');
    INSERT INTO currencies (currency_id, name, scope) VALUES ('gold', 'Gold', 'account');
    INSERT INTO recipes (recipe_id, name, takes, gives) VALUES
        ('forge', 'Forge', '{"items": {"iron": 2}}', '{"items": {"sword": 1}}');
    INSERT INTO recipes (recipe_id, name, kind, takes, gives) VALUES
        ('sell', 'Sell', 'trade', '{"items": {"sword": 1}}', '{"currencies": {"gold": 5}}');
"""


class Step(NamedTuple):
    """A request, and what it does to what is held."""

    what: str
    body: dict[str, Any]
    effect: dict[str, int]


STEPS = (
    Step("collect", {"bundle": {"items": {"iron": 3}}}, {"iron": 3}),
    Step("craft", {"recipe_id": "forge"}, {"iron": -2, "sword": 1}),
    Step("craft", {"recipe_id": "sell"}, {"sword": -1, "gold": 5}),
    Step("spend", {"bundle": {"currencies": {"gold": 4}}}, {"gold": -4}),
)


class Server:
    """A node that is killed every so many answers, and started again."""

    def __init__(self, node: Node, kill_every: int, figures: Figures) -> None:
        self.node = node
        self._kill_every = kill_every
        self._figures = figures
        self._is_up = asyncio.Event()
        self._is_up.set()
        self.answers = 0
        self.repeats = 0

    async def ask(self, web: aiohttp.ClientSession, path: str, body: Any) -> dict[str, Any]:
        """Ask until there is an answer, whatever happens to the server meanwhile."""
        while True:
            await self._is_up.wait()
            try:
                async with web.post(f"{self.node.url}/v1{path}", json=body) as answer:
                    told: dict[str, Any] = await answer.json()
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(0.01)  # it is being killed
                continue
            if answer.status == 503:
                continue
            assert answer.status == 200, told
            self.answers += 1
            self.repeats += bool(told.get("repeated"))
            if self.answers % self._kill_every == 0:
                await self._kill()
            return told

    async def _kill(self) -> None:
        if self._is_up.is_set():
            self._is_up.clear()
            self.node.kill()
            await asyncio.to_thread(self.node.start)
            self._is_up.set()
            self._figures.count("kills of a server amid transactions of the ledger")


class Player:
    """Somebody who collects, crafts, trades and spends, and knows what they should have."""

    def __init__(self, server: Server, guest: Guest, chance: Random) -> None:
        self._server = server
        self._chance = chance
        self._web = aiohttp.ClientSession(headers=bearer(guest.token), timeout=TIMEOUT)
        self.held = {"iron": 0, "sword": 0, "gold": 0}
        self.answers: dict[str, str] = {}
        self.slot = ""

    async def play(self, transactions: int) -> None:
        made = await self._server.ask(self._web, "/saves", {"title": "demo"})
        self.slot = made["slot_id"]
        for n in range(transactions):
            possible = [
                step
                for step in STEPS
                if all(self.held[name] + change >= 0 for name, change in step.effect.items())
            ]
            step = self._chance.choice(possible)
            path = f"/saves/{self.slot}/inventory/{step.what}"
            told = await self._server.ask(self._web, path, {"key": f"n{n}", **step.body})
            for name, change in step.effect.items():
                self.held[name] += change
            self.answers[f"n{n}"] = told["transaction_id"]

    async def close(self) -> None:
        await self._web.close()


async def test_ledger_sums_to_zero_after_kills_amid_transactions(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, rounds: Rounds, figures: Figures
) -> None:
    transactions, kills = rounds(400, 10_000), rounds(3, 25)
    owner = await asyncpg.connect(fresh_dsn)
    await owner.execute(DEFINITIONS)
    node = nodes(
        "a",
        serving_dsn,
        inventory_requests_per_minute=10**6,
        inventory_requests_burst=10**6,
    )
    server = Server(node, transactions // kills, figures)
    players = [
        Player(server, guest, Random(place))
        for place, guest in enumerate(await new_guests(node, PLAYERS))
    ]
    async with asyncio.TaskGroup() as group:
        for player in players:
            group.create_task(player.play(transactions // PLAYERS))
    for player in players:
        await player.close()
    node.kill()

    sums = "SELECT sum(amount) FROM ledger_entries GROUP BY item_id, currency_id"
    assert [total for (total,) in await owner.fetch(sums)] == [0, 0, 0]
    for player in players:
        held = dict(
            await owner.fetch(
                "SELECT item_id, quantity FROM inventory_items WHERE slot_id = $1 UNION ALL"
                " SELECT currency_id, balance FROM currency_balances b"
                " JOIN save_slots s USING (account_id) WHERE s.slot_id = $1",
                player.slot,
            )
        )
        assert {name: held.get(name, 0) for name in player.held} == player.held
        ledger = await owner.fetch(
            "SELECT key, transaction_id::text FROM ledger_transactions WHERE slot_id = $1",
            player.slot,
        )
        assert dict(ledger) == player.answers
    await owner.close()
    done = playhall("economy", "verify", environment={"PLAYHALL_DATABASE_URL": serving_dsn})
    assert done.status == 0, done.said
    assert f"{transactions // PLAYERS * PLAYERS} transactions checked, 0 differences" in done.said
    figures.count("transactions of the ledger, each there once", len(players) * len(ledger))
    figures.count("of them, answered again after a kill", server.repeats)
