"""Every command about a game, in every state of the game, from everybody who could send it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from protocol.ids import new_id
from tests.faults.client_line import Guest, Json, Line, lines, new_guests, sit_down
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases

pytestmark = pytest.mark.xdist_group("games in every state")

RULESETS = Path(__file__).parent / "rulesets"
ROLES = ("player", "left", "kicked", "stranger")
STATES = ("running", "finished", "quarantined")


def commands(role: str, state: str) -> dict[str, Json]:
    """Give the commands; a move has the number that is due, which the player's third move is."""
    due = 1 if role != "player" else 4 if state == "finished" else 3
    return {
        "game.act": {"cmd_no": due, "move": {"type": "fine"}},
        "game.snapshot": {},
        "game.watch": {},
        "game.unwatch": {},
        "game.leave": {},
        "game.resume": {},
    }


# Rows of codes, in the order of the commands: act, snapshot, watch, unwatch, leave, resume.
HIDDEN = ("game_not_found",) * 6
SET_ASIDE = ("quarantined", "quarantined", "quarantined", "game_not_found") + ("quarantined",) * 2
OVER = ("game_over", "ok", "ok", "game_not_found", "game_over", "ok")
EXPECTED = {
    ("running", "player"): ("ok", "ok", "not_seated", "game_not_found", "ok", "ok"),
    ("running", "left"): ("not_seated", "ok", "ok", "ok", "ok", "ok"),
    ("running", "stranger"): ("not_seated", "ok", "ok", "ok", "not_seated", "not_seated"),
    ("finished", "player"): OVER,
    ("finished", "left"): OVER,
    ("finished", "stranger"): OVER,
    ("quarantined", "player"): SET_ASIDE,
    ("quarantined", "left"): SET_ASIDE,
    ("quarantined", "stranger"): SET_ASIDE,
}


@dataclass
class World:
    """A node, and public and private games in every state."""

    node: Node
    guests: dict[str, Guest]
    games: dict[tuple[str, str], str] = field(default_factory=dict)


@pytest.fixture(scope="module")
async def world(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    dsn = databases.create(template=TEMPLATE)
    folder = tmp_path_factory.mktemp("node")
    with Node(folder, databases.serving_dsn(dsn), rulesets_path=RULESETS) as node:
        guests = dict(zip(ROLES, await new_guests(node, len(ROLES)), strict=True))
        world = World(node, guests)
        async with lines(node, list(guests.values())) as (player, left, kicked, _):
            for door in ("public", "private"):
                for state in STATES:
                    world.games[door, state] = await _game(
                        player, left, kicked, kicked_id=guests["kicked"].player_id,
                        is_public=door == "public", end=state,
                    )  # fmt: skip
        yield world
    databases.drop(dsn)


async def _game(
    player: Line, left: Line, kicked: Line, *, kicked_id: str, is_public: bool, end: str
) -> str:
    """Begin a game with somebody who leaves it, and one who looks on and is kicked."""
    made = {"ruleset": "brittle", "seats": 2, "is_public": is_public}
    lobby = (await player.ok("lobby.create", **made))["lobby"]
    await kicked.ok("lobby.join", code=lobby["join_code"], role="spectator")
    await left.ok("lobby.join", code=lobby["join_code"])
    await left.ok("lobby.ready", lobby_id=lobby["lobby_id"])
    started = await player.ok("lobby.start", lobby_id=lobby["lobby_id"])
    game_id: str = started["lobby"]["game_id"]
    await player.ok("lobby.kick", lobby_id=lobby["lobby_id"], player_id=kicked_id)
    for cmd_no in (1, 2):
        await player.ok("game.act", game_id=game_id, cmd_no=cmd_no, move={"type": "fine"})
    await left.ok("game.leave", game_id=game_id)
    last = {"finished": "end", "quarantined": "evolve"}.get(end)
    if last is not None:
        await player.call("game.act", game_id=game_id, cmd_no=3, move={"type": last})
    return game_id


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("door", ["public", "private"])
async def test_every_command_is_answered_as_the_game_and_the_asker_are(
    world: World, door: str, role: str, state: str
) -> None:
    is_hidden = role == "kicked" or (role == "stranger" and door == "private")
    expected = HIDDEN if is_hidden else EXPECTED[state, role]
    game_id = world.games[door, state]
    nowhere = new_id()
    async with lines(world.node, [world.guests[role]]) as [line]:
        got = []
        for command, fields in commands(role, state).items():
            reply = await line.call(command, game_id=game_id, **fields)
            got.append(reply.get("code", "ok"))
            if is_hidden:  # word for word as if there were no such game
                other = await line.call(command, game_id=nowhere, **fields)
                assert reply | {"re": 0} == other | {"re": 0}
        assert tuple(got) == expected
        if is_hidden:
            assert line.events == []


async def test_finished_game_answers_what_was_asked_and_names_the_last_number(
    world: World,
) -> None:
    guests = [world.guests["player"], world.guests["left"], world.guests["stranger"]]
    async with lines(world.node, guests) as (player, left, stranger):
        game_id = world.games["public", "finished"]
        resumed = await player.ok("game.resume", game_id=game_id)
        assert (resumed["cmd_no"], resumed["seat"], resumed["status"]) == (3, 0, "completed")
        again = await player.ok("game.resume", game_id=game_id, after=resumed["head"])
        assert again | {"re": 0} == resumed | {"re": 0}
        for cmd_no in (1, 2, 3):
            repeated = await player.ok("game.act", game_id=game_id, cmd_no=cmd_no, move={})
            [event] = [e for e in player.events if e["event_index"] == repeated["event_index"]]
            assert event["payload"]["_cmd"] == [0, cmd_no]
        assert (await left.ok("game.resume", game_id=game_id))["cmd_no"] == 0
        watched = await stranger.ok("game.resume", game_id=game_id)
        assert (watched["cmd_no"], watched["seat"]) == (0, None)


# ------------------------------------------------------------------ who left, and the delay


async def relay(line: Line, game_id: str, *numbers: int) -> None:
    for cmd_no in numbers:
        await line.ok("game.act", game_id=game_id, cmd_no=cmd_no, move={"n": cmd_no})


async def test_who_left_goes_on_watching_from_their_last_index_once_it_may_be_seen(
    world: World,
) -> None:
    async with lines(world.node, await new_guests(world.node, 2)) as (host, guest):
        late = {"spectator_delay_s": 1.0}
        game_id = await sit_down([host, guest], "relay", config=late)
        await guest.ok("game.resume", game_id=game_id)
        await relay(host, game_id, 1, 2, 3)
        await guest.reach(3)
        await guest.ok("game.leave", game_id=game_id)
        last = guest.indexes[-1]
        await relay(host, game_id, 4, 5)
        watched = await guest.ok("game.watch", game_id=game_id, after=last)
        assert (watched["head"], watched["seat"]) == (last, None)
        assert guest.indexes[-1] == last
        await relay(host, game_id, 6)
        await guest.reach(host_head := await _head(host, game_id))
        assert guest.indexes == list(range(host_head + 1))


async def test_who_left_learns_nothing_of_how_far_a_delayed_game_is(world: World) -> None:
    async with lines(world.node, await new_guests(world.node, 2)) as (host, guest):
        late = {"spectator_delay_s": 300.0}  # longer than any test
        game_id = await sit_down([host, guest], "relay", config=late)
        await relay(host, game_id, 1)
        left = await guest.ok("game.leave", game_id=game_id)
        assert left["head"] == 2
        await relay(host, game_id, 2, 3)
        assert (await guest.ok("game.leave", game_id=game_id))["head"] == -1
        for after in (-1, 2, 3, 5, 6, 1000, 2**31 - 1):
            watched = await guest.ok("game.watch", game_id=game_id, after=after)
            assert watched == {
                "re": watched["re"],
                "type": "ok",
                "head": after,
                "seat": None,
                "cmd_no": 0,
                "status": "in_progress",
                "commitment": None,
            }
        for after in (-2, 2**31):
            refused = await guest.call("game.watch", game_id=game_id, after=after)
            assert refused["code"] == "bad_index"
        assert guest.events == []


async def _head(line: Line, game_id: str) -> int:
    return int((await line.ok("game.snapshot", game_id=game_id))["head"])
