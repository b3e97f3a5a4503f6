"""Tournaments on a real node: taking part, formats, forfeits, organising, live updates."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import asyncpg
import pytest

from tests.faults.client_line import Guest, Json, Line, new_guests
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases

WAIT_S = 60
PAUSE_S = 0.05
NOBODY = "00000000-0000-4000-8000-000000000999"


@dataclass
class Hall:
    """A node, an admin, and the database as its owner."""

    node: Node
    owner: asyncpg.Connection
    web: aiohttp.ClientSession
    admin: Guest

    async def ask(
        self, who: Guest | None, method: str, path: str, body: Any = None
    ) -> tuple[int, Json]:
        headers = {} if who is None else bearer(who.token)
        async with self.web.request(method, f"/v1{path}", json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def ok(self, who: Guest | None, method: str, path: str, body: Any = None) -> Json:
        status, answer = await self.ask(who, method, path, body)
        assert status == 200, answer
        return answer

    async def refused(
        self, who: Guest | None, method: str, path: str, body: Any = None
    ) -> tuple[int, str]:
        status, answer = await self.ask(who, method, path, body)
        assert status != 200, answer
        return status, answer["code"]

    async def announce(self, format_: str, *, bots: int = 0, **fields: Any) -> str:
        body = {
            "title": "Cup",
            "ruleset": "four_in_a_row",
            "format": format_,
            "starts_at": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
            **fields,
        }
        cup = str((await self.ok(self.admin, "POST", "/admin/tournaments", body))["tournament_id"])
        if bots:
            wanted = {"bot": "random", "count": bots}
            await self.ok(self.admin, "POST", f"/admin/tournaments/{cup}/bots", wanted)
        return cup

    async def begin(self, cup: str) -> None:
        """Let the time to start come."""
        await self.owner.execute("UPDATE tournaments SET starts_at = now() WHERE id = $1", cup)

    async def end_of(self, cup: str) -> Json:
        async with asyncio.timeout(WAIT_S):
            while (shown := await self.ok(None, "GET", f"/tournaments/{cup}"))["status"] not in (
                "completed",
                "cancelled",
            ):
                await asyncio.sleep(PAUSE_S)
        return shown

    async def standings(self, cup: str) -> list[Json]:
        found: list[Json] = (await self.ok(None, "GET", f"/tournaments/{cup}/standings"))[
            "standings"
        ]
        return found

    async def pairings(self, cup: str, **query: Any) -> list[Json]:
        text = "&".join(f"{name}={value}" for name, value in query.items())
        path = f"/tournaments/{cup}/pairings?{text}"
        found: list[Json] = (await self.ok(None, "GET", path))["pairings"]
        return found

    async def all_pairings(self, cup: str) -> list[Json]:
        rounds = (await self.ok(None, "GET", f"/tournaments/{cup}"))["round"]
        return [
            pairing
            for number in range(1, rounds + 1)
            for pairing in await self.pairings(cup, round=number)
        ]

    async def pairing_of(self, cup: str, who: Guest, status: str) -> Json:
        """Wait until the newest pairing of somebody has a status."""
        async with asyncio.timeout(WAIT_S):
            while True:
                found = await self.pairings(cup, player_id=who.player_id)
                if found and found[-1]["status"] == status:
                    return found[-1]
                await asyncio.sleep(PAUSE_S)

    async def register(self, cup: str, *people: Guest) -> None:
        for who in people:
            await self.ok(who, "POST", f"/tournaments/{cup}/registration")


@pytest.fixture(scope="module")
async def hall(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Hall]:
    dsn = databases.create(template=TEMPLATE)
    with Node(tmp_path_factory.mktemp("cup"), databases.serving_dsn(dsn)) as node:
        owner = await asyncpg.connect(dsn)
        (admin,) = await new_guests(node, 1)
        await owner.execute(
            "INSERT INTO account_roles (user_id, role) VALUES ($1, 'admin')",
            admin.session["user_id"],
        )
        async with aiohttp.ClientSession(node.url) as web:
            yield Hall(node, owner, web, admin)
        await owner.close()
    databases.drop(dsn)
    assert "Traceback" not in (said := "\n".join(node.output)), said


# ------------------------------------------------------------------ taking part


async def test_registration_has_limits_and_can_be_taken_back(hall: Hall) -> None:
    ann, bob, eve = await new_guests(hall.node, 3)
    cup = await hall.announce("swiss", entrants_max=2)
    path = f"/tournaments/{cup}/registration"
    assert (await hall.ok(ann, "POST", path))["entrant"] == 1
    assert (await hall.ok(ann, "POST", path))["entrant"] == 1
    await hall.register(cup, bob)
    assert await hall.refused(eve, "POST", path) == (409, "tournament_full")
    assert await hall.refused(eve, "DELETE", path) == (409, "not_registered")
    assert (await hall.ok(ann, "DELETE", path))["is_withdrawn"]
    assert (await hall.ok(eve, "POST", path))["entrant"] == 3
    assert (await hall.ok(None, "GET", f"/tournaments/{cup}"))["entrants"] == 2
    assert await hall.refused(None, "POST", path) == (401, "bad_token")
    assert await hall.refused(ann, "POST", f"/tournaments/{NOBODY}/registration") == (
        404,
        "tournament_not_found",
    )


async def test_too_few_entrants_cancel_a_tournament(hall: Hall) -> None:
    cup = await hall.announce("swiss", bots=2, entrants_min=3)
    await hall.begin(cup)
    shown = await hall.end_of(cup)
    assert shown["status"] == "cancelled"
    assert shown["cancel_reason"] == "2 registered, and 3 are needed."


async def test_who_does_not_check_in_forfeits(hall: Hall) -> None:
    ann, bob = await new_guests(hall.node, 2)
    cup = await hall.announce("swiss", check_in_s=3600, rounds=1)
    await hall.register(cup, ann, bob)
    await hall.begin(cup)
    waiting = await hall.pairing_of(cup, ann, "waiting")
    assert waiting["game_id"] is None
    check_in = f"/tournaments/{cup}/pairings/{waiting['pairing_id']}/check-in"
    (eve,) = await new_guests(hall.node, 1)
    assert await hall.refused(eve, "POST", check_in) == (403, "forbidden")
    assert (await hall.ok(ann, "POST", check_in))["status"] == "waiting"
    assert (await hall.ok(ann, "POST", check_in))["status"] == "waiting"
    await hall.owner.execute(
        "UPDATE tournament_pairings SET ready_by = now() WHERE tournament_id = $1", cup
    )
    assert (await hall.end_of(cup))["status"] == "completed"
    (pairing,) = await hall.pairings(cup, round=1)
    assert (pairing["kind"], pairing["game_id"]) == ("forfeit", None)
    table = {row["player_id"]: row for row in await hall.standings(cup)}
    assert table[ann.player_id]["points"] == 2
    assert table[bob.player_id]["points"] == 0
    assert await hall.refused(ann, "POST", check_in) == (409, "pairing_decided")


async def test_people_play_an_ordinary_game_that_counts(hall: Hall) -> None:
    ann, bob = await new_guests(hall.node, 2)
    cup = await hall.announce("swiss", check_in_s=3600, rounds=1)
    await hall.register(cup, ann, bob)
    async with Line(hall.node.websocket_url) as line:
        await line.call("session.hello", token=ann.token)
        watched = await line.ok("tournament.watch", tournament_id=cup)
        assert watched["tournament"]["status"] == "registration"
        await hall.begin(cup)
        waiting = await hall.pairing_of(cup, ann, "waiting")
        for who in (ann, bob):
            path = f"/tournaments/{cup}/pairings/{waiting['pairing_id']}/check-in"
            await hall.ok(who, "POST", path)
        playing = await hall.pairing_of(cup, ann, "playing")
        await line.ok("game.resume", game_id=playing["game_id"], after=-1)
        await line.ok("game.leave", game_id=playing["game_id"])
        shown = await hall.end_of(cup)
        # The newest version arrives, whatever was left out before.
        async with asyncio.timeout(WAIT_S):
            while not any(
                update["type"] == "tournament.update"
                and update["tournament"]["version"] == shown["version"]
                for update in line.updates
            ):
                await line.ok("session.ping")
        versions = [u["tournament"]["version"] for u in line.updates if "tournament" in u]
        assert versions == sorted(set(versions))
        await line.ok("tournament.unwatch", tournament_id=cup)
    winner = next(row for row in await hall.standings(cup) if row["place"] == 1)
    assert (winner["player_id"], winner["points"], winner["wins"]) == (bob.player_id, 2, 1)
    stats = await hall.ok(None, "GET", f"/players/{bob.player_id}/stats")
    assert (stats["games_played"], stats["games_won"]) == (1, 1)


async def test_who_withdraws_forfeits_what_has_not_begun(hall: Hall) -> None:
    ann, bob, eve = await new_guests(hall.node, 3)
    cup = await hall.announce("round_robin", check_in_s=3600)
    await hall.register(cup, ann, bob, eve)
    await hall.begin(cup)
    async with asyncio.timeout(WAIT_S):
        while not await hall.pairings(cup, round=1):
            await asyncio.sleep(PAUSE_S)
    for who in (ann, bob, eve):
        assert (await hall.ok(who, "DELETE", f"/tournaments/{cup}/registration"))["is_withdrawn"]
    assert (await hall.end_of(cup))["status"] == "completed"
    assert {pairing["kind"] for pairing in await hall.all_pairings(cup)} <= {"forfeit", "bye"}
    assert await hall.refused(ann, "POST", f"/tournaments/{cup}/registration") == (
        409,
        "registration_closed",
    )


async def test_late_entrants_join_a_swiss_tournament(hall: Hall) -> None:
    ann, *others = await new_guests(hall.node, 5)
    cup = await hall.announce("swiss", check_in_s=3600, late_join=True, rounds=2)
    await hall.register(cup, *others)
    await hall.begin(cup)
    await hall.pairing_of(cup, others[0], "waiting")
    await hall.register(cup, ann)
    late = "UPDATE tournament_pairings SET ready_by = now() WHERE tournament_id = $1"
    await hall.owner.execute(late, cup)
    async with asyncio.timeout(WAIT_S):
        while not (mine := await hall.pairings(cup, player_id=ann.player_id)):
            await asyncio.sleep(PAUSE_S)
    assert [pairing["round"] for pairing in mine] == [2]
    (eve,) = await new_guests(hall.node, 1)
    assert await hall.refused(eve, "POST", f"/tournaments/{cup}/registration") == (
        409,
        "registration_closed",
    )
    await hall.owner.execute(late, cup)
    assert (await hall.end_of(cup))["round"] == 2


# ------------------------------------------------------------------ formats


async def test_everybody_meets_everybody_in_a_round_robin_of_bots(hall: Hall) -> None:
    cup = await hall.announce("round_robin", bots=5)
    await hall.begin(cup)
    assert (await hall.end_of(cup))["rounds"] == 5
    pairings = await hall.all_pairings(cup)
    assert [pairing["kind"] for pairing in pairings].count("game") == 10
    table = await hall.standings(cup)
    assert [row["wins"] + row["draws"] + row["losses"] for row in table] == [4] * 5
    assert sum(row["points"] for row in table) == 20


async def test_elimination_of_bots_that_draw_ends_with_one_winner(hall: Hall) -> None:
    cup = await hall.announce(
        "single_elimination", bots=6, ruleset="rock_paper_scissors", config={"wins": 1}
    )
    await hall.begin(cup)
    assert (await hall.end_of(cup))["rounds"] == 3
    table = await hall.standings(cup)
    assert [row["place"] for row in table].count(1) == 1
    assert table[0]["survived"] == 3
    final = (await hall.pairings(cup, round=3))[-1]
    assert table[0]["player_id"] in (
        final["first"]["player_id"],
        final["second"]["player_id"],
    )


async def test_arena_pairs_until_its_time_is_over(hall: Hall) -> None:
    cup = await hall.announce("arena", bots=6, duration_s=5)
    await hall.begin(cup)
    shown = await hall.end_of(cup)
    assert shown["open_pairings"] == 0
    table = await hall.standings(cup)
    games = await hall.owner.fetchval(
        "SELECT count(*) FROM tournament_pairings WHERE tournament_id = $1", cup
    )
    assert games >= 6
    assert sum(row["points"] for row in table) == 2 * games


# ------------------------------------------------------------------ organising


async def test_organisers_act_on_record_and_nobody_else_does(hall: Hall) -> None:
    ann, bob = await new_guests(hall.node, 2)
    body: Json = {"reason": "Rain"}
    cup = await hall.announce("swiss", check_in_s=3600)
    assert await hall.refused(ann, "POST", f"/admin/tournaments/{cup}/cancel", body) == (
        403,
        "forbidden",
    )
    await hall.register(cup, ann, bob)
    await hall.begin(cup)
    waiting = await hall.pairing_of(cup, ann, "waiting")
    decision = {"first_points": 1, "second_points": 1, "reason": "Both were late"}
    path = f"/admin/tournaments/{cup}/pairings/{waiting['pairing_id']}/decision"
    await hall.ok(hall.admin, "POST", path, decision)
    assert await hall.refused(hall.admin, "POST", path, decision) == (409, "pairing_decided")
    gone = f"/admin/tournaments/{cup}/pairings/{NOBODY}/decision"
    assert await hall.refused(hall.admin, "POST", gone, decision) == (404, "pairing_not_found")
    assert (await hall.end_of(cup))["status"] == "completed"
    assert [row["points"] for row in await hall.standings(cup)] == [1, 1]
    assert await hall.refused(hall.admin, "POST", f"/admin/tournaments/{cup}/cancel", body) == (
        409,
        "tournament_over",
    )
    other = await hall.announce("swiss", bots=2)
    shown = await hall.ok(hall.admin, "POST", f"/admin/tournaments/{other}/cancel", body)
    assert (shown["status"], shown["cancel_reason"]) == ("cancelled", "Rain")
    acts = await hall.owner.fetch(
        "SELECT action FROM audit_log WHERE target = ANY ($1) ORDER BY id", [cup, other]
    )
    assert [act["action"] for act in acts] == [
        "create_tournament",
        "decide_tournament_pairing",
        "create_tournament",
        "add_tournament_bots",
        "cancel_tournament",
    ]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"format": "arena"}, "invalid_field"),
        ({"format": "swiss", "duration_s": 60}, "invalid_field"),
        ({"format": "round_robin", "rounds": 3}, "invalid_field"),
        ({"format": "round_robin", "entrants_max": 65}, "invalid_field"),
        ({"format": "single_elimination", "late_join": True}, "invalid_field"),
        ({"format": "swiss", "entrants_min": 9, "entrants_max": 8}, "invalid_field"),
        ({"format": "swiss", "ruleset": "relay"}, "invalid_field"),
        ({"format": "swiss", "ruleset": "lamplighter"}, "invalid_field"),
        ({"format": "swiss", "ruleset": "unheard_of"}, "unknown_ruleset"),
        ({"format": "swiss", "config": {"unheard_of": 1}}, "invalid_field"),
        ({"format": "swiss", "starts_at": "2999-01-01T00:00:00Z"}, "invalid_field"),
        ({"format": "swiss", "starts_at": "2026-12-01T00:00:00"}, "invalid_field"),
    ],
)
async def test_tournament_that_cannot_be_played_is_refused(
    hall: Hall, fields: Json, code: str
) -> None:
    body = {
        "title": "Cup",
        "ruleset": "four_in_a_row",
        "starts_at": "2026-12-01T00:00:00Z",
        **fields,
    }
    assert (await hall.refused(hall.admin, "POST", "/admin/tournaments", body))[1] == code


async def test_lists_are_paged(hall: Hall) -> None:
    for _ in range(3):
        await hall.announce("swiss", bots=4)
    read: list[Json] = []
    cursor = ""
    while True:
        page = await hall.ok(None, "GET", f"/tournaments?status=registration&limit=1{cursor}")
        read += page["tournaments"]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    ids = [each["tournament_id"] for each in read]
    assert len(ids) == len(set(ids)) >= 3
    assert [e["starts_at"] for e in read] == sorted((e["starts_at"] for e in read), reverse=True)
    cup = ids[0]
    await hall.begin(cup)
    await hall.end_of(cup)
    first = await hall.ok(None, "GET", f"/tournaments/{cup}/pairings?round=1&limit=1")
    path = f"/tournaments/{cup}/pairings?round=1&limit=1&cursor={first['next']}"
    second = await hall.ok(None, "GET", path)
    assert [p["board"] for p in (*first["pairings"], *second["pairings"])] == [1, 2]


# ------------------------------------------------------------------ what goes wrong


async def test_result_that_is_delivered_again_changes_nothing(hall: Hall) -> None:
    cup = await hall.announce("swiss", bots=4)
    await hall.begin(cup)
    shown = await hall.end_of(cup)
    before = await hall.standings(cup)
    async with asyncio.timeout(WAIT_S):
        while await hall.owner.fetchval(
            "SELECT count(*) FROM event_outbox WHERE name = 'game.completed' AND done_at IS NULL"
        ):
            await asyncio.sleep(PAUSE_S)
    again = await hall.owner.fetchval(
        "WITH again AS (UPDATE event_outbox SET done_at = NULL, delivered_to = '{}',"
        " next_attempt_at = now() WHERE name = 'game.completed' RETURNING 1)"
        " SELECT count(*) FROM again"
    )
    assert again >= 4
    async with asyncio.timeout(WAIT_S):
        while await hall.owner.fetchval(
            "SELECT count(*) FROM event_outbox WHERE name = 'game.completed' AND done_at IS NULL"
        ):
            await asyncio.sleep(PAUSE_S)
    assert await hall.standings(cup) == before
    assert (await hall.ok(None, "GET", f"/tournaments/{cup}"))["version"] == shown["version"]


async def test_game_that_is_set_aside_counts_as_drawn(hall: Hall) -> None:
    ann, bob = await new_guests(hall.node, 2)
    cup = await hall.announce("swiss", rounds=1)
    await hall.register(cup, ann, bob)
    await hall.begin(cup)
    playing = await hall.pairing_of(cup, ann, "playing")
    await hall.owner.execute(
        "UPDATE games SET quarantined_at = now(), quarantine_reason = 'a test' WHERE id = $1",
        playing["game_id"],
    )
    assert (await hall.end_of(cup))["status"] == "completed"
    assert [row["points"] for row in await hall.standings(cup)] == [1, 1]
    assert (await hall.pairings(cup, round=1))[0]["kind"] == "void"


async def test_lobby_that_was_closed_without_a_game_is_replaced(hall: Hall) -> None:
    cup = await hall.announce("swiss", bots=2, rounds=1)
    claimed = "UPDATE tournament_pairings SET claimed_until = now() + interval '1 hour'"
    # As a node leaves it that is killed between the lobby and the game, and comes back too late.
    await hall.owner.execute(
        "CREATE FUNCTION claim() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN NEW.claimed_until = now() + interval ''1 hour''; RETURN NEW; END'"
    )
    await hall.owner.execute(
        "CREATE TRIGGER claim BEFORE INSERT ON tournament_pairings"
        " FOR EACH ROW EXECUTE FUNCTION claim()"
    )
    await hall.begin(cup)
    async with asyncio.timeout(WAIT_S):
        while not (rows := await hall.pairings(cup, round=1)):
            await asyncio.sleep(PAUSE_S)
    await hall.owner.execute("DROP TRIGGER claim ON tournament_pairings; DROP FUNCTION claim()")
    lobby = "SELECT lobby_id FROM tournament_pairings WHERE id = $1"
    first = await hall.owner.fetchval(lobby, rows[0]["pairing_id"])
    await hall.owner.execute(
        "INSERT INTO lobbies (id, ruleset, seats, status, closed_at)"
        " VALUES ($1, 'four_in_a_row', 2, 'CLOSED', now())",
        first,
    )
    await hall.owner.execute(claimed.replace("+ interval '1 hour'", ""))
    assert (await hall.end_of(cup))["status"] == "completed"
    assert await hall.owner.fetchval(lobby, rows[0]["pairing_id"]) != first
