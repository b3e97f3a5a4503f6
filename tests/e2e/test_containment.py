"""What one item raises is contained: a real node goes on serving everybody else."""

import asyncio
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import asyncpg
import jwt

from playhall import Client, connect
from protocol.games import Json
from tests.fixtures.node import Node
from tests.fixtures.smtp import PATIENCE_S, until

# Sweeps that run every few seconds on a node with nothing to do, as the log names them.
SWEEPS = (
    "adopting games",
    "delivering events",
    "epochs",
    "files: building replays",
    "lobbies: filling with bots",
    "catching up with ended-sessions topics",
    "catching up with erased-people topics",
    "renewing the lease",
)

VEILED = """
from server.rulesets.relay.ruleset import Relay

class Veiled(Relay):
    name = "veiled"
    title = "Veiled"

    def redact(self, event, viewer):
        if viewer is None and event.payload.get("data") == {"unseen": True}:
            raise RuntimeError("spectators cannot be shown this")
        return event.payload

RULESET = Veiled()
"""


async def failures(node: Node, metric: str = "playhall_task_failures_total") -> float:
    """Read how many bugs were contained."""
    async with aiohttp.ClientSession(node.url) as http, http.get("/metrics") as reply:
        found = re.search(rf"^{metric} (\S+)$", await reply.text(), re.M)
    assert found is not None
    return float(found[1])


async def is_ready(node: Node) -> bool:
    async with aiohttp.ClientSession(node.url) as http, http.get("/readyz") as reply:
        return reply.status == 200


async def play_alone(client: Client, ruleset: str) -> tuple[str, Json]:
    """Start a game of one seat; gives its id and the lobby's."""
    opened = await client.call("lobby.create", ruleset=ruleset, seats=1)
    at = {"lobby_id": opened["lobby"]["lobby_id"]}
    started = await client.call("lobby.start", **at)
    return str(started["lobby"]["game_id"]), at


async def test_every_sweep_outlives_an_answer_that_it_did_not_expect(
    tmp_path: Path, serving_dsn: str, fresh_dsn: str
) -> None:
    with Node(tmp_path, serving_dsn, lease_s=2) as node:
        owner = await asyncpg.connect(fresh_dsn)
        # No table is where it was: no statement of ours works, and the database is not away.
        await owner.execute("ALTER SCHEMA public RENAME TO elsewhere")
        await owner.execute("ALTER SCHEMA playhall_auth RENAME TO elsewhere_too")
        failing = [re.compile(rf"ERROR .*{re.escape(sweep)} failed") for sweep in SWEEPS]
        await until(lambda: all(any(each.search(line) for line in node.output) for each in failing))
        await owner.execute("ALTER SCHEMA elsewhere_too RENAME TO playhall_auth")
        await owner.execute("ALTER SCHEMA elsewhere RENAME TO public")
        await owner.close()
        assert await failures(node) >= len(SWEEPS)
        async with asyncio.timeout(PATIENCE_S):
            while not await is_ready(node):
                await asyncio.sleep(0.1)
        async with connect(node.url) as client, asyncio.timeout(PATIENCE_S):
            game = await client.quick_play("four_in_a_row")
            assert (await game.view())["legal_moves"] is not None
        assert node.stop() == 0


@asynccontextmanager
async def two_games(node: Node) -> AsyncIterator[tuple[Client, str, Json, Client, str]]:
    async with connect(node.url) as one, connect(node.url) as two:
        game_id, at = await play_alone(one, "veiled")
        other_id, _ = await play_alone(two, "relay")
        yield one, game_id, at, two, other_id


async def test_view_that_its_rules_cannot_make_stops_neither_its_game_nor_others(
    tmp_path: Path, serving_dsn: str
) -> None:
    folder = tmp_path / "games" / "veiled"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(VEILED)
    settings = {"rulesets_path": tmp_path / "games", "writers": 1}
    with Node(tmp_path / "node", serving_dsn, **settings) as node:
        async with two_games(node) as (one, game_id, _, two, other_id), asyncio.timeout(PATIENCE_S):
            game, other = await one.game(game_id), await two.game(other_id)
            async with connect(node.url) as watcher:
                watched = await watcher.game(game_id, watch=True)
                await game.act({"unseen": False})
                while (await anext(watched)).type != "relayed":
                    pass
                # Everybody but the spectators sees it, and its player is answered.
                unseen = await game.act({"unseen": True})
                after = await game.act({"unseen": False})
                assert after == unseen + 1
            shown = [await anext(game) for _ in range(after + 1)]
            assert [event.event_index for event in shown] == list(range(after + 1))
            await other.act({"all": "well"})
        assert await failures(node, r'playhall_ruleset_failures_total\{.*"veiled"\}') >= 1
        assert node.stop() == 0


def encoded(header: Json) -> str:
    return urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()


async def test_signing_key_that_cannot_be_read_leaves_the_others_in_use(
    tmp_path: Path, serving_dsn: str, fresh_dsn: str
) -> None:
    with Node(tmp_path, serving_dsn) as node:
        owner = await asyncpg.connect(fresh_dsn)
        await owner.execute(
            "INSERT INTO playhall_auth.signing_keys (kid, private_pem, public_pem, created_at)"
            " VALUES ('odd', 'no key', 'no key', now() + interval '1 hour')"
        )
        await owner.close()
        async with aiohttp.ClientSession(node.url) as http:
            async with http.post("/v1/auth/guest", json={}) as reply:
                token = (await reply.json())["access_token"]
            # A token that names an unknown key has the keys read again, soon after the last time.
            header = jwt.get_unverified_header(token) | {"kid": "unknown"}
            unknown = ".".join([encoded(header), *token.split(".")[1:]])

            async def status(bearer: str) -> int:
                headers = {"Authorization": f"Bearer {bearer}"}
                async with http.get("/v1/me", headers=headers) as reply:
                    return reply.status

            async with asyncio.timeout(PATIENCE_S):
                while not any("signing key odd failed" in line for line in node.output):
                    assert await status(unknown) == 401
                    await asyncio.sleep(0.2)
            assert await status(token) == 200
            async with http.post("/v1/auth/guest", json={}) as reply:
                assert await status((await reply.json())["access_token"]) == 200
        assert await failures(node) >= 1
        assert node.stop() == 0
