"""People and nodes that go away."""

import pytest

from persistence.database import Database
from server.kernel.tasks import Tasks
from tests.integration.lobbies.hall import Hall, open_hall


async def test_who_does_not_come_back_in_time_leaves(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="el_dorado")
    await bob.lobby("join", lobby_id=lobby["lobby_id"])
    ann.disconnect()
    hall.clock.ahead_s = 29
    await hall.room.upkeep.let_go()
    assert bob.changes() == []
    hall.clock.ahead_s = 31
    await hall.room.upkeep.let_go()
    assert bob.changes() == ["left"]
    assert bob.heard()[0]["lobby"]["host_player_id"] == bob.player_id


async def test_who_comes_back_in_time_stays(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="el_dorado")
    await bob.lobby("join", lobby_id=lobby["lobby_id"])
    ann.disconnect()
    hall.clock.ahead_s = 20
    ann.connect()
    hall.clock.ahead_s = 40
    await hall.room.upkeep.let_go()
    assert bob.changes() == []


async def test_gone_player_keeps_the_seat_of_a_running_game(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="relay")
    await bob.lobby("watch", lobby_id=lobby["lobby_id"])
    await ann.lobby("start", lobby_id=lobby["lobby_id"])
    ann.disconnect()
    hall.clock.ahead_s = 31
    await hall.room.upkeep.let_go()
    assert bob.changes() == ["started"]


async def test_departure_is_tried_again_when_the_database_fails(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="el_dorado")
    await bob.lobby("join", lobby_id=lobby["lobby_id"])
    ann.disconnect()
    hall.clock.ahead_s = 31
    find = hall.store.open_of

    async def failing(_: object) -> list[object]:
        raise ConnectionError("the database went away")

    hall.store.open_of = failing  # type: ignore[method-assign,assignment]  # for a moment
    with pytest.raises(ConnectionError):
        await hall.room.upkeep.let_go()
    hall.store.open_of = find  # type: ignore[method-assign]  # it is back
    hall.clock.ahead_s = 62
    await hall.room.upkeep.let_go()
    assert bob.changes() == ["left"]


async def test_lobby_of_a_dead_node_is_closed(hall: Hall, database: Database) -> None:
    ann, bob = await hall.people(2)
    silent = await ann.lobby("create", ruleset="el_dorado")
    await bob.lobby("watch", lobby_id=silent["lobby_id"])
    await hall.run("UPDATE lobbies SET last_heartbeat = now() - interval '119 s'")
    await hall.room.upkeep.close_silent()
    assert bob.changes() == []
    await hall.run("UPDATE lobbies SET last_heartbeat = now() - interval '121 s'")
    async with open_hall(database, hall.behalf) as other:
        await other.room.upkeep.beat()  # nobody is connected there
    await hall.room.upkeep.close_silent()
    assert bob.changes() == ["closed"]


async def test_lobby_with_somebody_here_shows_life(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="el_dorado")
    await bob.lobby("watch", lobby_id=lobby["lobby_id"])
    await hall.run("UPDATE lobbies SET last_heartbeat = now() - interval '121 s'")
    await hall.room.upkeep.beat()
    await hall.room.upkeep.close_silent()
    assert bob.changes() == []


async def test_sweeps_go_on_by_themselves(hall: Hall) -> None:
    ann = await hall.person()
    await ann.lobby("quick_play", ruleset="el_dorado")
    hall.clock.ahead_s = 11
    async with Tasks() as tasks:
        tasks.loop(hall.room.upkeep.run(), name="upkeep")
        assert (await ann.hear("started"))["status"] == "PLAYING"
