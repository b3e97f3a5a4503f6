"""A move that was chosen on an older snapshot is not played in a newer one."""

from collections.abc import Iterator

import pytest

from tests.faults.client_line import Json, Line, lines, new_guests, served, sit_down
from tests.fixtures.node import Node
from tests.fixtures.postgres import Databases

pytestmark = pytest.mark.xdist_group("expected head")


@pytest.fixture(scope="module")
def node(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with served(databases, tmp_path_factory.mktemp("node")) as node:
        yield node


async def drop(line: Line, game_id: str, cmd_no: int, **fields: object) -> Json:
    move = {"type": "drop", "column": cmd_no}
    return await line.call("game.act", game_id=game_id, cmd_no=cmd_no, move=move, **fields)


def assert_moved_on(reply: Json, *, head: int) -> None:
    assert (reply["code"], reply["head"], reply["retry"]) == ("game_moved_on", head, False)
    assert "event_index" not in reply
    assert str(head) in reply["message"]


async def test_move_is_played_only_if_nothing_happened_since_and_keeps_its_number(
    node: Node,
) -> None:
    async with lines(node, await new_guests(node, 2)) as (one, two):
        game_id = await sit_down([one, two], "relay")
        moved = {"game_id": game_id, "cmd_no": 1, "move": {"n": 1}}
        assert (await one.ok("game.act", **moved, expected_head=0))["event_index"] == 1
        assert_moved_on(await two.call("game.act", **moved, expected_head=0), head=1)
        assert_moved_on(await two.call("game.act", **moved, expected_head=0), head=1)
        assert (await two.ok("game.act", **moved, expected_head=1))["event_index"] == 2
        # A number that was used gets its first reply, whatever is expected now.
        for expected in (0, 1, 2):
            again = await two.ok("game.act", **moved, expected_head=expected)
            assert again["event_index"] == 2
        # One's own moves count as well.
        both = [
            await one.say("game.act", game_id=game_id, cmd_no=n, move={"n": n}, expected_head=2)
            for n in (2, 3)
        ]
        assert (await one.reply(both[0]))["event_index"] == 3
        assert_moved_on(await one.reply(both[1]), head=3)
        await one.ok("game.resume", game_id=game_id)
        assert one.indexes == [0, 1, 2, 3]


@pytest.mark.parametrize("expected", [1, 2**31 - 1])
async def test_event_that_has_not_happened_cannot_be_expected(node: Node, expected: int) -> None:
    async with lines(node, await new_guests(node, 1)) as [line]:
        game_id = await sit_down([line], "relay")
        moved = {"game_id": game_id, "cmd_no": 1, "move": {}}
        refused = await line.call("game.act", **moved, expected_head=expected)
        assert (refused["code"], refused["field"]) == ("bad_index", "expected_head")
        await line.ok("game.act", **moved, expected_head=0)


async def test_events_that_change_nothing_do_not_count_and_leaving_does(node: Node) -> None:
    guests = await new_guests(node, 3)
    async with lines(node, guests) as (one, two, three):
        game_id = await sit_down([one, two, three], "el_dorado", config={"rounds": 1})
        for line in (one, two, three):
            await line.ok("game.resume", game_id=game_id)
        head = (await one.ok("game.snapshot", game_id=game_id))["head"]
        bid = {"type": "bid", "bid": 0}
        refused = await two.call("game.act", game_id=game_id, cmd_no=1, move=bid)
        assert refused["code"] == "not_your_turn"
        two.cut()
        await one.event("player_disconnected")
        async with lines(node, [guests[1]]) as [two]:
            await two.ok("game.resume", game_id=game_id)
            await one.event("player_reconnected")
            acted = {"game_id": game_id, "move": bid}
            await one.ok("game.act", cmd_no=1, **acted, expected_head=head)
            head = (await two.ok("game.snapshot", game_id=game_id))["head"]
            await three.ok("game.leave", game_id=game_id)
            moved_on = await two.call("game.act", cmd_no=2, **acted, expected_head=head)
            assert_moved_on(moved_on, head=head + 1)
            await two.ok("game.act", cmd_no=2, **acted, expected_head=head + 1)


async def test_move_for_a_turn_that_timed_out_is_not_played_in_the_next_one(node: Node) -> None:
    async with lines(node, await new_guests(node, 1)) as [line]:
        made = {"ruleset": "four_in_a_row", "seats": 2, "config": {"turn_timeout_s": 1}}
        lobby = (await line.ok("lobby.create", **made))["lobby"]
        await line.ok("lobby.add_bot", lobby_id=lobby["lobby_id"], bot="random")
        started = await line.ok("lobby.start", lobby_id=lobby["lobby_id"])
        game_id = started["lobby"]["game_id"]
        await line.ok("game.resume", game_id=game_id)
        shown = await line.ok("game.snapshot", game_id=game_id)
        while len([event for event in line.events if event["event"] == "disc_dropped"]) < 2:
            await line.read()
        assert (await drop(line, game_id, 1, expected_head=shown["head"]))["code"] in (
            "game_moved_on",
            "game_over",
        )
        await line.ok("game.resume", game_id=game_id)
        assert not any("_cmd" in event["payload"] for event in line.events)
