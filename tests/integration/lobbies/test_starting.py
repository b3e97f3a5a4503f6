"""From a lobby to its game: by the host, by quick play, by the sweep."""

import asyncio

from persistence.database import Database
from persistence.games.model import NewGame
from persistence.rls import RlsDatabase
from server.rulesets.el_dorado.ruleset import ElDorado
from tests.integration.lobbies.hall import Hall, Json, open_hall


class Botless(ElDorado):
    """A game that only people play."""

    bots = {}  # noqa: RUF012 - as in the contract


async def test_game_starts_when_everybody_is_ready(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    lobby = await ann.lobby("create", ruleset="el_dorado", seats=4)
    at = {"lobby_id": lobby["lobby_id"]}
    assert await ann.refusal("lobby.start", **at) == "not_ready"
    await bob.lobby("join", **at)
    await cem.lobby("join", **at, role="spectator")
    assert await ann.refusal("lobby.start", **at) == "not_ready"
    await bob.lobby("ready", **at)
    started = await ann.lobby("start", **at)
    assert (started["status"], started["version"]) == ("PLAYING", 5)
    (stored,) = await hall.run("SELECT id FROM games")
    assert started["game_id"] == stored["id"]
    assert (await cem.hear("started"))["game_id"] == stored["id"]


async def test_seats_are_closed_up_in_the_game(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    lobby = await ann.lobby("create", ruleset="el_dorado", seats=4, config={"rounds": 2})
    at = {"lobby_id": lobby["lobby_id"]}
    for guest in (bob, cem):
        await guest.lobby("join", **at)
    await ann.lobby("add_bot", **at, bot="random")
    await bob.ask("lobby.leave", **at)
    await cem.lobby("ready", **at)
    await ann.lobby("start", **at)
    (game,) = hall.games
    assert [p.bot for p in game.players] == [None, None, "random"]
    assert [p.player_id for p in game.players[:2]] == [ann.player_id, cem.player_id]
    assert game.config == {"rounds": 2, "turn_timeout_s": 60.0, "spectator_delay_s": 0.0}
    assert (game.seats, game.join_code) == (4, lobby["join_code"])


async def test_started_lobby_takes_only_spectators(hall: Hall) -> None:
    ann, bob, cem = await hall.people(3)
    lobby = await ann.lobby("create", ruleset="el_dorado", seats=3)
    at = {"lobby_id": lobby["lobby_id"]}
    await ann.lobby("add_bot", **at, bot="random")
    await ann.lobby("start", **at)
    assert await bob.refusal("lobby.join", **at) == "lobby_closed"
    assert await ann.refusal("lobby.leave", **at) == "lobby_closed"
    assert await ann.refusal("lobby.start", **at) == "lobby_closed"
    assert await ann.refusal("lobby.configure", **at, seats=2) == "lobby_closed"
    for guest in (bob, cem):
        await guest.lobby("join", **at, role="spectator")
    await ann.lobby("kick", **at, player_id=bob.player_id)
    await cem.ask("lobby.leave", **at)
    assert len((await ann.lobby("watch", **at))["members"]) == 2


async def test_start_reads_again_when_the_lobby_changed(hall: Hall) -> None:
    """Another node lets somebody in between reading the lobby and making the game."""
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="relay", seats=4)
    at = {"lobby_id": lobby["lobby_id"]}
    tries = []

    async def somebody_sits_down(new: NewGame) -> None:
        tries.append(len(new.players))
        if len(tries) == 1:
            await hall.run(
                "INSERT INTO lobby_members (lobby_id, player_id, seat, ready)"
                " VALUES ($1, $2, 1, true)",
                new.lobby_id,
                bob.player_id,
            )
            await hall.run("UPDATE lobbies SET version = version + 1")

    hall.meanwhile = somebody_sits_down
    await ann.lobby("start", **at)
    assert tries == [1, 2]
    assert [p.player_id for p in hall.games[0].players] == [ann.player_id, bob.player_id]


async def test_quick_play_joins_the_fullest_that_fits(hall: Hall) -> None:
    people = await hall.people(7)
    wishes: list[Json] = [
        {"seats": 4},
        {"seats": 3},
        {"config": {"rounds": 2}, "seats": 4},
        {"seats": 3},
        {},
    ]
    lobbies = [
        await p.lobby("quick_play", ruleset="el_dorado", **wish)
        for p, wish in zip(people, wishes, strict=False)
    ]
    four, three, short, three_again, fullest = [lobby["lobby_id"] for lobby in lobbies]
    assert len({four, three, short}) == 3
    assert three_again == fullest == three
    assert lobbies[0]["host_player_id"] is None
    assert lobbies[0]["fill_at"] is not None
    assert await people[0].refusal("lobby.start", lobby_id=four) == "not_the_host"


async def test_quick_play_again_gives_the_same_lobby(hall: Hall) -> None:
    ann = await hall.person()
    first = await ann.lobby("quick_play", ruleset="el_dorado")
    assert first["seats"] == 4
    assert await ann.lobby("quick_play", ruleset="el_dorado") == first


async def test_quick_play_ignores_hosted_lobbies(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    hosted = await ann.lobby("create", ruleset="el_dorado", seats=4)
    quick = await bob.lobby("quick_play", ruleset="el_dorado")
    assert quick["lobby_id"] != hosted["lobby_id"]


async def test_full_quick_play_starts_by_itself(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    for person in (ann, bob):
        await person.lobby("quick_play", ruleset="el_dorado", seats=2)
    started = await ann.hear("started")
    assert (started["status"], started["fill_at"]) == ("PLAYING", None)
    assert [p.player_id for p in hall.games[0].players] == [ann.player_id, bob.player_id]


async def test_bots_fill_quick_play_after_the_wait(hall: Hall) -> None:
    ann = await hall.person()
    await ann.lobby("quick_play", ruleset="el_dorado", seats=4)
    await hall.room.maintenance.fill_due()
    assert ann.changes() == []
    hall.clock.ahead_s = 11
    await hall.room.maintenance.fill_due()
    assert ann.changes() == ["filled", "started"]
    bots = [p.bot for p in hall.games[0].players]
    assert bots[0] is None
    assert len(bots) == 4
    assert None not in bots[1:]
    await hall.room.maintenance.fill_due()
    assert len(hall.games) == 1


async def test_two_nodes_that_sweep_at_once_start_each_game_once(
    hall: Hall, database: Database
) -> None:
    people = await hall.people(5)
    for n, person in enumerate(people):
        await person.lobby("quick_play", ruleset="el_dorado", config={"rounds": n + 1})
    async with open_hall(database, hall.rls) as other:
        hall.clock.ahead_s = other.clock.ahead_s = 11
        sweeps = [node.room.maintenance.fill_due() for node in (hall, other, hall, other)]
        await asyncio.gather(*sweeps)
        assert len(hall.games) + len(other.games) == 5
    stored = await hall.run("SELECT status::text, version FROM lobbies")
    assert [tuple(row) for row in stored] == [("PLAYING", 3)] * 5


async def test_start_that_fails_is_tried_again_later(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    for person in (ann, bob):
        await person.lobby("quick_play", ruleset="el_dorado", seats=3)

    async def fail(_: NewGame) -> None:
        raise RuntimeError("the disk is on fire")

    hall.meanwhile = fail
    hall.clock.ahead_s = 11
    await hall.room.maintenance.fill_due()
    assert ann.changes() == ["joined", "filled", "postponed"]
    hall.meanwhile = None
    await hall.room.maintenance.fill_due()
    assert hall.games == []
    hall.clock.ahead_s = 30
    await hall.room.maintenance.fill_due()
    assert ann.changes() == ["joined", "filled", "postponed", "started"]


async def test_quick_play_without_bots_waits_for_enough_players(
    database: Database, rls: RlsDatabase
) -> None:
    async with open_hall(database, rls, {"el_dorado": Botless()}) as hall:
        ann, bob = await hall.people(2)
        await ann.lobby("quick_play", ruleset="el_dorado")
        hall.clock.ahead_s = 11
        await hall.room.maintenance.fill_due()
        assert ann.changes() == ["postponed"]
        await bob.lobby("quick_play", ruleset="el_dorado")
        hall.clock.ahead_s = 30
        await hall.room.maintenance.fill_due()
        assert ann.changes() == ["postponed", "joined", "started"]


async def test_lobby_is_published_as_closed_when_its_game_is_over(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="relay", seats=2)
    at = {"lobby_id": lobby["lobby_id"]}
    await bob.lobby("watch", **at)
    await ann.lobby("start", **at)
    await hall.run("UPDATE lobbies SET status = 'CLOSED', version = version + 1")
    await hall.room.publish_game_over(lobby["lobby_id"])
    assert bob.changes() == ["started", "closed"]
    assert hall.listeners(lobby["lobby_id"]) == 0


async def test_who_may_watch_the_game(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    kinds: dict[str, Json] = {
        "open": {},
        "secret": {"password": "x"},
        "hidden": {"is_public": False},
    }
    may = {}
    for name, fields in kinds.items():
        lobby = await ann.lobby("create", ruleset="el_dorado", **fields)
        who = (None, bob.player_id, ann.player_id)
        may[name] = [await hall.room.may_watch(lobby["lobby_id"], one) for one in who]
    assert may == {
        "open": [True, True, True],
        "secret": [False, False, True],
        "hidden": [False, False, True],
    }
