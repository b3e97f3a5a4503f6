"""Streams that are taken up far behind, late, in the middle of things, or by nobody."""

import json
import time
from collections.abc import Iterator
from datetime import datetime

import psycopg
import pytest

from tests.faults.client_line import (
    Line,
    connections,
    lines,
    moves_of,
    new_guests,
    served,
    sit_down,
    until,
)
from tests.faults.conftest import Nodes
from tests.fixtures.node import Node
from tests.fixtures.postgres import Databases

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]

BRIEF = """
from server.rulesets.relay.ruleset import Relay

class Brief(Relay):
    name = "brief"
    resume_events_max = 10

RULESET = Brief()
"""


@pytest.fixture(scope="module")
def node(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A node that also has a relay whose players are far behind after 10 events."""
    folder = tmp_path_factory.mktemp("rulesets") / "brief"
    folder.mkdir()
    (folder / "__init__.py").write_text(BRIEF)
    home = tmp_path_factory.mktemp("node")
    with served(databases, home, rulesets_path=folder.parent) as node:
        yield node


async def say_moves(line: Line, game_id: str, numbers: range, **more: object) -> list[int]:
    """Send moves without waiting for anything."""
    return [
        await line.say("game.act", game_id=game_id, cmd_no=n, move={"n": n, **more})
        for n in numbers
    ]


async def move(line: Line, game_id: str, numbers: range, **more: object) -> None:
    """Make moves, and read until they are committed."""
    for command in await say_moves(line, game_id, numbers, **more):
        reply = await line.reply(command)
        assert reply["type"] == "ok", reply


# ------------------------------------------------------------------ snapshots


async def test_far_behind_gets_the_picture_then_the_tail(node: Node) -> None:
    async with lines(node, await new_guests(node, 2)) as [line, other]:
        game_id = await sit_down([line, other], "brief")
        await move(line, game_id, range(1, 41))
        assert (await line.ok("game.resume", game_id=game_id))["head"] == 40
        [snapshot] = [update for update in line.updates if update["type"] == "game.state"]
        assert snapshot["head"] == 40
        assert snapshot["view"]["present"] == [0, 1]
        assert line.events == []
        await move(other, game_id, range(1, 2))
        await line.reach(41)

        assert (await line.ok("game.resume", game_id=game_id, after=31))["head"] == 41
        assert line.indexes == [41, *range(32, 42)]


async def test_picture_taken_in_full_flow_is_followed_by_what_comes_next(node: Node) -> None:
    """The snapshot has moves that are not committed yet: it leaves when they are, after them."""
    async with lines(node, await new_guests(node, 2)) as [line, other]:
        game_id = await sit_down([line, other], "brief")
        await move(line, game_id, range(1, 41))
        for first in range(41, 441, 20):
            await say_moves(other, game_id, range(first - 40, first - 20))
            said = await say_moves(line, game_id, range(first, first + 20))
            frames = len(line.frames)
            reply = await line.ok("game.resume", game_id=game_id, after=0)
            came = [json.loads(frame) for frame in line.frames[frames:]]
            [at] = [n for n, frame in enumerate(came) if frame["type"] == "game.state"]
            assert {frame["re"] for frame in came[:at] if "re" in frame} == set(said)
            indexes = [frame["event_index"] for frame in came[at:] if "event_index" in frame]
            assert indexes == list(range(came[at]["head"] + 1, reply["head"] + 1))
        await line.reach(800)


async def test_snapshot_shows_nothing_that_was_not_committed(node: Node) -> None:
    """Moves are decided ahead of the disk; the snapshot that has them waits for their events."""
    async with lines(node, await new_guests(node, 1)) as [line]:
        game_id = await sit_down([line], "relay")
        await line.ok("game.resume", game_id=game_id)
        for first in range(1, 401, 20):
            await say_moves(line, game_id, range(first, first + 20))
            snapshot = await line.ok("game.snapshot", game_id=game_id)
            assert snapshot["head"] == line.events[-1]["event_index"] == first + 19


# ------------------------------------------------------------------ at a distance in time


async def test_delayed_spectator_gets_every_event_and_none_early(node: Node) -> None:
    delay_s = 1.5
    async with lines(node, await new_guests(node, 2)) as [line, spectator]:
        game_id = await sit_down([line], "relay")
        await move(line, game_id, range(1, 4))
        reply = await spectator.ok("game.watch", game_id=game_id, delay_s=delay_s)
        assert reply["head"] == -1
        await move(line, game_id, range(4, 7))
        await line.ok("game.act", game_id=game_id, cmd_no=7, move={"type": "end"})
        while not spectator.events or spectator.events[-1]["event"] != "game_completed":
            if (frame := await spectator.read())["type"] == "game.event":
                age_s = time.time() - datetime.fromisoformat(frame["at"]).timestamp()
                assert age_s >= delay_s
        assert spectator.indexes == list(range(9))
        assert [move["n"] for move in moves_of(spectator.events)] == list(range(1, 7))


async def test_spectator_changes_between_live_and_delayed_without_a_mixture(node: Node) -> None:
    async with lines(node, await new_guests(node, 2)) as [line, spectator]:
        game_id = await sit_down([line], "relay")
        await spectator.ok("game.watch", game_id=game_id)
        await spectator.ok("game.watch", game_id=game_id, after=0, delay_s=3600)
        await move(line, game_id, range(1, 4))
        await spectator.ok("session.ping")
        assert spectator.indexes == [0]
        await spectator.ok("game.watch", game_id=game_id, after=0)
        assert spectator.indexes == [0, 1, 2, 3]
        await spectator.ok("game.unwatch", game_id=game_id)
        await move(line, game_id, range(4, 5))
        await spectator.ok("session.ping")
        assert spectator.indexes == [0, 1, 2, 3]


async def test_talk_goes_on_after_a_second_resume(node: Node) -> None:
    async with lines(node, await new_guests(node, 1)) as [line]:
        game_id = await sit_down([line], "relay")
        for _ in range(2):
            await line.ok("game.resume", game_id=game_id)
        await line.ok("chat.say", game_id=game_id, text="still here?")
        assert [u["text"] for u in line.updates if u["type"] == "chat.message"] == ["still here?"]


# ------------------------------------------------------------------ in the middle of things


async def test_resume_of_a_game_that_is_lost_meanwhile_is_refused_not_forgotten(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str
) -> None:
    """While one client reads slowly, another owner takes the game; nothing would ever come."""
    node = nodes("node", serving_dsn)
    [writer, reader] = await new_guests(node, 2)
    async with (
        lines(node, [writer]) as [line],
        Line(node.websocket_url, receive_bytes=4096) as slow,
    ):
        await slow.greet(reader)
        game_id = await sit_down([line], "relay")
        await move(line, game_id, range(1, 101), text="x" * 25_000)
        command = await slow.say("game.watch", game_id=game_id)
        await slow.read()  # so the stream has begun, and waits for its reader
        with psycopg.connect(fresh_dsn) as superuser:
            superuser.execute(
                "UPDATE games SET owner_epoch = owner_epoch + 1 WHERE id = %s", [game_id]
            )
        lost = await line.call("game.act", game_id=game_id, cmd_no=101, move={})
        assert (lost["code"], lost["retry"]) == ("not_committed", True)

        refused = await slow.reply(command)
        assert (refused["code"], refused["retry"]) == ("overloaded", True)
        await line.ok("game.act", game_id=game_id, cmd_no=101, move={})
        after = slow.events[-1]["event_index"]
        assert (await slow.ok("game.watch", game_id=game_id, after=after))["head"] == 101
        assert slow.indexes == list(range(102))


async def test_player_who_is_gone_when_the_game_is_ready_does_not_come_back(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str
) -> None:
    """The game has to be read again; the socket breaks while that waits for the database."""
    node = nodes("node", serving_dsn)
    [player, spectator] = await new_guests(node, 2)
    async with lines(node, [player, spectator]) as [line, watching]:
        game_id = await sit_down([line], "relay")
        await watching.ok("game.watch", game_id=game_id)
        line.cut()
        await watching.event("player_disconnected")
    node.kill()
    with psycopg.connect(fresh_dsn) as superuser:
        superuser.execute("SELECT FROM games WHERE id = %s FOR UPDATE", [game_id])
        node.start()
        async with lines(node, [player]) as [line]:
            await line.say("game.resume", game_id=game_id)
            await until(lambda: is_waited_for(superuser))
            line.cut()
            await until(lambda: connections(node), 0)
    async with lines(node, [spectator]) as [watching]:
        snapshot = await watching.ok("game.snapshot", game_id=game_id)
        assert [seat["connected"] for seat in snapshot["players"]] == [False]
        assert snapshot["head"] == 1


async def is_waited_for(connection: psycopg.Connection) -> bool:
    """Say whether somebody waits for a lock that a connection holds."""
    waiting = connection.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
    )
    return waiting.fetchone() == (1,)
