"""Agreeing over real sockets: to a match, a rematch, a series; seats rotate, the score is kept."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.e2e.test_matchmaking import update
from tests.e2e.test_what_counts import Server
from tests.faults.client_line import Guest, Json, Line, sit_down
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases


@pytest.fixture(scope="module")
def server(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    dsn = databases.create(template=TEMPLATE)
    serving_dsn = databases.serving_dsn(dsn)
    with Node(tmp_path_factory.mktemp("node"), serving_dsn, match_accept_s=60) as node:
        yield Server(node, dsn, serving_dsn)
    databases.drop(dsn)


async def lose(server: Server, table: list[Line], loser: int, game_id: str) -> None:
    """Have one of two run out of rounds: they throw nothing, the other a rock, until it is over."""
    numbers = [0, 0]
    for line in table:
        await line.ok("game.resume", game_id=game_id, after=-1)
    while not server.row("SELECT 1 FROM games WHERE id = %s AND status = 'completed'", game_id):
        for seat, line in enumerate(table):
            numbers[seat] += 1
            throw = "nothing" if seat == loser else "rock"
            move = {"type": "throw", "throw": throw}
            await line.call("game.act", game_id=game_id, cmd_no=numbers[seat], move=move)


async def series_update(line: Line, **fields: object) -> Json:
    """Read until a series is as it should be."""
    async with asyncio.timeout(30):
        while True:
            series: Json = (await update(line, "series.update"))["series"]
            if fields.items() <= series.items():
                return series


async def seats_of(server: Server, game_id: str) -> list[str]:
    log = await server.get(f"/v1/games/{game_id}/events")
    return [seat["player_id"] for seat in log["events"][0]["payload"]["players"]]


async def new_game(server: Server, guests: list[Guest], table: list[Line]) -> str:
    game_id = await sit_down(table, "rock_paper_scissors", seats=2, config={"wins": 1})
    await lose(server, table, 1, game_id)
    return game_id


async def test_best_of_three_is_played_with_rotating_seats_until_it_is_decided(
    server: Server,
) -> None:
    async with server.table(2) as (guests, table):
        first = await new_game(server, guests, table)
        asked = await table[0].ok("lobby.rematch", game_id=first, best_of=3)
        assert asked["series"]["agreed"] == [guests[0].player_id]
        proposed = await series_update(table[1], state="proposed")
        assert proposed["best_of"] == 3
        other = await table[1].call("lobby.rematch", game_id=first, best_of=5)
        assert other["code"] == "other_rematch"
        await table[1].ok("lobby.rematch", game_id=first)
        players, seen, seats = [guest.player_id for guest in guests], {first}, []
        for number, loser in ((1, 0), (2, 1), (3, 0)):
            while True:
                series = await series_update(table[0], state="playing", number=number)
                if series["game_id"] is not None:
                    break
            assert series["game_id"] not in seen
            seen.add(series["game_id"])
            seats.append(await seats_of(server, series["game_id"]))
            await lose(server, table, loser, series["game_id"])
        over = await series_update(table[1], state="finished")
        assert over["winner_id"] == players[1]
        assert over["wins"] == {players[0]: 1, players[1]: 2}
        before = await seats_of(server, first)
        assert seats == [before[::-1], before, before[::-1]]


async def test_game_that_was_over_before_its_series_knew_of_it_counts_nevertheless(
    server: Server,
) -> None:
    """As if the node that started it had died, and the next one were slow."""
    async with server.table(2) as (guests, table):
        first = await new_game(server, guests, table)
        for line in table:
            await line.ok("lobby.rematch", game_id=first)
        while (series := await series_update(table[0], state="playing"))["game_id"] is None:
            pass
        game_id, series_id = series["game_id"], series["series_id"]
        assert server.row(
            "UPDATE series SET game_id = NULL, is_starting = true, claimed_until = now() +"
            " interval '1 hour' WHERE series_id = %s RETURNING 1",
            series_id,
        )
        await lose(server, table, 1, game_id)
        async with asyncio.timeout(30):
            while not server.row(
                "SELECT 1 FROM event_outbox WHERE payload ->> 'game_id' = %s AND attempts > 0"
                " AND last_error IS NOT NULL",
                game_id,
            ):
                await asyncio.sleep(0.05)
        assert server.row(
            "UPDATE series SET claimed_until = now() WHERE series_id = %s RETURNING 1", series_id
        )
        over = await series_update(table[0], state="finished")
        assert sum(over["wins"].values()) == 1


async def test_nothing_starts_that_somebody_declined_and_strangers_are_refused(
    server: Server,
) -> None:
    async with server.table(3) as (guests, table):
        stranger = table.pop()
        running = await sit_down(table, "rock_paper_scissors", seats=2, config={"wins": 1})
        assert (await table[0].call("lobby.rematch", game_id=running))["code"] == "no_rematch"
        await lose(server, table, 1, running)
        assert (await stranger.call("lobby.rematch", game_id=running))["code"] == "no_rematch"
        await table[0].ok("lobby.rematch", game_id=running)
        refused = await stranger.call("lobby.decline_rematch", game_id=running)
        assert refused["code"] == "no_rematch"
        await table[1].ok("lobby.decline_rematch", game_id=running)
        over = await series_update(table[0], state="finished")
        assert (over["number"], over["game_id"]) == (0, None)
        again = await table[1].ok("lobby.rematch", game_id=running)
        assert again["series"]["state"] == "finished"
        assert guests


async def test_match_is_offered_and_starts_once_everybody_has_accepted(server: Server) -> None:
    async with server.table(3) as (guests, table):
        one, two, three = table
        for line in (one, two):
            await line.ok("match.queue", ruleset="reversi", bots=False)
        offered = [await update(line, "match.update", state="offered") for line in (one, two)]
        assert [each["players"] for each in offered] == [2, 2]
        match_id = offered[0]["match_id"]
        assert offered[0]["accept_by"] is not None
        await one.ok("match.accept", match_id=match_id)
        await update(two, "match.update", state="offered", accepted=1)
        refused = await three.call("match.accept", match_id=match_id)
        assert refused["code"] == "not_queued"
        await two.ok("match.decline", match_id=match_id)
        await update(one, "match.update", state="waiting")

        await three.ok("match.queue", ruleset="reversi", bots=False)
        await update(one, "match.update", state="offered")
        match_id = (await update(three, "match.update", state="offered"))["match_id"]
        for line in (one, three):
            await line.ok("match.accept", match_id=match_id)
        found = [await update(line, "match.found") for line in (one, three)]
        assert found[0] == found[1]
        assert set(found[0]["seats"]) == {guests[0].player_id, guests[2].player_id}
