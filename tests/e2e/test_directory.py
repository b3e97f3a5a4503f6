"""`GET /v1/games`: what is listed is a public game that runs, and its counts are true."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest

from playhall import Client, connect
from playhall.errors import RequestRefused
from tests.fixtures.node import Node

WAIT_S = 30
POLL_S = 0.05
PAGE = Path(__file__).parents[2] / "docs" / "guides" / "rulesets.md"

Json = dict[str, Any]


@pytest.fixture
def node(tmp_path: Path, serving_dsn: str) -> Iterator[Node]:
    with Node(tmp_path / "a", serving_dsn, lease_s=2) as node:
        yield node


async def listing(url: str, **query: object) -> Json:
    params = {name: str(value).lower() for name, value in query.items()}
    async with aiohttp.ClientSession() as web, web.get(f"{url}/v1/games", params=params) as answer:
        assert answer.status == 200, await answer.text()
        page: Json = await answer.json()
        return page


async def listed(url: str, **query: object) -> list[Json]:
    games: list[Json] = (await listing(url, **query))["games"]
    return games


async def players_listed(url: str, game_id: str) -> int | None:
    return {g["game_id"]: g["current_players"] for g in await listed(url)}.get(game_id)


async def until(look: Callable[[], Awaitable[object]], expected: object) -> None:
    """Look again until it is so."""
    async with asyncio.timeout(WAIT_S):
        while await look() != expected:
            await asyncio.sleep(POLL_S)


async def start(*people: Client, bots: int = 0, **options: object) -> tuple[Json, str]:
    """Start a game of some people, the first its host; gives the lobby and the game."""
    host, *others = people
    ruleset = options.pop("ruleset", "el_dorado" if bots else "relay")
    seats = options.pop("seats", len(people) + bots)
    made = await host.call("lobby.create", ruleset=ruleset, seats=seats, **options)
    lobby = made["lobby"]
    for other in others:
        joined = {"code": lobby["join_code"], "password": options.get("password")}
        await other.call("lobby.join", **joined)
        await other.call("lobby.ready", lobby_id=lobby["lobby_id"])
    for _ in range(bots):
        await host.call("lobby.add_bot", lobby_id=lobby["lobby_id"], bot="bid_and_duck")
    started = await host.call("lobby.start", lobby_id=lobby["lobby_id"])
    return lobby, started["lobby"]["game_id"]


def execute(dsn: str, statement: str, *values: object) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(statement, values)


async def test_running_public_game_is_listed_with_how_to_get_there(node: Node) -> None:
    async with connect(node.url) as ann, connect(node.url) as bob:
        lobby, game_id = await start(ann, bob, seats=4)
        (game,) = await listed(node.url)
        started_at = game.pop("started_at")
        assert started_at.startswith("20")
        assert game == {
            "game_id": game_id,
            "lobby_id": lobby["lobby_id"],
            "join_code": lobby["join_code"],
            "ruleset": "relay",
            "ruleset_version": 1,
            "max_players": 4,
            "current_players": 2,
            "can_watch": True,
        }


async def test_count_follows_those_who_leave_and_come_back(node: Node) -> None:
    async with connect(node.url) as ann, connect(node.url) as bob, connect(node.url) as cid:
        _, game_id = await start(ann, bob, cid)

        async def players() -> int | None:
            return await players_listed(node.url, game_id)

        assert await players() == 3
        await bob.call("game.leave", game_id=game_id)
        await until(players, 2)
        await cid.call("game.leave", game_id=game_id)
        await until(players, 1)
        await cid.call("game.watch", game_id=game_id, after=-1)
        await bob.call("game.resume", game_id=game_id, after=-1)
        await until(players, 2)


async def test_bots_and_people_without_a_connection_hold_their_seats(node: Node) -> None:
    async with connect(node.url) as ann:
        async with connect(node.url) as bob:
            _, game_id = await start(ann, bob, bots=2)
            game = await ann.game(game_id)
        async for event in game:  # bob hangs up
            if event.type == "player_disconnected":
                break
        assert await players_listed(node.url, game_id) == 4
        await ann.call("game.leave", game_id=game_id)
        await until(lambda: players_listed(node.url, game_id), 3)


async def test_game_that_ended_is_listed_no_more(node: Node) -> None:
    async with connect(node.url) as ann, connect(node.url) as bob:
        _, game_id = await start(ann, bob)
        game = await ann.game(game_id)
        await bob.call("game.leave", game_id=game_id)
        await game.act({"type": "end"})
        await until(lambda: listed(node.url), [])


async def test_private_game_is_not_listed(node: Node) -> None:
    async with connect(node.url) as ann:
        await start(ann, is_public=False)
        assert await listed(node.url) == []


async def test_list_is_filtered_and_paged_newest_first(node: Node) -> None:
    async with connect(node.url) as ann, connect(node.url) as bob:
        games = [(await start(ann, seats=seats))[1] for seats in (1, 2, 3)]
        _, guarded = await start(bob, password="sesame")
        _, other = await start(bob, bots=2)
    every = [other, guarded, *reversed(games)]
    assert [g["game_id"] for g in await listed(node.url)] == every

    seen, cursor = [], None
    while True:
        asked: Json = {"limit": 2} if cursor is None else {"limit": 2, "cursor": cursor}
        async with (
            aiohttp.ClientSession() as web,
            web.get(f"{node.url}/v1/games", params=asked) as answer,
        ):
            page = await answer.json()
        seen += [g["game_id"] for g in page["games"]]
        if (cursor := page["next"]) is None:
            break
    assert seen == every

    async def ids(**query: object) -> list[str]:
        return [g["game_id"] for g in await listed(node.url, **query)]

    assert await ids(ruleset="el_dorado") == [other]
    assert await ids(free_seats=1) == [games[2], games[1]]
    assert await ids(free_seats=2) == [games[2]]
    assert guarded not in await ids(can_watch=True)
    async with (
        aiohttp.ClientSession() as web,
        web.get(f"{node.url}/v1/games", params={"cursor": "nonsense"}) as answer,
    ):
        assert answer.status == 422
        assert (await answer.json())["field"] == "cursor"


async def test_adopted_game_is_listed_with_the_right_count(
    node: Node, tmp_path: Path, serving_dsn: str, fresh_dsn: str
) -> None:
    async with connect(node.url) as ann, connect(node.url) as bob:
        _, game_id = await start(ann, bob)
        await bob.call("game.leave", game_id=game_id)
        await until(lambda: players_listed(node.url, game_id), 1)
    node.kill()
    # As if it had been killed between the commit and the count.
    execute(fresh_dsn, "UPDATE room_directory SET current_players = 2")
    with Node(tmp_path / "b", serving_dsn, lease_s=5) as other:
        await until(lambda: players_listed(other.url, game_id), 1)


async def test_game_without_a_live_owner_is_not_listed(tmp_path: Path, serving_dsn: str) -> None:
    # Rules that only the first node has, so the other one does not adopt the game.
    (tmp_path / "games" / "nim").mkdir(parents=True)
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    (tmp_path / "games" / "nim" / "__init__.py").write_text(code)
    own = {"lease_s": 5, "rulesets_path": tmp_path / "games"}
    with (
        Node(tmp_path / "b", serving_dsn, lease_s=5) as other,
        Node(tmp_path / "a", serving_dsn, **own) as node,
    ):
        async with connect(node.url) as ann, connect(node.url) as bob:
            _, game_id = await start(ann, bob, ruleset="nim")
            assert await players_listed(other.url, game_id) == 2
        node.kill()
        await until(lambda: listed(other.url), [])
        await asyncio.to_thread(node.start)
        await until(lambda: players_listed(other.url, game_id), 2)


async def test_game_that_was_set_aside_is_not_listed(node: Node, fresh_dsn: str) -> None:
    async with connect(node.url) as ann:
        _, game_id = await start(ann)
        assert await players_listed(node.url, game_id) == 1
        execute(fresh_dsn, "UPDATE games SET quarantined_at = now(), quarantine_reason = 'a test'")
        assert await listed(node.url) == []


async def test_late_joiner_comes_in_by_the_code_as_a_spectator(node: Node) -> None:
    async with connect(node.url) as ann, connect(node.url) as bob, connect(node.url) as late:
        _, game_id = await start(ann, bob, password="sesame")
        await bob.call("game.leave", game_id=game_id)
        (game,) = await listed(node.url)
        assert not game["can_watch"]
        with pytest.raises(RequestRefused, match="game_not_found"):
            await late.game(game_id, watch=True)
        entry = {"code": game["join_code"], "password": "sesame"}
        with pytest.raises(RequestRefused, match="join as a spectator"):
            await late.call("lobby.join", **entry, role="player")
        lobby = (await late.call("lobby.join", **entry, role="spectator"))["lobby"]
        assert (lobby["status"], lobby["game_id"]) == ("PLAYING", game_id)
        watched = await late.game(game_id, watch=True)
        assert watched.seat is None
        played = await ann.game(game_id)
        index = await played.act({"hello": "late"})
        async with asyncio.timeout(WAIT_S):
            async for event in watched:
                if event.event_index == index:
                    break


async def test_late_joiner_without_a_password_watches_at_once(node: Node) -> None:
    async with connect(node.url) as ann, connect(node.url) as late:
        _, game_id = await start(ann)
        (game,) = await listed(node.url, can_watch=True)
        watched = await late.game(game["game_id"], watch=True)
        lobby = (await late.call("lobby.join", code=game["join_code"], role="spectator"))["lobby"]
        assert lobby["game_id"] == game_id
        assert watched.seat is None


async def test_directory_is_the_same_for_whoever_reads_the_table(
    node: Node, fresh_dsn: str
) -> None:
    async with connect(node.url) as ann, connect(node.url) as bob:
        lobby, game_id = await start(ann)
        await start(bob, is_public=False)
    with psycopg.connect(fresh_dsn) as connection:
        connection.execute("SET ROLE anon")
        rows = connection.execute(
            "SELECT game_id::text, join_code, is_game_running(game_id) FROM room_directory"
        ).fetchall()
    assert rows == [(game_id, lobby["join_code"], True)]
