"""People and nodes that go away."""

import asyncio
import logging

import pytest

from persistence.database import Database
from persistence.rls import RlsDatabase
from server.core import periodic
from server.core.tasks import Tasks
from server.domains.play.lobbies import jobs
from tests.fixtures.postgres import Databases
from tests.integration.lobbies.hall import Hall, open_hall


async def test_who_does_not_come_back_in_time_leaves(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="el_dorado")
    await bob.lobby("join", lobby_id=lobby["lobby_id"])
    ann.disconnect()
    hall.clock.ahead_s = 29
    await hall.room.maintenance.remove_absent()
    assert bob.changes() == []
    hall.clock.ahead_s = 31
    await hall.room.maintenance.remove_absent()
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
    await hall.room.maintenance.remove_absent()
    assert bob.changes() == []


async def test_gone_player_keeps_the_seat_of_a_running_game(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="relay")
    await bob.lobby("watch", lobby_id=lobby["lobby_id"])
    await ann.lobby("start", lobby_id=lobby["lobby_id"])
    ann.disconnect()
    hall.clock.ahead_s = 31
    await hall.room.maintenance.remove_absent()
    assert bob.changes() == ["started"]


async def test_departure_is_tried_again_when_the_database_fails(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="el_dorado")
    await bob.lobby("join", lobby_id=lobby["lobby_id"])
    ann.disconnect()
    hall.clock.ahead_s = 31
    find = hall.store.list_open_of_player

    async def failing(_: object) -> list[object]:
        raise ConnectionError("the database went away")

    hall.store.list_open_of_player = failing  # type: ignore[method-assign,assignment]  # for a moment
    with pytest.raises(ConnectionError):
        await hall.room.maintenance.remove_absent()
    hall.store.list_open_of_player = find  # type: ignore[method-assign]  # it is back
    hall.clock.ahead_s = 62
    await hall.room.maintenance.remove_absent()
    assert bob.changes() == ["left"]


async def test_lobby_of_a_dead_node_is_closed(hall: Hall, database: Database) -> None:
    ann, bob = await hall.people(2)
    silent = await ann.lobby("create", ruleset="el_dorado")
    await bob.lobby("watch", lobby_id=silent["lobby_id"])
    await hall.run("UPDATE lobbies SET last_heartbeat = now() - interval '119 s'")
    await hall.room.maintenance.close_silent()
    assert bob.changes() == []
    await hall.run("UPDATE lobbies SET last_heartbeat = now() - interval '121 s'")
    async with open_hall(database, hall.rls) as other:
        await other.room.maintenance.send_heartbeats()  # nobody is connected there
    await hall.room.maintenance.close_silent()
    assert bob.changes() == ["closed"]


async def test_lobby_that_cannot_be_swept_keeps_no_other_open(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    spoilt = await ann.lobby("create", mode="peer", ruleset="pong", seats=2)
    silent = await ann.lobby("create", mode="peer", ruleset="pong", seats=2)
    await bob.lobby("watch", lobby_id=silent["lobby_id"])
    await hall.run(
        "UPDATE lobbies SET last_heartbeat = now() - interval '121 s',"
        " host_seen_at = now() - interval '61 s'"
    )
    # A host may write these columns of an open lobby, in SQL: no change of it can be counted now.
    await hall.run(
        "UPDATE lobbies SET version = 9223372036854775807, host_seen_at = now() - interval '62 s',"
        " last_heartbeat = now() - interval '122 s' WHERE id = $1",
        spoilt["lobby_id"],
    )
    await hall.room.maintenance.replace_silent_hosts()
    assert bob.changes() == ["closed"]
    await hall.run(
        "UPDATE lobbies SET status = 'OPEN', last_heartbeat = now() - interval '121 s'"
        " WHERE id = $1",
        silent["lobby_id"],
    )
    await bob.lobby("watch", lobby_id=silent["lobby_id"])
    await hall.room.maintenance.close_silent()
    assert bob.changes() == ["closed", "closed"]


async def test_lobby_with_somebody_here_shows_life(hall: Hall) -> None:
    ann, bob = await hall.people(2)
    lobby = await ann.lobby("create", ruleset="el_dorado")
    await bob.lobby("watch", lobby_id=lobby["lobby_id"])
    await hall.run("UPDATE lobbies SET last_heartbeat = now() - interval '121 s'")
    await hall.room.maintenance.send_heartbeats()
    await hall.room.maintenance.close_silent()
    assert bob.changes() == []


async def test_sweeps_go_on_by_themselves(hall: Hall) -> None:
    ann = await hall.person()
    await ann.lobby("quick_play", ruleset="el_dorado")
    hall.clock.ahead_s = 11
    async with Tasks() as tasks:
        tasks.start_loop(hall.room.maintenance.run(), name="maintenance")
        assert (await ann.hear("started"))["status"] == "PLAYING"


async def test_database_that_is_away_is_one_line_a_sweep_however_long(
    databases: Databases,
    serving_dsn: str,
    rls: RlsDatabase,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(jobs, "POLL_EVERY_S", 0.01)
    server = await Database.open(serving_dsn, embedded=True)
    looks = [0]
    async with open_hall(server, rls) as hall, Tasks() as tasks:
        look = hall.store.list_due_for_bots

        async def counted(*when: object) -> object:
            looks[0] += 1
            return await look(*when)  # type: ignore[arg-type]  # as it was called

        hall.store.list_due_for_bots = counted  # type: ignore[method-assign,assignment]  # and the real one
        databases.shut(serving_dsn)
        tasks.start_loop(hall.room.maintenance.run(), name="maintenance")
        async with asyncio.timeout(20):
            while looks[0] < 5:
                await asyncio.sleep(0.01)
        sweepers = (jobs.__name__, periodic.__name__)
        said = [r for r in caplog.records if r.name in sweepers and r.levelno > logging.INFO]
        assert [r.levelname for r in said] == ["WARNING"]
        assert said[0].message.startswith("lobbies: filling with bots waits: ")
        assert said[0].exc_info is None
    await server.close()
