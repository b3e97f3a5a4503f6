"""Sockets that come, go and are too many: who is notified, and what the game sees of it."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.faults.client_line import (
    Closed,
    Json,
    Line,
    lines,
    new_guests,
    served,
    sit_down,
)
from tests.faults.conftest import Nodes
from tests.fixtures.node import Node
from tests.fixtures.postgres import Databases

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]


@pytest.fixture(scope="module")
def node(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with served(databases, tmp_path_factory.mktemp("node")) as node:
        yield node


def kinds(events: list[Json]) -> list[str]:
    return [event["event"] for event in events]


def last_words(line: Line) -> Json:
    """The update that came right before the close."""
    assert line.updates[-1]["type"] == "session.closing"
    return line.updates[-1]


# ------------------------------------------------------------------ 21: two sockets


async def test_newest_socket_wins_older_gets_the_reason_and_the_game_sees_nothing(
    node: Node,
) -> None:
    [player, spectator] = await new_guests(node, 2)
    async with lines(node, [player, spectator]) as [older, watching]:
        game_id = await sit_down([older], "relay")
        await older.ok("game.resume", game_id=game_id)
        await watching.ok("game.watch", game_id=game_id)
        for n in range(1, 6):
            async with Line(node.websocket_url) as newer:
                await newer.greet(player)
                closed = await older.end()
                assert (closed.code, closed.reason) == (4002, "superseded")
                assert (last_words(older)["reason"], last_words(older)["retry"]) == (
                    "superseded",
                    True,
                )
                await newer.ok("game.resume", game_id=game_id)
                await newer.ok("game.act", game_id=game_id, cmd_no=n, move={})
                assert newer.indexes == list(range(n + 1))
                older, moved = await Line(node.websocket_url).__aenter__(), newer
                await older.greet(player)
                assert (await moved.end()).code == 4002
        await older.socket.close()
        await watching.event("player_disconnected")
        assert kinds(watching.events) == ["game_created", *["relayed"] * 5, "player_disconnected"]


async def test_two_sockets_that_greet_at_once_leave_one(node: Node) -> None:
    [player] = await new_guests(node, 1)
    for _ in range(20):
        async with Line(node.websocket_url) as one, Line(node.websocket_url) as two:
            hellos = [
                (line, await line.say("session.hello", token=player.token)) for line in (one, two)
            ]
            for line, hello in hellos:
                assert (await line.reply(hello))["type"] == "session.welcome"
            alive = 0
            for line in (one, two):
                with suppress(Closed):
                    await line.ok("session.ping")
                    alive += 1
            codes = [line.socket.close_code for line in (one, two)]
            assert (alive, sorted(codes, key=str)) == (1, [4002, None])


# ------------------------------------------------------------------ presence


async def test_going_and_coming_back_are_noted_once_each_and_the_seat_is_kept(node: Node) -> None:
    [player, other] = await new_guests(node, 2)
    async with lines(node, [other]) as [watching]:
        async with lines(node, [player]) as [line]:
            game_id = await sit_down([watching, line], "relay")
            await watching.ok("game.resume", game_id=game_id)
            line.cut()
            gone = await watching.event("player_disconnected")
            assert gone["payload"]["player_id"] == player.player_id
        async with lines(node, [player]) as [line]:
            for _ in range(3):
                assert (await line.ok("game.resume", game_id=game_id))["seat"] == 1
            await line.ok("game.act", game_id=game_id, cmd_no=1, move={})
        await watching.event("player_disconnected")
        assert kinds(watching.events) == [
            "game_created",
            "player_disconnected",
            "player_reconnected",
            "relayed",
            "player_disconnected",
        ]


async def test_departure_is_noted_in_every_game_of_the_player(node: Node) -> None:
    [player, spectator] = await new_guests(node, 2)
    async with lines(node, [player, spectator]) as [line, watching]:
        games = [await sit_down([line], "relay") for _ in range(2)]
        for game_id in games:
            await watching.ok("game.watch", game_id=game_id)
        line.cut()
        gone = [await watching.event("player_disconnected") for _ in games]
        assert {event["game_id"] for event in gone} == set(games)


async def test_who_left_cannot_move_may_look_on_and_may_come_back(node: Node) -> None:
    async with lines(node, await new_guests(node, 2)) as [line, other]:
        game_id = await sit_down([other, line], "relay")
        await other.ok("game.resume", game_id=game_id)
        await line.ok("game.resume", game_id=game_id)
        await line.ok("game.act", game_id=game_id, cmd_no=1, move={"n": 1})
        assert (await line.call("game.watch", game_id=game_id))["code"] == "not_seated"
        await line.ok("game.leave", game_id=game_id)
        await line.ok("game.leave", game_id=game_id)

        refused = await line.call("game.act", game_id=game_id, cmd_no=2, move={"n": 2})
        assert (refused["code"], "game.resume" in refused["message"]) == ("not_seated", True)
        repeated = await line.ok("game.act", game_id=game_id, cmd_no=1, move={"n": 1})
        assert repeated["event_index"] == 1

        assert (await line.ok("game.watch", game_id=game_id))["seat"] is None
        assert (await line.ok("game.resume", game_id=game_id))["seat"] == 1
        await line.ok("game.act", game_id=game_id, cmd_no=2, move={"n": 2})
        await other.event("relayed")
        while kinds(other.events)[-1] != "relayed" or len(other.events) < 6:
            await other.read()
        assert kinds(other.events) == [
            "game_created",
            "relayed",
            "player_left",
            "player_became_spectator",
            "player_joined",
            "relayed",
        ]


# ------------------------------------------------------------------ going away


async def test_sigterm_asks_every_client_to_come_back_after_a_pause(
    nodes: Nodes, serving_dsn: str
) -> None:
    node = nodes("node", serving_dsn)
    guests = await new_guests(node, 20)
    async with lines(node, guests) as everybody:
        table, idle = everybody[:4], everybody[4:]
        game_id = await sit_down(table, "relay")
        for line in table:
            await line.ok("game.resume", game_id=game_id)
        said = [await line.say("game.act", game_id=game_id, cmd_no=1, move={}) for line in table]
        async with asyncio.TaskGroup() as group:
            stopped = group.create_task(asyncio.to_thread(node.stop))
            for line in [*table, *idle]:
                closed = await line.end()
                assert (closed.code, closed.reason) == (4001, "going_away")
                words = last_words(line)
                assert (words["reason"], words["retry"]) == ("going_away", True)
                assert 0 <= words["pause_ms"] <= 3000
        assert stopped.result() == 0
        pauses = {last_words(line)["pause_ms"] for line in everybody}
        assert len(pauses) > 10, "they would all come back at once"
        answered = [line.replies.pop(n) for line, n in zip(table, said, strict=True)]
        assert all(reply["type"] == "ok" or reply["retry"] for reply in answered)

    node.start()
    async with lines(node, guests[:1]) as [line]:
        await line.ok("game.resume", game_id=game_id)
        assert line.indexes[: len(table[0].events)] == table[0].indexes
        done = [reply["event_index"] for reply in answered if reply["type"] == "ok"]
        assert set(done) <= {e["event_index"] for e in line.events if e["event"] == "relayed"}
        assert "player_disconnected" not in kinds(line.events)
