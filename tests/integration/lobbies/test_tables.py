"""Lobbies with several tables: sitting down, starting, ending, and who may do what."""

import asyncio

import pytest

from persistence.database import Database
from persistence.games.model import NewGame
from persistence.rls import RlsDatabase
from tests.integration.lobbies.hall import Hall, Json, Person, open_hall

FREE = {"game_id": None, "lobby_id": None}


async def club(host: Person, **fields: object) -> Json:
    """Open a lobby with two tables of two seats."""
    asked = {"ruleset": "four_in_a_row", "tables": 2, "name": "Club"} | fields
    return await host.lobby("create", **asked)


def sits(lobby: Json) -> dict[str, tuple[int | None, int | None]]:
    """Give each member's table and seat."""
    return {m["display_name"]: (m.get("table"), m["seat"]) for m in lobby["members"]}


async def end_game(hall: Hall, table: Json) -> None:
    """End a table's game as the log does."""
    await hall.run(
        "UPDATE lobbies SET status = 'CLOSED', version = version + 1 WHERE game_id = $1",
        table["game_id"],
    )
    await hall.room.publish_game_over(table["lobby_id"])


async def test_lobby_with_one_table_reads_as_it_did(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="four_in_a_row")
    await bob.lobby("join", lobby_id=lobby["lobby_id"], table=0)
    update = await ann.hear("joined")
    card = (await bob.ask("lobby.list"))["lobbies"][0]
    for shown in (lobby, update, card, *update["members"], *(u["change"] for u in ann.heard())):
        assert "table" not in shown
        assert "tables" not in shown
    assert await bob.refusal("lobby.join", lobby_id=lobby["lobby_id"], table=1) == "invalid_field"
    problem = await ann.refusal("lobby.start", lobby_id=lobby["lobby_id"], table=1)
    assert problem == "invalid_field"


async def test_people_fill_the_tables_and_change_between_them(hall: Hall) -> None:
    ann, bob, cem, dea, eve = people = await hall.people(5)
    lobby = await club(ann)
    at = {"lobby_id": lobby["lobby_id"]}
    assert lobby["tables"] == [FREE, FREE]
    for guest in people[1:4]:
        lobby = await guest.lobby("join", **at)
    assert list(sits(lobby).values()) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert await eve.refusal("lobby.join", **at) == "lobby_full"
    assert await eve.refusal("lobby.join", **at, table=1) == "lobby_full"
    assert await eve.refusal("lobby.join", **at, table=2) == "invalid_field"
    refused = await eve.refusal("lobby.join", **at, table=0, role="spectator")
    assert refused == "invalid_field"
    await eve.lobby("join", **at, role="spectator")
    # The host, too, may stand up; somebody else takes the seat and gives up another one.
    await ann.lobby("join", **at, role="spectator")
    lobby = await dea.lobby("join", **at, table=0)
    assert list(sits(lobby).values()) == [(None, None), (0, 1), (1, 0), (0, 0), (None, None)]
    assert lobby["host_player_id"] == ann.player_id
    (card,) = (await eve.ask("lobby.list"))["lobbies"]
    assert (card["tables"], card["seats"], card["taken"]) == (2, 4, 3)
    found = [len((await eve.ask("lobby.list", free_seats=n))["lobbies"]) for n in (1, 2)]
    assert found == [1, 0]
    assert cem.changes()[-1] == "joined"
    assert (await bob.lobby("watch", **at))["version"] == lobby["version"]


async def test_two_tables_play_at_once_and_their_players_are_back_afterwards(hall: Hall) -> None:
    ann, bob, cem, dea = people = await hall.people(4)
    at = {"lobby_id": (await club(ann))["lobby_id"]}
    for guest in people[1:]:
        await guest.lobby("join", **at)
    # Whoever sits at a table starts its game; the host any.
    assert await cem.refusal("lobby.start", **at) == "not_ready"
    await dea.lobby("ready", **at)
    assert await dea.refusal("lobby.start", **at, table=0) == "not_the_host"
    lobby = await cem.lobby("start", **at)
    second = lobby["tables"][1]
    assert (lobby["status"], lobby["tables"][0]) == ("OPEN", FREE)
    (started,) = [u for u in ann.heard() if u["change"]["kind"] == "started"]
    assert (started["change"]["table"], started["lobby"]["tables"][1]) == (1, second)
    await bob.lobby("ready", **at)
    lobby = await ann.lobby("start", **at)
    first = lobby["tables"][0]
    assert [[p.player_id for p in game.players] for game in hall.games] == [
        [cem.player_id, dea.player_id],
        [ann.player_id, bob.player_id],
    ]
    # What would change who sits at a playing table is refused.
    assert await ann.refusal("lobby.start", **at) == "lobby_closed"
    assert await bob.refusal("lobby.ready", **at) == "lobby_closed"
    assert await bob.refusal("lobby.join", **at, table=1) == "lobby_closed"
    assert await bob.refusal("lobby.join", **at, role="spectator") == "lobby_closed"
    assert await ann.refusal("lobby.kick", **at, player_id=dea.player_id) == "lobby_closed"
    assert await ann.refusal("lobby.configure", **at, tables=1) == "invalid_field"
    assert await ann.refusal("lobby.add_bot", **at, bot="random", table=1) == "lobby_closed"

    await end_game(hall, second)
    (ended,) = [u for u in ann.heard() if u["change"]["kind"] == "ended"]
    assert ended["change"]["table"] == 1
    assert ended["lobby"]["tables"] == [first, FREE]
    assert sits(ended["lobby"]) == sits(lobby)
    readiness = {m["display_name"]: m["ready"] for m in ended["lobby"]["members"]}
    assert readiness == {"Person 0": False, "Person 1": True, "Person 2": False, "Person 3": False}
    # They play again at once, whatever the other table does.
    await dea.lobby("ready", **at)
    again = await cem.lobby("start", **at)
    assert again["tables"][1]["game_id"] not in (None, second["game_id"])
    assert again["tables"][0] == first
    versions = [update["version"] for update in ann.heard()]
    assert versions == sorted(set(versions))


async def test_who_may_see_the_game_of_a_table(hall: Hall) -> None:
    ann, bob, cem, eve = await hall.people(4)
    lobby = await club(ann, password="secret", seats=2)
    at = {"lobby_id": lobby["lobby_id"]}
    await ann.lobby("add_bot", **at, bot="random")
    await cem.lobby("join", **at, password="secret", role="spectator")
    await bob.lobby("join", **at, password="secret", role="spectator")
    table = (await ann.lobby("start", **at))["tables"][0]
    who = {"ann": ann.player_id, "cem": cem.player_id, "bob": bob.player_id, "eve": eve.player_id}
    may = {name: await hall.room.may_watch(table["lobby_id"], one) for name, one in who.items()}
    assert may == {"ann": True, "cem": True, "bob": True, "eve": False}
    # Who is removed from the lobby sees its games no longer.
    await ann.lobby("kick", **at, player_id=bob.player_id)
    assert not await hall.room.may_watch(table["lobby_id"], bob.player_id)
    bans = await hall.store.read_bans([table["lobby_id"]])
    assert bans == [(table["lobby_id"], bob.player_id)]


async def test_leaving_gives_up_the_seat_but_no_game(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    at = {"lobby_id": (await club(ann))["lobby_id"]}
    await bob.lobby("join", **at)
    await cem.lobby("join", **at, role="spectator")
    await bob.lobby("ready", **at)
    table = (await ann.lobby("start", **at))["tables"][0]
    await ann.ask("lobby.leave", **at)
    lobby = await bob.hear("left")
    # The longest-standing person is the host, seated or not; the table still plays.
    assert lobby["host_player_id"] == bob.player_id
    assert lobby["tables"][0] == table
    players = await hall.run(
        "SELECT player_id FROM lobby_members WHERE lobby_id = $1", table["lobby_id"]
    )
    assert len(players) == 2
    assert await ann.refusal("lobby.join", **at, table=0) == "lobby_closed"
    assert sits(await ann.lobby("join", **at))["Person 0"] == (1, 0)
    await bob.ask("lobby.leave", **at)
    await ann.ask("lobby.leave", **at)
    assert (await cem.lobby("watch", **at))["host_player_id"] == cem.player_id
    await cem.ask("lobby.leave", **at)
    (left,) = await hall.run("SELECT status::text FROM lobbies WHERE id = $1", at["lobby_id"])
    assert left["status"] == "CLOSED"
    # The game of a closed lobby ends like any other.
    await end_game(hall, table)


async def test_who_loses_the_connection_stays_until_the_game_is_over(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    at = {"lobby_id": (await club(ann))["lobby_id"]}
    for guest in (bob, cem):
        await guest.lobby("join", **at)
    await bob.lobby("ready", **at)
    table = (await ann.lobby("start", **at))["tables"][0]
    for guest in (bob, cem):
        guest.disconnect()
    hall.clock.ahead_s = 31
    await hall.room.maintenance.remove_absent()
    assert list(sits(await ann.hear("left"))) == ["Person 0", "Person 1"]
    await end_game(hall, table)
    hall.clock.ahead_s = 62
    await hall.room.maintenance.remove_absent()
    assert list(sits(await ann.lobby("watch", **at))) == ["Person 0"]


async def test_the_host_changes_seats_and_tables_as_far_as_they_are_free(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await club(ann, ruleset="el_dorado", seats=3)
    at = {"lobby_id": lobby["lobby_id"]}
    await bob.lobby("join", **at, table=1)
    await ann.lobby("add_bot", **at, bot="random", table=1)
    lobby = await ann.lobby("add_bot", **at, bot="random")
    assert list(sits(lobby).values()) == [(0, 0), (1, 0), (1, 1), (0, 1)]
    assert await ann.refusal("lobby.configure", **at, tables=1) == "invalid_field"
    assert await ann.refusal("lobby.configure", **at, tables=16, seats=5) == "invalid_field"
    lobby = await ann.lobby("configure", **at, tables=4, seats=2)
    assert (len(lobby["tables"]), lobby["seats"]) == (4, 2)
    await bob.lobby("join", **at, table=3)
    assert await ann.refusal("lobby.configure", **at, tables=3) == "invalid_field"
    single = await bob.lobby("create", ruleset="four_in_a_row")
    refused = await bob.refusal("lobby.configure", lobby_id=single["lobby_id"], tables=2)
    assert refused == "invalid_field"
    for wrong in ({"mode": "peer"}, {"ruleset": "el_dorado", "tables": 16}):
        asked = {"ruleset": "relay", "tables": 2} | wrong
        assert await bob.refusal("lobby.create", **asked) == "invalid_field"


async def test_a_table_starts_once_whoever_asks(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    at = {"lobby_id": (await club(ann))["lobby_id"]}
    await bob.lobby("join", **at)
    for one in (ann, bob):
        await one.lobby("ready", **at)
    asked = [(one, one.send("lobby.start", **at)) for one in (ann, bob, ann, bob)]
    for one, number in asked:
        await one.until(lambda one=one, number=number: number in one.memory.replies)
    codes = sorted(one.memory.replies[number].get("code", "") for one, number in asked)
    assert codes == ["", "lobby_closed", "lobby_closed", "lobby_closed"]
    assert len(hall.games) == 1


async def test_table_is_free_again_when_its_game_cannot_start(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    at = {"lobby_id": (await club(ann))["lobby_id"]}
    await ann.lobby("add_bot", **at, bot="random")
    assert await ann.refusal("lobby.start", **at, table=1) == "not_ready"

    async def fail(_: NewGame) -> None:
        raise RuntimeError("the rules are wrong")

    hall.meanwhile = fail
    assert await ann.refusal("lobby.start", **at) == "internal"
    assert (await bob.lobby("join", **at, role="spectator"))["tables"] == [FREE, FREE]
    hall.meanwhile = None
    assert (await ann.lobby("start", **at))["tables"][0] != FREE


async def test_the_game_of_a_node_that_died_is_started_by_another(hall: Hall) -> None:
    ann, _ = await hall.people(2)
    at = {"lobby_id": (await club(ann))["lobby_id"]}
    await ann.lobby("add_bot", **at, bot="random")
    gone = asyncio.Event()

    async def die(_: NewGame) -> None:
        gone.set()
        raise asyncio.CancelledError

    hall.meanwhile = die
    with pytest.raises(asyncio.CancelledError):
        await hall.room.members._tables.start(ann.player_id, at["lobby_id"], None)
    assert gone.is_set()
    hall.meanwhile = None
    assert await ann.refusal("lobby.start", **at) == "lobby_closed"
    hall.clock.ahead_s = 6
    await hall.room.maintenance.fill_due()
    assert (await ann.hear("started"))["tables"][0]["game_id"] is not None


async def test_lobby_with_tables_is_kept_for_the_games_that_came_of_it(hall: Hall) -> None:
    ann, _ = await hall.people(2)
    lobby = await club(ann)
    await ann.lobby("add_bot", lobby_id=lobby["lobby_id"], bot="random")
    await ann.lobby("start", lobby_id=lobby["lobby_id"])
    await hall.run(
        "UPDATE lobbies SET status = 'CLOSED', closed_at = now() - interval '1 day' WHERE id = $1",
        lobby["lobby_id"],
    )
    assert await hall.store.delete_closed(60, limit=10) == 0


async def test_people_on_another_node_see_what_is_played_at_the_tables(
    database: Database, rls: RlsDatabase
) -> None:
    async with open_hall(database, rls) as here, open_hall(database, rls) as there:
        ann, eve = await here.person("Ann"), await there.person("Eve")
        at = {"lobby_id": (await club(ann))["lobby_id"]}
        await eve.lobby("join", **at, role="spectator")
        await ann.lobby("add_bot", **at, bot="random")
        table = (await ann.lobby("start", **at))["tables"][0]
        await there.catch_up()
        assert (await eve.hear("caught_up"))["tables"] == [table, FREE]
        # It ends on the node that has taken it over, and is free for those who are here.
        await end_game(there, table)
        assert (await eve.hear("ended"))["tables"] == [FREE, FREE]
        await here.catch_up()
        assert (await ann.hear("caught_up"))["tables"] == [FREE, FREE]
