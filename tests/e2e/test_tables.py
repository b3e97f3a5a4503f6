"""One lobby, several tables: games that run at once, over real sockets and a restart."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

import playhall
from playhall import Client, Game, RequestRefused
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases

Json = dict[str, Any]
FREE = {"game_id": None, "lobby_id": None}


@pytest.fixture(scope="module")
def node(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    dsn = databases.create(template=TEMPLATE)
    settings = {"lease_s": 2}
    with Node(tmp_path_factory.mktemp("node"), databases.serving_dsn(dsn), **settings) as node:
        yield node
    databases.drop(dsn)


@asynccontextmanager
async def people(node: Node, count: int) -> AsyncIterator[list[Client]]:
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(playhall.connect(node.url, name=f"Person {n}"))
            for n in range(count)
        ]


async def club(clients: list[Client]) -> Json:
    """Have four people sit down at two tables, all but the host ready."""
    host = clients[0]
    lobby: Json = (
        await host.call("lobby.create", ruleset="rock_paper_scissors", config={"wins": 1}, tables=2)
    )["lobby"]
    at = {"lobby_id": lobby["lobby_id"]}
    for guest in clients[1:4]:
        await guest.call("lobby.join", **at)
        lobby = (await guest.call("lobby.ready", **at))["lobby"]
    return lobby


async def throw(game: Game, *throws: str) -> None:
    for each in throws:
        await game.act({"type": "throw", "throw": each})


async def ended(client: Client, table: int) -> Json:
    """Wait until a table's game is over; gives the lobby then."""
    async with asyncio.timeout(30):
        async for update in client.updates():
            if update["type"] == "lobby.update" and update["lobby"]["tables"][table] == FREE:
                change = update["change"]
                if change["kind"] == "ended" and change["table"] == table:
                    lobby: Json = update["lobby"]
                    return lobby
    raise AssertionError("updates never end")


async def test_two_tables_play_at_once_and_again(node: Node) -> None:
    async with people(node, 5) as clients:
        ann, bob, cem, dea, eve = clients
        lobby = await club(clients)
        at = {"lobby_id": lobby["lobby_id"]}
        await eve.call("lobby.join", **at, role="spectator")
        started = [
            (await ann.call("lobby.start", **at))["lobby"],
            (await cem.call("lobby.start", **at))["lobby"],
        ]
        games = [await each.wait_for_game(started[-1]) for each in (ann, bob, cem, dea)]
        assert [game.game_id for game in games] == [
            started[-1]["tables"][table]["game_id"] for table in (0, 0, 1, 1)
        ]
        watched = await eve.game(games[2].game_id, watch=True)
        await asyncio.gather(*(throw(game, "rock") for game in games))
        # The second table ends first; its players sit there still, the others play on.
        await asyncio.gather(throw(games[2], "paper"), throw(games[3], "rock"))
        over = await ended(eve, 1)
        assert [event.type async for event in watched][-1] == "game_completed"
        assert over["tables"][0] == started[-1]["tables"][0]
        assert [member.get("table") for member in over["members"]] == [0, 0, 1, 1, None]
        with pytest.raises(RequestRefused, match="get ready there"):
            await cem.call("lobby.rematch", game_id=games[2].game_id)
        await dea.call("lobby.ready", **at)
        again = await cem.wait_for_game((await cem.call("lobby.start", **at))["lobby"])
        assert again.game_id not in [game.game_id for game in games]
        await asyncio.gather(throw(games[0], "paper"), throw(games[1], "rock"))
        await ended(eve, 0)
        # What was played at all tables is the history of the lobby.
        matches = (await ann.http.get(f"/v1/lobbies/{lobby['lobby_id']}/matches"))["matches"]
        assert [each["game_id"] for each in matches] == [games[0].game_id, games[2].game_id]
        me = await ann.player_id()
        stats = await ann.http.get(f"/v1/players/{me}/stats")
        assert (stats["games_played"], stats["games_won"]) == (1, 1)


async def test_games_at_both_tables_go_on_after_the_server_was_killed(node: Node) -> None:
    async with people(node, 4) as clients:
        lobby = await club(clients)
        at = {"lobby_id": lobby["lobby_id"]}
        for host in (clients[0], clients[2]):
            lobby = (await host.call("lobby.start", **at))["lobby"]
        tables = lobby["tables"]
        games = [await each.wait_for_game(lobby) for each in clients]
        await throw(games[0], "rock")
        await throw(games[2], "paper")
        tokens = [each.connection.account.refresh_token for each in clients]
        await asyncio.to_thread(node.kill)
    await asyncio.to_thread(node.start)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(playhall.connect(node.url, refresh_token=token))
            for token in tokens
        ]
        lobby = (await clients[0].call("lobby.watch", **at))["lobby"]
        assert (lobby["status"], lobby["tables"]) == ("OPEN", tables)
        games = [await each.wait_for_game(lobby) for each in clients]
        await throw(games[1], "scissors")
        first = await ended(clients[0], 0)
        assert first["tables"] == [FREE, tables[1]]
        await throw(games[3], "rock")
        both = await ended(clients[0], 1)
        assert both["tables"] == [FREE, FREE]
        assert [member["table"] for member in both["members"]] == [0, 0, 1, 1]
        with pytest.raises(RequestRefused, match="Not everyone is ready; still missing: Person 1"):
            await clients[0].call("lobby.start", **at)
