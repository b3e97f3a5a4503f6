"""What the fuzzers share: a node with something on it, and callers of four kinds."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from uuid import uuid4

import aiohttp
import psycopg
import pytest

from tests.faults.client_line import PATIENCE_S, Guest, Json, lines, new_guests, sit_down
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.fixtures.shell import playhall

WALLET = "0x" + "ab" * 20


@dataclass
class World:
    """A node, and what there is on it: values by the names of the fields that take them."""

    node: Node
    database: "psycopg.Connection[tuple[object, ...]]"  # as its owner
    serving_dsn: str
    known: dict[str, list[object]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=lambda: {"epoch": "epoch_id", "name": "user_id"})

    async def token(self, kind: str) -> str | None:
        """Sign in as a caller of a kind; each time as somebody new."""
        if kind == "anonymous":
            return None
        guest = (await new_guests(self.node, 1))[0]
        if kind == "admin":
            self.database.execute(
                "INSERT INTO account_roles (user_id, role) VALUES (%s, 'admin')",
                [guest.session["user_id"]],
            )
        return await self._bots_token(guest) if kind == "bot" else guest.token

    async def _bots_token(self, owner: Guest) -> str:
        """Register a bot whose owner this is, and make it a token."""
        wallet = "0x" + uuid4().hex + "00000000"
        self.database.execute(
            "INSERT INTO wallets (address, user_id) VALUES (%s, %s)",
            [wallet, owner.session["user_id"]],
        )
        async with aiohttp.ClientSession(self.node.url, headers=bearer(owner.token)) as web:
            number = str(uuid4().int % 10**18)
            bot = {"slug": f"bot-{uuid4().int % 10**9}", "chain_id": 1, "token_id": number}
            made = await _post(web, "/v1/bots", bot | {"contract_address": WALLET})
            self.database.execute(
                "INSERT INTO bot_identity_owners (bot_identity_id, owner_address) VALUES (%s, %s)",
                [made["bot_id"], wallet],
            )
            scopes = {"scopes": ["read", "claim", "vote"]}
            answer = await _post(web, f"/v1/bots/{made['slug']}/tokens", scopes)
        return str(answer["token"])

    def verify(self) -> None:
        """Check that every game on the node is what was played."""
        settings = {"PLAYHALL_DATABASE_URL": self.serving_dsn}
        done = playhall("verify", "--since", "2000-01-01", environment=settings)
        assert done.status == 0, done.said


async def _live_day(node: Node) -> object:
    """Wait until a day has begun, and give its id."""
    async with aiohttp.ClientSession(node.url) as web, asyncio.timeout(PATIENCE_S):
        while True:
            async with web.get("/v1/epochs/current") as answer:
                if answer.status == 200:
                    return (await answer.json())["epoch_id"]
            await asyncio.sleep(0.05)


async def _post(web: aiohttp.ClientSession, path: str, body: Json) -> Json:
    async with web.post(path, json=body) as answer:
        made: Json = await answer.json()
        assert answer.status == 200, made
        return made


@pytest.fixture(scope="module")
async def world(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """A node with a live day, and lobbies and games in several states."""
    dsn = databases.create(template=TEMPLATE)
    with (
        psycopg.connect(dsn, autocommit=True) as database,
        Node(tmp_path_factory.mktemp("node"), databases.serving_dsn(dsn)) as node,
    ):
        world = World(node, database, databases.serving_dsn(dsn))
        guests = await new_guests(node, 4)
        async with lines(node, guests) as table:
            games = [
                await sit_down(table[:2], "relay"),
                await sit_down(table[:2], "el_dorado", seats=2),
                await sit_down(table[2:], "four_in_a_row", is_public=False),
            ]
            made = [
                (await line.ok("lobby.create", ruleset="relay", seats=4))["lobby"]
                for line in table[:2]
            ]
            world.known = {
                "game_id": list(games),
                "lobby_id": [lobby["lobby_id"] for lobby in made],
                "code": [lobby["join_code"] for lobby in made],
                "player_id": [guest.player_id for guest in guests],
                "user_id": [guest.session["user_id"] for guest in guests],
                "token": [guest.token for guest in guests],
                "ruleset": ["relay", "el_dorado", "four_in_a_row"],
                "epoch_id": [await _live_day(node)],
                "cmd_no": [1, 2, 3],
            }
            yield world
    databases.drop(dsn)


@pytest.fixture(scope="session")
def is_long() -> bool:
    """Whether this is `make fuzz`, not `make test`."""
    return os.environ.get("PLAYHALL_FUZZ") == "long"
