"""Crowds: a seat is given once, and quick play fills one lobby after the other."""

import asyncio
from collections import Counter

from persistence.database import Database
from tests.integration.lobbies.hall import Hall, Json, Person, Refused, open_hall

QUICK = {"ruleset": "el_dorado", "seats": 4}


async def outcome(person: Person, command: str, **fields: object) -> str:
    try:
        await person.ask(command, **fields)
    except Refused as refused:
        return str(refused.code)
    return "ok"


async def gather_quick_play(people: list[Person]) -> list[Json]:
    return list(await asyncio.gather(*(p.lobby("quick_play", **QUICK) for p in people)))


async def require_twelve_full_and_one_waiting(hall: Hall, people: list[Person]) -> None:
    stored = await hall.run(
        "SELECT status::text, count(*)::int AS taken FROM lobbies l"
        " JOIN lobby_members m ON m.lobby_id = l.id GROUP BY l.id"
    )
    assert Counter((row["status"], row["taken"]) for row in stored) == {
        ("PLAYING", 4): 12,
        ("OPEN", 2): 1,
    }
    members = await hall.run("SELECT player_id FROM lobby_members")
    assert Counter(row["player_id"] for row in members) == Counter(p.player_id for p in people)


async def test_fifty_joins_for_one_seat_seat_one(hall: Hall) -> None:
    host, *crowd = await hall.people(51)
    lobby = await host.lobby("create", ruleset="el_dorado", seats=2)
    at = {"lobby_id": lobby["lobby_id"]}
    outcomes = await asyncio.gather(*(outcome(p, "lobby.join", **at) for p in crowd))
    assert Counter(outcomes) == {"ok": 1, "lobby_full": 49}
    assert (await host.lobby("watch", **at))["version"] == 2


async def test_fifty_joins_through_two_nodes_seat_one(hall: Hall, database: Database) -> None:
    async with open_hall(database, hall.rls) as other:
        host, *crowd = [*await hall.people(26), *await other.people(25)]
        lobby = await host.lobby("create", ruleset="el_dorado", seats=2)
        at = {"lobby_id": lobby["lobby_id"]}
        outcomes = await asyncio.gather(*(outcome(p, "lobby.join", **at) for p in crowd))
        assert Counter(outcomes) == {"ok": 1, "lobby_full": 49}


async def test_versions_are_sent_in_order_without_a_gap(hall: Hall) -> None:
    host, *crowd = await hall.people(31)
    lobby = await host.lobby("create", ruleset="relay", seats=40)
    at = {"lobby_id": lobby["lobby_id"]}

    async def come_and_go(person: Person) -> None:
        await person.ask("lobby.join", **at)
        await person.ask("lobby.ready", **at)
        await person.ask("lobby.leave", **at)

    await asyncio.gather(*(come_and_go(person) for person in crowd))
    assert [update["version"] for update in host.heard()] == list(range(2, 92))
    assert [m["player_id"] for m in host.heard()[-1]["lobby"]["members"]] == [host.player_id]


async def test_one_player_asking_twice_at_once_sits_once(hall: Hall) -> None:
    ann = await hall.person()
    twin = Person(hall, ann.player_id, "Ann")
    first, second = await gather_quick_play([ann, twin])
    assert first["lobby_id"] == second["lobby_id"]
    assert [m["player_id"] for m in second["members"]] == [ann.player_id]


async def test_limit_of_open_lobbies_holds_in_a_race(hall: Hall) -> None:
    ann = await hall.person()
    twins = [Person(hall, ann.player_id, "Ann") for _ in range(8)]
    outcomes = await asyncio.gather(
        *(outcome(twin, "lobby.create", ruleset="el_dorado") for twin in twins)
    )
    assert Counter(outcomes) == {"ok": 3, "too_many_lobbies": 5}


async def test_fifty_quick_plays_fill_twelve_lobbies(hall: Hall) -> None:
    people = await hall.people(50)
    await gather_quick_play(people)
    await all_started(hall, 12)
    await require_twelve_full_and_one_waiting(hall, people)


async def test_fifty_quick_plays_through_two_nodes_fill_twelve_lobbies(
    hall: Hall, database: Database
) -> None:
    async with open_hall(database, hall.rls) as other:
        people = [*await hall.people(25), *await other.people(25)]
        await gather_quick_play(people)
        await all_started(hall, 12)
        await require_twelve_full_and_one_waiting(hall, people)


async def all_started(hall: Hall, count: int) -> None:
    """Wait until so many games have been made, on whichever node."""
    async with asyncio.timeout(20):
        while len(await hall.run("SELECT id FROM games")) < count:
            await asyncio.sleep(0.01)


async def test_two_nodes_open_one_lobby_for_two_players(hall: Hall, database: Database) -> None:
    async with open_hall(database, hall.rls) as other:
        for rounds in range(1, 9):
            pair = [await hall.person(), await other.person()]
            wish = {"ruleset": "el_dorado", "config": {"rounds": rounds}}
            first, second = await asyncio.gather(*(p.lobby("quick_play", **wish) for p in pair))
            assert first["lobby_id"] == second["lobby_id"]
