"""Matchmaking over real sockets: people are matched, on any node, and what they play is rated."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from tests.e2e.test_what_counts import Server
from tests.faults.client_line import Guest, Json, Line, lines, new_guests
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.fixtures.shell import playhall

SETTINGS = {"match_bots_after_s": 2, "match_grace_s": 0}


@pytest.fixture(scope="module")
def server(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    dsn = databases.create(template=TEMPLATE)
    serving_dsn = databases.serving_dsn(dsn)
    with Node(tmp_path_factory.mktemp("node"), serving_dsn, **SETTINGS) as node:
        yield Server(node, dsn, serving_dsn)
    databases.drop(dsn)


@pytest.fixture(scope="module")
def other(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A second node on the same database."""
    with Node(tmp_path_factory.mktemp("other"), server._serving_dsn, **SETTINGS) as node:
        yield node


async def update(line: Line, kind: str, **fields: object) -> Json:
    """Read until an update of a kind with some fields has come."""
    async with asyncio.timeout(30):
        while True:
            for each in line.updates:
                if each["type"] == kind and fields.items() <= each.items():
                    line.updates.remove(each)
                    return each
            await line.read()


async def finish(server: Server, table: list[Line], guests: list[Guest], found: Json) -> None:
    """Have the second seat leave the game, so that the first one wins; wait until it counts."""
    game_id = found["game_id"]
    for line in table:
        await line.ok("game.resume", game_id=game_id, after=-1)
    seats = [guest.player_id for guest in guests]
    loser = seats.index(found["seats"][1])
    await table[loser].ok("game.leave", game_id=game_id)
    async with asyncio.timeout(30):
        while not server.row("SELECT 1 FROM rated_games WHERE game_id = %s", game_id):
            await asyncio.sleep(0.05)
        while not server.row("SELECT 1 FROM board_games WHERE game_id = %s", game_id):
            await asyncio.sleep(0.05)


async def test_two_are_matched_play_and_are_rated_and_listed(server: Server) -> None:
    async with server.table(2) as (guests, table):
        for line in table:
            queued = await line.ok("match.queue", ruleset="four_in_a_row", seats=2)
            assert queued["rating"] == 1500
        found = [await update(line, "match.found") for line in table]
        assert found[0] == found[1]
        assert sorted(found[0]["seats"]) == sorted(guest.player_id for guest in guests)
        await finish(server, table, guests, found[0])
        winner, loser = found[0]["seats"]
        read = [
            (await server.get(f"/v1/players/{player}/ratings"))["ratings"][0]
            for player in (winner, loser)
        ]
        assert read[0]["rating"] > 1600 > 1400 > read[1]["rating"]
        assert all(each["is_provisional"] and each["system"] == "glicko2" for each in read)
        history = await server.get(f"/v1/players/{winner}/ratings/four_in_a_row")
        assert [each["place"] for each in history["changes"]] == [1]
        rated = await server.get("/v1/rulesets/four_in_a_row/ratings", provisional="true")
        assert rated["players"][0]["player_id"] == winner
        board = "/v1/rulesets/four_in_a_row/boards/wins"
        me = guests[0] if guests[0].player_id == winner else guests[1]
        for query in ({}, {"period": "day"}, {"period": "week"}):
            page = await server.get(board, **query)
            assert page["entries"][0]["player_id"] == winner
        for scope in ("around", "friends"):
            page = await server.get(board, me, scope=scope)
            assert winner in [each["player_id"] for each in page["entries"]]
        shown = await server.get(f"/v1/players/{winner}/statistics/four_in_a_row")
        assert shown["statistics"] == [{"statistic": "wins", "value": 1, "games": 1}]


async def test_people_on_two_nodes_are_matched_and_told_on_their_own(
    server: Server, other: Node
) -> None:
    here, there = await new_guests(server.node, 1), await new_guests(other, 1)
    async with lines(server.node, here) as (one,), lines(other, there) as (two,):
        await one.ok("match.queue", ruleset="reversi")
        await two.ok("match.queue", ruleset="reversi")
        found = [await update(line, "match.found") for line in (one, two)]
    assert found[0] == found[1]
    assert set(found[0]["seats"]) == {here[0].player_id, there[0].player_id}


async def test_bots_come_after_a_wait_unless_they_are_not_wanted(server: Server) -> None:
    async with server.table(2) as (guests, table):
        await table[0].ok("match.queue", ruleset="rock_paper_scissors")
        await table[1].ok("match.queue", ruleset="four_in_a_row", bots=False)
        found = await update(table[0], "match.found")
        assert sorted(found["seats"], key=str) == sorted([guests[0].player_id, None], key=str)
        waiting = await update(table[1], "match.update", state="waiting")
        assert waiting["rating_window"] >= 100
        await table[1].ok("match.leave")
        again = await table[1].call("match.leave")
        assert again["code"] == "not_queued"


async def test_conditions_and_configurations_keep_people_apart(server: Server) -> None:
    async with server.table(4) as (guests, table):
        level = [{"property": "level", "op": "ge", "value": 10}]
        asked = {"ruleset": "reversi", "bots": False}
        await table[0].ok("match.queue", **asked, properties={"level": 12}, conditions=level)
        await table[1].ok("match.queue", **asked, properties={"level": 3})
        await table[2].ok(
            "match.queue", **asked, properties={"level": 12}, config={"clock": {"main_s": 60}}
        )
        await table[3].ok("match.queue", **asked, properties={"level": 10}, conditions=level)
        found = [await update(table[n], "match.found") for n in (0, 3)]
        assert found[0] == found[1]
        assert guests[3].player_id in found[0]["seats"]
        for line in (table[1], table[2]):
            await line.ok("match.leave")
        too_many = {f"p{n}": n for n in range(9)}
        refused = await table[0].call("match.queue", ruleset="reversi", properties=too_many)
        assert refused["code"] == "invalid_field"
        refused = await table[0].call("match.queue", ruleset="chess")
        assert refused["code"] == "unknown_ruleset"


async def test_party_of_a_lobby_plays_together_also_from_two_nodes(
    server: Server, other: Node
) -> None:
    guests = await new_guests(server.node, 3)
    async with (
        lines(server.node, guests[::2]) as (host, stranger),
        lines(other, guests[1:2]) as (member,),
    ):
        table = host, member, stranger
        made = await host.ok("lobby.create", ruleset="el_dorado", seats=4)
        lobby_id = made["lobby"]["lobby_id"]
        await member.ok("lobby.join", lobby_id=lobby_id)
        asked = {"ruleset": "el_dorado", "seats": 3, "lobby_id": lobby_id}
        refused = [await line.call("match.queue", **asked) for line in (host, member)]
        assert [each["code"] for each in refused] == ["not_ready", "not_the_host"]
        await member.ok("lobby.ready", lobby_id=lobby_id)
        await host.ok("match.queue", **asked)
        assert (await member.call("match.queue", ruleset="reversi"))["code"] == "already_queued"
        await update(member, "match.update", state="waiting")
        await stranger.ok("match.queue", ruleset="el_dorado", seats=3)
        found = [await update(line, "match.found") for line in table]
        assert set(found[0]["seats"]) == {guest.player_id for guest in guests}


async def test_who_goes_away_loses_the_place_after_the_grace_period_and_who_is_back_keeps_it(
    server: Server,
) -> None:
    guests = await new_guests(server.node, 2)
    gone, back = guests
    async with lines(server.node, guests) as (one, two):
        await one.ok("match.queue", ruleset="reversi", bots=False)
        await two.ok("match.queue", ruleset="el_dorado", seats=2, bots=False)
    async with Line(server.node.websocket_url) as again:
        await again.greet(back)
        await update(again, "match.update", state="waiting")
        async with asyncio.timeout(30):
            while server.row(
                "SELECT 1 FROM match_ticket_players WHERE player_id = %s", gone.player_id
            ):
                await asyncio.sleep(0.1)
        await again.ok("match.leave")


async def test_match_whose_node_died_while_starting_it_is_started_once(server: Server) -> None:
    guests = await new_guests(server.node, 2)
    async with AsyncExitStack() as stack:
        one, two = await stack.enter_async_context(lines(server.node, guests))
        for line in (one, two):
            await line.ok("match.queue", ruleset="reversi", bots=False)
        await update(one, "match.found")
        game = server.row(
            "SELECT game_id FROM found_matches f JOIN match_tickets t USING (match_id)"
            " JOIN match_ticket_players p USING (ticket_id) WHERE p.player_id = %s",
            guests[0].player_id,
        )[0]
        # As if the node had died after the game was made, and before it noted that.
        server.row(
            "UPDATE found_matches SET state = 'starting', game_id = NULL, claimed_until = now()"
            " WHERE game_id = %s RETURNING 1",
            game,
        )
        async with asyncio.timeout(30):
            while not server.row("SELECT 1 FROM found_matches WHERE game_id = %s", game):
                await asyncio.sleep(0.05)
    games = server.row(
        "SELECT count(*) FROM games g JOIN lobbies l ON l.id = g.lobby_id WHERE l.id ="
        " (SELECT lobby_id FROM games WHERE id = %s)",
        game,
    )
    assert games == (1,)


async def test_killed_node_rates_and_counts_again_without_changing_anything(
    server: Server,
) -> None:
    """The events come again after the node's death, and the logs say the same as the tables."""
    before = rankings(server)
    assert before[0] > 0
    await asyncio.to_thread(server.node.kill)
    due = (
        "UPDATE event_outbox SET done_at = NULL, delivered_to = '{}', next_attempt_at = now()"
        " WHERE name = 'game.completed' RETURNING 1"
    )
    assert server.row(due)
    await asyncio.to_thread(server.node.start)
    async with asyncio.timeout(30):
        while server.row("SELECT 1 FROM event_outbox WHERE done_at IS NULL"):
            await asyncio.sleep(0.05)
    assert rankings(server) == before
    server.assert_books_agree()
    assert " 0 differ from the logs." in server.audit("ratings", "rebuild", "--verify")


async def test_what_was_spoiled_or_never_counted_comes_back_from_the_logs(server: Server) -> None:
    before = rankings(server)
    for spoil in (
        "UPDATE player_ratings SET rating = 9 RETURNING 1",
        "UPDATE rating_changes SET place = 9 RETURNING 1",
        "UPDATE board_entries SET value = 9, rank_value = 9 WHERE period = 'all' RETURNING 1",
        "DELETE FROM board_entries WHERE starts_with(period, 'day:') RETURNING 1",
    ):
        assert server.row(spoil)
    for command in ("ratings", "stats"):
        said = await asyncio.to_thread(broken, server, command, "rebuild", "--verify")
        assert "differ from the logs" in said or "by the logs" in said
        await asyncio.to_thread(server.audit, command, "rebuild")
        await asyncio.to_thread(server.audit, command, "rebuild", "--verify")
    assert rankings(server) == before

    assert server.row("DELETE FROM board_games RETURNING 1")
    assert server.row("DELETE FROM board_entries RETURNING 1")
    assert server.row("DELETE FROM rated_games RETURNING 1")
    assert server.row("DELETE FROM player_ratings RETURNING 1")
    for command in ("ratings", "stats"):
        said = await asyncio.to_thread(broken, server, command, "rebuild", "--verify")
        assert "run this without --verify" in said
        await asyncio.to_thread(server.audit, command, "rebuild")
    assert rankings(server) == before


def rankings(server: Server) -> tuple[int, object, object]:
    """Read how many games are rated, and what ratings and boards have."""
    count = server.row("SELECT count(*) FROM rated_games")[0]
    ratings = server.row(
        "SELECT jsonb_agg(to_jsonb(r) ORDER BY player_id, ruleset) FROM player_ratings r"
    )
    boards = server.row(
        "SELECT jsonb_agg(to_jsonb(e) ORDER BY player_id, ruleset, statistic, period)"
        " FROM board_entries e"
    )
    return count, ratings, boards


def broken(server: Server, *command: str) -> str:
    """Run a command that must find something wrong; gives what it says."""
    settings = {
        "PLAYHALL_DATABASE_URL": server._serving_dsn,
        "PLAYHALL_DATA_DIR": str(server.node.folder),
    }
    done = playhall(*command, environment=settings)
    assert done.status == 1, done.said
    return done.out
