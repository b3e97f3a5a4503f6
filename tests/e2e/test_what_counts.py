"""Which results bring a win, XP, statistics and a place on a board, seen from outside."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import aiohttp
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from tests.faults.client_line import Guest, Json, Line, lines, new_guests, sit_down
from tests.faults.client_turns import is_over, play
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.fixtures.shell import playhall

BOARDS = ("wins", "win_rate", "highest_score", "total_tricks")
RULE = {"xp_per_game": 10, "xp_per_win": 25}


class Server:
    """A node, and the database under it."""

    def __init__(self, node: Node, dsn: str, serving_dsn: str) -> None:
        self.node = node
        self.dsn = dsn
        self._serving_dsn = serving_dsn

    @asynccontextmanager
    async def table(self, people: int) -> AsyncIterator[tuple[list[Guest], list[Line]]]:
        """Connect some guests."""
        guests = await new_guests(self.node, people)
        async with lines(self.node, guests) as table:
            yield guests, table

    async def get(self, path: str, guest: Guest | None = None, **query: object) -> Json:
        headers = {"Authorization": f"Bearer {guest.token}"} if guest else {}
        asked = {key: str(value) for key, value in query.items()}
        async with (
            aiohttp.ClientSession(self.node.url) as web,
            web.get(path, params=asked, headers=headers) as reply,
        ):
            body: Json = await reply.json()
            assert reply.status == 200, body
        return body

    async def xp(self, guest: Guest) -> int:
        return int((await self.get("/v1/me", guest))["xp_total"])

    async def stats(self, guest: Guest, **query: object) -> Json:
        return await self.get(f"/v1/players/{guest.player_id}/stats", **query)

    async def match(self, guest: Guest) -> Json:
        """Read a guest's newest match."""
        listed = await self.get(f"/v1/players/{guest.player_id}/matches", guest)
        match: Json = listed["matches"][0]
        return match

    async def assert_ranked_nowhere(self, guest: Guest) -> None:
        for board in BOARDS:
            rows = (await self.get(f"/v1/leaderboards/{board}", limit=100))["rows"]
            assert guest.player_id not in [row["player_id"] for row in rows]

    def row(self, sql: str, *values: object) -> Any:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(sql, values).fetchone()

    def audit(self, *command: str) -> str:
        """Run `playhall` on the database; it must have nothing to say against it."""
        settings = {
            "PLAYHALL_DATABASE_URL": self._serving_dsn,
            "PLAYHALL_DATA_DIR": str(self.node.folder),
        }
        done = playhall(*command, environment=settings)
        assert done.status == 0, done.said
        return done.out

    def assert_books_agree(self) -> None:
        """Check every game and everybody's statistics against the logs."""
        assert ", 0 failed." in self.audit("verify", "--since", "2020-01-01")
        assert ", 0 differ from the logs" in self.audit("stats", "rebuild", "--verify")


@pytest.fixture(scope="module")
def server(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    dsn = databases.create(template=TEMPLATE)
    serving_dsn = databases.serving_dsn(dsn)
    with Node(tmp_path_factory.mktemp("node"), serving_dsn, **RULE) as node:
        server = Server(node, dsn, serving_dsn)
        yield server
        server.assert_books_agree()  # about all that was played here
    databases.drop(dsn)


async def see_the_end(line: Line) -> None:
    """Read until the game is over."""
    while not is_over(line):
        await line.read()


# ------------------------------------------------------------------ scores that clients declare


@pytest.mark.parametrize("people", [1, 2])
async def test_scores_that_a_client_declares_count_for_nothing(server: Server, people: int) -> None:
    async with server.table(people) as (guests, table):
        game_id = await sit_down(table, "relay", seats=people)
        scores = {guests[0].player_id: 1_000_000}
        end = {"type": "end", "scores": scores}
        for line in table:
            await line.ok("game.resume", game_id=game_id)
        await table[0].ok("game.act", game_id=game_id, cmd_no=1, move=end)
        await see_the_end(table[0])
        again = await table[0].call("game.act", game_id=game_id, cmd_no=2, move=end)
        assert again["code"] == "game_over"
    for guest in guests:
        assert await server.xp(guest) == 0
        stats = await server.stats(guest)
        assert (stats["games_played"], stats["games_won"], stats["total_points"]) == (0, 0, 0)
        assert stats["highest_score"] is None
        in_relay = await server.stats(guest, ruleset="relay")
        assert in_relay["games_played"] == 0
        await server.assert_ranked_nowhere(guest)
    match = await server.match(guests[0])
    assert (match["game_id"], match["declared"], match["counts"]) == (game_id, True, False)
    assert match["players"][0]["score"] == 1_000_000
    assert match["winner_id"] == guests[0].player_id


async def test_result_that_a_host_reports_counts_for_nothing(server: Server) -> None:
    async with server.table(2) as (guests, table):
        host, other = table
        made = await host.ok("lobby.create", mode="peer", ruleset="sky_duel", seats=2)
        lobby_id, code = made["lobby"]["lobby_id"], made["lobby"]["join_code"]
        await other.ok("lobby.join", code=code)
        await other.ok("lobby.ready", lobby_id=lobby_id)
        await host.ok("lobby.register_peer", lobby_id=lobby_id, peer_id="host-peer")
        started = await host.ok("lobby.start", lobby_id=lobby_id)
        match_id = started["lobby"]["match_id"]
        result = {
            "lobby_id": lobby_id,
            "match_id": match_id,
            "winner_id": guests[0].player_id,
            "scores": {guests[0].player_id: 999_999},
        }
        for _ in range(3):
            await host.ok("lobby.report", **result)
    match = await server.match(guests[0])
    assert (match["match_id"], match["declared"], match["counts"]) == (match_id, True, False)
    assert await server.xp(guests[0]) == 0
    assert (await server.stats(guests[0]))["games_played"] == 0
    await server.assert_ranked_nowhere(guests[0])


# ------------------------------------------------------------------ players who leave


async def test_who_leaves_at_once_never_wins_and_earns_nothing(server: Server) -> None:
    for seed in range(4):
        async with server.table(3) as (guests, table):
            game_id = await sit_down(table, "el_dorado", config={"rounds": 2})
            await table[2].ok("game.resume", game_id=game_id)
            await table[2].ok("game.leave", game_id=game_id)
            await play(table[:2], game_id, Random(seed))
            last = table[0].events[-1]["payload"]
        leaver, stayed = guests[2], guests[:2]
        best = max(last["final_scores"][guest.player_id] for guest in stayed)
        winners = [g.player_id for g in stayed if last["final_scores"][g.player_id] == best]
        assert last["winners"] == winners
        summary = await server.get(f"/v1/games/{game_id}/summary")
        assert summary["final_scores"] == last["final_scores"]
        shown = [(p["is_winner"], p["forfeited"]) for p in summary["players"]]
        assert shown == [(guest.player_id in winners, guest is leaver) for guest in guests]
        assert summary["players"][2]["place"] == 3
        match = await server.match(leaver)
        assert match["counts"]
        assert match["winner_id"] == (winners[0] if len(winners) == 1 else None)
        assert [player["forfeited"] for player in match["players"]] == [False, False, True]
        assert await server.xp(leaver) == 0
        for guest in stayed:
            assert await server.xp(guest) == 10 + 25 * (guest.player_id in winners)
        stats = await server.stats(leaver)
        assert (stats["games_played"], stats["games_won"]) == (1, 0)
        assert (stats["current_loss_streak"], stats["total_points"]) == (1, 0)
        assert (stats["highest_score"], stats["lowest_score"]) == (None, None)
        assert stats["total_tricks_won"] == 0
        rows = (await server.get("/v1/leaderboards/highest_score", limit=100))["rows"]
        assert leaver.player_id not in [row["player_id"] for row in rows]


async def test_nobody_wins_a_game_that_everybody_left(server: Server) -> None:
    async with server.table(3) as (guests, table):
        game_id = await sit_down(table[:2], "el_dorado", config={"rounds": 1})
        await table[2].ok("game.watch", game_id=game_id)
        for line in table[:2]:
            await line.ok("game.leave", game_id=game_id)
        await see_the_end(table[2])
        assert table[2].events[-1]["payload"]["winners"] == []
    for guest in guests[:2]:
        assert await server.xp(guest) == 0
        assert (await server.stats(guest))["games_won"] == 0
    assert (await server.match(guests[0]))["winner_id"] is None


async def test_who_came_back_counts_as_one_who_stayed(server: Server) -> None:
    async with server.table(2) as (guests, table):
        game_id = await sit_down(table, "el_dorado", config={"rounds": 1})
        for _ in range(3):  # leaving and coming back as often as one likes brings nothing more
            await table[1].ok("game.leave", game_id=game_id)
            await table[1].ok("game.resume", game_id=game_id)
        await play(table, game_id, Random(1))
        last = table[0].events[-1]["payload"]
    best = max(last["final_scores"].values())
    for guest in guests:
        won = last["final_scores"][guest.player_id] == best
        assert (guest.player_id in last["winners"]) == won
        assert await server.xp(guest) == 10 + 25 * won
        assert (await server.stats(guest))["games_played"] == 1


async def test_who_leaves_four_in_a_row_gives_the_win_away_and_earns_nothing(
    server: Server,
) -> None:
    async with server.table(2) as (guests, table):
        game_id = await sit_down(table, "four_in_a_row")
        await table[1].ok("game.resume", game_id=game_id)
        await table[0].ok("game.leave", game_id=game_id)
        await see_the_end(table[1])
    assert [await server.xp(guest) for guest in guests] == [0, 35]
    match = await server.match(guests[0])
    assert match["winner_id"] == guests[1].player_id
    assert [player["forfeited"] for player in match["players"]] == [True, False]


# ------------------------------------------------------------------ one row a ruleset


async def test_statistics_of_each_game_are_kept_apart_and_add_up(server: Server) -> None:
    async with server.table(2) as (guests, table):
        dorado = await sit_down(table, "el_dorado", config={"rounds": 1})
        await play(table, dorado, Random(3))
    async with lines(server.node, guests) as table:
        four = await sit_down(table, "four_in_a_row")
        await table[0].ok("game.resume", game_id=four)
        await table[1].ok("game.leave", game_id=four)
        await see_the_end(table[0])
    ann = guests[0]
    overall = await server.stats(ann)
    each = [await server.stats(ann, ruleset=name) for name in ("el_dorado", "four_in_a_row")]
    assert [stats["games_played"] for stats in (overall, *each)] == [2, 1, 1]
    for column in ("games_won", "total_points", "total_tricks_won"):
        assert overall[column] == sum(stats[column] for stats in each)
    assert (each[1]["highest_score"], each[1]["games_won"]) == (1, 1)
    board = await server.get("/v1/leaderboards/wins", ruleset="four_in_a_row", limit=100)
    assert ann.player_id in [row["player_id"] for row in board["rows"]]


async def test_changed_statistics_of_a_ruleset_are_found_and_put_right(server: Server) -> None:
    async with server.table(2) as (guests, table):
        game_id = await sit_down(table, "four_in_a_row")
        await table[0].ok("game.resume", game_id=game_id)
        await table[1].ok("game.leave", game_id=game_id)
        await see_the_end(table[0])
    with psycopg.connect(server.dsn) as connection:
        connection.execute(
            "UPDATE player_ruleset_stats SET games_won = 77 WHERE player_id = %s",
            [guests[0].player_id],
        )
    with pytest.raises(AssertionError, match=r"games_won in four_in_a_row +is 77, the logs give 1"):
        server.audit("stats", "rebuild", "--verify")
    with pytest.raises(AssertionError, match=r"games_won in four_in_a_row of player .* is 77"):
        server.audit("verify", game_id)
    server.audit("stats", "rebuild")


# ------------------------------------------------------------------ the row of a game


async def test_row_of_a_game_says_how_many_may_play_and_when_it_began(server: Server) -> None:
    async with server.table(2) as (_, table):
        game_id = await sit_down(table, "el_dorado", seats=2, config={"rounds": 1})
        shown = await server.get(f"/v1/games/{game_id}")
        assert (shown["min_players"], shown["max_players"]) == (2, 2)
        assert shown["status"] == "in_progress"
        assert shown["started_at"] == shown["created_at"]
        config, status = server.row("SELECT config, status FROM games WHERE id = %s", game_id)
        assert (config.pop("minPlayers"), config.pop("maxPlayers")) == (2, 2)
        assert (config, status) == (shown["config"], "in_progress")
        await table[0].ok("game.resume", game_id=game_id)
        created = table[0].events[0]["payload"]
        assert created["config"] == config
        assert created["leavers_rank_last"] is True
        assert created["ruleset_version"] == 2


async def test_totals_exceed_what_a_single_score_may_be(server: Server) -> None:
    large = 2**31 - 1
    guests = await new_guests(server.node, 2)
    winner = guests[0]

    async def win() -> None:
        async with lines(server.node, guests) as table:
            game_id = await sit_down(table, "four_in_a_row")
            await table[0].ok("game.resume", game_id=game_id)
            await table[1].ok("game.leave", game_id=game_id)
            await see_the_end(table[0])

    def add(points: int) -> None:
        with psycopg.connect(server.dsn) as connection:
            for table in ("player_lifetime_stats", "player_ruleset_stats"):
                more = SQL("UPDATE {} SET total_points = total_points + %s WHERE player_id = %s")
                connection.execute(more.format(Identifier(table)), (points, winner.player_id))

    await win()
    add(large)
    await win()
    assert (await server.stats(winner))["total_points"] == large + 2
    assert (await server.stats(winner, ruleset="four_in_a_row"))["total_points"] == large + 2
    add(-large)
