"""What is published in a node is acted upon, though a listener fails at every event."""

import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.faults.client_line import Guest, Line, new_guests
from tests.fixtures.http import bearer
from tests.fixtures.node import Node

EVENTS = (
    "LobbyGameCompleted",
    "MemberKicked",
    "PlayerConnected",
    "PlayerDisconnected",
    "PlayerErased",
    "SessionRevoked",
    "UserBanned",
    "UserDeactivated",
)
# A domain that counts each event by its name and then raises.
WITNESS = f"""
from collections import Counter

from server.core import events
from server.domains.contract import Domain
from server.gateway.metrics import MetricsCollector, MetricSource

heard = Counter()


def hear(event):
    heard[type(event).__name__] += 1
    raise RuntimeError("a listener's bug")


def build(services):
    names = {EVENTS}
    sources = [MetricSource(f"heard_{{n.lower()}}", "Heard.", lambda n=n: heard[n]) for n in names]
    return Domain(
        name="witness",
        listens={{getattr(events, name): hear for name in names}},
        metrics=[MetricsCollector(counters=sources)],
    )
"""


@pytest.fixture
def node(tmp_path: Path, serving_dsn: str) -> Iterator[Node]:
    package = tmp_path / "titles" / "witness"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "wire.py").write_text("COMMANDS = ()\nUPDATES = ()\n")
    (package / "domain.py").write_text(WITNESS)
    with Node(tmp_path / "node", serving_dsn, titles_path=package.parent) as node:
        yield node


async def until_closed(line: Line) -> tuple[int | None, str]:
    ended = await line.end()
    return ended.code, ended.reason


async def test_node_does_what_follows_from_events_while_a_listener_fails(node: Node) -> None:
    ann, bob, cem, dan, eve = guests = await new_guests(node, 5)
    node.grant(eve.session["user_id"], "moderator")
    async with AsyncExitStack() as stack:
        web = await stack.enter_async_context(aiohttp.ClientSession(node.url))
        lines = [
            await (await stack.enter_async_context(Line(node.websocket_url))).greet(guest)
            for guest in guests
        ]
        anns, bobs, cems, dans, _ = lines
        at = await relay_of(anns, bobs, watched_by=dans)
        await kicked_spectator_hears_nothing_more(anns, dans, dan, at)
        await lobby_is_closed_after_its_game(anns, bobs, at)

        async with web.post("/v1/auth/logout-everywhere", headers=bearer(ann.token)) as answer:
            assert answer.status == 200
        assert await until_closed(anns) == (4103, "logged_out")
        async with web.post(
            f"/v1/admin/users/{bob.session['user_id']}/ban",
            json={"reason": "Spam."},
            headers=bearer(eve.token),
        ) as answer:
            assert answer.status == 200, await answer.text()
        assert (await until_closed(bobs))[1] == "banned"
        async with web.post("/v1/me/deactivate", headers=bearer(dan.token)) as answer:
            assert answer.status == 200
        assert await until_closed(dans) == (4106, "deactivated")
        await erase(web, cem)
        assert await until_closed(cems) == (4103, "logged_out")

        async with web.get("/metrics") as answer:
            metrics = await answer.text()
    heard = {
        name: int(float(count))
        for name, count in re.findall(r"playhall_heard_(\w+)_total ([\d.]+)", metrics)
    }
    assert [name for name in EVENTS if not heard[name.lower()]] == []
    (failures,) = re.findall(r"playhall_task_failures_total ([\d.]+)", metrics)
    assert float(failures) == sum(heard.values())


async def relay_of(host: Line, other: Line, *, watched_by: Line) -> dict[str, str]:
    """Start a relay; gives its lobby and its game."""
    lobby = (await host.ok("lobby.create", ruleset="relay", seats=2, is_public=True))["lobby"]
    at = {"lobby_id": lobby["lobby_id"]}
    await other.ok("lobby.join", **at)
    await watched_by.ok("lobby.join", **at, role="spectator")
    await other.ok("lobby.ready", **at)
    game_id = (await host.ok("lobby.start", **at))["lobby"]["game_id"]
    await host.ok("game.resume", game_id=game_id, after=-1)
    await watched_by.ok("game.watch", game_id=game_id)
    return {**at, "game_id": game_id}


async def kicked_spectator_hears_nothing_more(
    host: Line, kicked: Line, who: Guest, at: dict[str, str]
) -> None:
    await host.ok("lobby.kick", lobby_id=at["lobby_id"], player_id=who.player_id)
    assert (await kicked.call("game.watch", game_id=at["game_id"]))["type"] == "error"


async def lobby_is_closed_after_its_game(host: Line, other: Line, at: dict[str, str]) -> None:
    move = {"game_id": at["game_id"], "cmd_no": 1, "move": {"type": "end"}}
    await host.ok("game.act", **move)
    while not any(update.get("reason") == "game_over" for update in changes(other)):
        await other.read()


def changes(line: Line) -> list[dict[str, object]]:
    return [update["change"] for update in line.updates if "change" in update]


async def erase(web: aiohttp.ClientSession, who: Guest) -> None:
    async with web.get("/v1/me", headers=bearer(who.token)) as answer:
        username = (await answer.json())["username"]
    confirm = {"confirm": username}
    async with web.delete("/v1/me", json=confirm, headers=bearer(who.token)) as answer:
        assert answer.status == 200, await answer.text()
