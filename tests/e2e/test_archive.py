"""A game is the same to everybody before and after its log was archived."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import aiohttp
import pytest

from protocol.ids import new_id
from tests.faults.client_line import Guest, Json, lines, new_guests
from tests.fixtures.http import bearer
from tests.fixtures.node import SECRET_KEYS, Node
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.fixtures.shell import playhall

RULESETS = Path(__file__).parent / "rulesets"
ROLES = ("player", "left", "kicked", "stranger")


class Hall(NamedTuple):
    """A node, and the settings of commands: as the server, and as the tables' owner."""

    node: Node
    serving: dict[str, str]
    owner: dict[str, str]


@pytest.fixture
def hall(databases: Databases, tmp_path: Path) -> Iterator[Hall]:
    dsn = databases.create(template=TEMPLATE)
    node = Node(tmp_path / "node", databases.serving_dsn(dsn), rulesets_path=RULESETS)
    settings = {
        "PLAYHALL_DATABASE_URL": databases.serving_dsn(dsn),
        "PLAYHALL_SECRET_KEYS": SECRET_KEYS,
        "PLAYHALL_DATA_DIR": str(node.folder),
        "PLAYHALL_RULESETS_PATH": str(RULESETS),
    }
    with node:
        yield Hall(node, settings, {**settings, "PLAYHALL_DATABASE_URL": dsn})
    databases.drop(dsn)
    assert "Traceback" not in (said := "\n".join(node.output)), said


async def played(node: Node, guests: dict[str, Guest], *, is_public: bool) -> str:
    """Play a game with somebody who leaves it, and one who looks on and is removed."""
    players = [guests[role] for role in ROLES[:3]]
    async with lines(node, players) as (player, left, kicked):
        made = {"ruleset": "brittle", "seats": 2, "is_public": is_public}
        lobby = (await player.ok("lobby.create", **made))["lobby"]
        await kicked.ok("lobby.join", code=lobby["join_code"], role="spectator")
        await left.ok("lobby.join", code=lobby["join_code"])
        await left.ok("lobby.ready", lobby_id=lobby["lobby_id"])
        started = await player.ok("lobby.start", lobby_id=lobby["lobby_id"])
        game_id: str = started["lobby"]["game_id"]
        kicked_id = guests["kicked"].player_id
        await player.ok("lobby.kick", lobby_id=lobby["lobby_id"], player_id=kicked_id)
        for cmd_no in (1, 2):
            await player.ok("game.act", game_id=game_id, cmd_no=cmd_no, move={"type": "fine"})
        await left.ok("game.leave", game_id=game_id)
        await player.ok("game.act", game_id=game_id, cmd_no=3, move={"type": "end"})
    return game_id


async def everything_seen(node: Node, guests: dict[str, Guest], games: list[str]) -> list[Any]:
    """Ask in every way about the games, as everybody and as nobody."""
    seen: list[Any] = []
    for role in (*ROLES, None):
        headers = bearer(guests[role].token) if role else {}
        async with aiohttp.ClientSession(node.url, headers=headers) as web:
            for game_id in games:
                at = f"/v1/games/{game_id}"
                for path in (at, f"{at}/events", f"{at}/events?after=2&limit=3", f"{at}/views"):
                    async with web.get(path) as answer:
                        seen.append((role, path, answer.status, await answer.read()))
            if role:
                async with web.get(f"/v1/players/{guests[role].player_id}/stats") as answer:
                    seen.append((role, "stats", answer.status, await answer.read()))
        if role:
            async with lines(node, [guests[role]]) as [line]:
                for game_id in games:
                    for command, fields in COMMANDS:
                        reply: Json = await line.call(command, game_id=game_id, **fields)
                        seen.append((role, command, reply | {"re": 0}))
                seen.append((role, "frames", [f for f in line.frames if '"re"' not in f]))
    return seen


COMMANDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("game.resume", {}),
    ("game.resume", {"after": 2}),
    ("game.snapshot", {}),
    ("game.watch", {}),
    ("game.act", {"cmd_no": 2, "move": {"type": "fine"}}),
    ("game.act", {"cmd_no": 9, "move": {"type": "fine"}}),
)


async def moves_exported(node: Node, guest: Guest, folder: Path) -> dict[str, bytes]:
    async with (
        aiohttp.ClientSession(node.url, headers=bearer(guest.token)) as web,
        web.get("/v1/me/export") as answer,
    ):
        assert answer.status == 200, await answer.text()
        file = folder / f"{new_id()}.zip"
        file.write_bytes(await answer.read())
    with ZipFile(file) as archive:
        return {n: archive.read(n) for n in archive.namelist() if n.startswith("games/")}


async def test_game_is_the_same_to_everybody_before_and_after(hall: Hall, tmp_path: Path) -> None:
    node = hall.node
    guests = dict(zip(ROLES, await new_guests(node, len(ROLES)), strict=True))
    games = [await played(node, guests, is_public=is_public) for is_public in (True, False)]

    def commands() -> list[str]:
        asked = [("export", games[0]), ("replay", games[1], "--open")]
        done = [playhall(*each, environment=hall.serving) for each in asked]
        assert [each.status for each in done] == [0, 0], done
        return [each.out for each in done]

    before = await everything_seen(node, guests, games)
    moves = await moves_exported(node, guests["player"], tmp_path)
    printed = await asyncio.to_thread(commands)
    assert b'"fine"' in moves["games/moves.jsonl"]
    assert len(json.loads(before[1][3])["events"]) > 5

    for _ in range(2):  # while the server runs, and once nothing of the games is in its memory
        done = await asyncio.to_thread(
            playhall, "archive", "--older-than", "0", environment=hall.owner
        )
        assert done.status == 0, done.said
        assert "In all, 2 games are archived." in done.said
        assert await everything_seen(node, guests, games) == before
        assert await moves_exported(node, guests["player"], tmp_path) == moves
        assert await asyncio.to_thread(commands) == printed
        await asyncio.to_thread(node.stop)
        await asyncio.to_thread(node.start)

    # What is known of a person goes as before; the log has ids only.
    async with aiohttp.ClientSession(node.url, headers=bearer(guests["left"].token)) as web:
        async with web.get("/v1/me") as answer:
            username = (await answer.json())["username"]
        async with web.delete("/v1/me", json={"confirm": username}) as answer:
            assert answer.status == 200, await answer.text()
    assert await asyncio.to_thread(commands) == printed
