"""Taking a stream up again, at whatever moment, from whatever index: no hole, no repeat."""

import asyncio
import itertools
import random
from collections.abc import Iterator

import pytest

from tests.faults.client_cut import cut_after
from tests.faults.client_line import (
    Closed,
    Guest,
    Json,
    Line,
    lines,
    moves_of,
    new_guests,
    served,
    sit_down,
)
from tests.faults.conftest import Rounds
from tests.faults.table import Figures
from tests.fixtures.node import Node
from tests.fixtures.postgres import Databases

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]

SEED = 17
# So many events that a client has already come again, to be cut in their midst.
KNOWN_EVENTS = 5
ROUNDS_MIN = 4


@pytest.fixture(scope="module")
def node(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with served(databases, tmp_path_factory.mktemp("node")) as node:
        yield node


# ------------------------------------------------------------------ 17: cut at every byte


async def test_stream_is_contiguous_wherever_the_connection_is_cut(
    node: Node, rounds: Rounds, figures: Figures
) -> None:
    """Each connection also makes a move, which it repeats on the next one: it acts once."""
    [guest] = await new_guests(node, 1)
    async with lines(node, [guest]) as [line]:
        game_id = await sit_down([line], "relay")
    seen: list[Json] = []
    player = _Interrupted(node, guest, game_id, seen)
    for _ in range(KNOWN_EVENTS):
        await player.connect(None)
    down_bytes, up_bytes = await player.measure()
    chance = random.Random(SEED)
    places = [("down_bytes", n) for n in range(1, down_bytes)]
    places += [("up_bytes", n) for n in range(1, up_bytes)]
    for where, count in chance.sample(places, rounds(200, len(places))):
        async with cut_after(node.url, **{where: count}) as (_, port):
            await player.connect(port)
        figures.count("connections cut while resuming")
    await player.connect(None)

    assert [event["event_index"] for event in seen] == list(range(len(seen)))
    assert [move["n"] for move in moves_of(seen)] == list(range(1, player.cmd_no))
    async with lines(node, [guest]) as [line]:
        await line.ok("game.resume", game_id=game_id)
        assert line.events[: len(seen)] == seen


class _Interrupted:
    """A player who resumes, moves and is cut off, over and over."""

    def __init__(self, node: Node, guest: Guest, game_id: str, seen: list[Json]) -> None:
        self._node = node
        self._guest = guest
        self._game_id = game_id
        self._seen = seen
        self.cmd_no = 1

    async def measure(self) -> tuple[int, int]:
        """Say how many bytes one connection takes, each way."""
        async with cut_after(self._node.url) as (whole, port):
            await self.connect(port)
            return whole.down, whole.up

    async def connect(self, port: int | None) -> None:
        """Take up the stream, and make the move that no reply has come to yet."""
        line = Line(self._node.websocket_url, port=port)
        try:
            async with line:
                await line.greet(self._guest)
                after = max(-1, len(self._seen) - KNOWN_EVENTS)
                await line.ok("game.resume", game_id=self._game_id, after=after)
                move = {"n": self.cmd_no}
                await line.ok("game.act", game_id=self._game_id, cmd_no=self.cmd_no, move=move)
                self.cmd_no += 1
        except Closed:
            pass  # which is what this is about
        self._take(line.events)

    def _take(self, events: list[Json]) -> None:
        """Keep what is new; what is not must be what came before."""
        for event in events:
            index = event["event_index"]
            assert index <= len(self._seen), f"{index} came, {len(self._seen)} was due"
            if index < len(self._seen):
                assert event == self._seen[index]
            else:
                self._seen.append(event)


# ------------------------------------------------------------------ 18: racing appends


@pytest.mark.parametrize("kind", ["game.resume", "game.watch"])
async def test_resume_racing_appends_has_no_hole_and_no_repeat(
    node: Node, rounds: Rounds, figures: Figures, kind: str
) -> None:
    """Some move without a pause; others take the stream up again and again from anywhere."""
    writers, racers = 3, 6
    guests = await new_guests(node, writers + racers)
    async with lines(node, guests) as everybody:
        seated = everybody if kind == "game.resume" else everybody[:writers]
        game_id = await sit_down(seated, "relay")
        done = asyncio.Event()
        races = [_Race(node, guest, game_id, kind) for guest in guests[writers:]]
        async with asyncio.TaskGroup() as group:
            for race, line in zip(races, everybody[writers:], strict=True):
                group.create_task(race.run(line, done))
            writing = [
                group.create_task(_write(line, game_id, races, moves=rounds(300, 1_000)))
                for line in everybody[:writers]
            ]
            await asyncio.wait(writing)
            done.set()
    figures.count("resumes racing appends", sum(race.rounds for race in races))
    assert all(line.indexes == list(range(len(line.events))) for line in everybody[:writers])


async def _write(line: Line, game_id: str, races: list["_Race"], *, moves: int) -> None:
    """Make so many moves at least, and go on until each race has had its rounds."""
    await line.ok("game.resume", game_id=game_id)
    for first in itertools.count(1, 20):
        if first > moves and all(race.rounds >= ROUNDS_MIN for race in races):
            return
        numbers = range(first, first + 20)
        said = [
            await line.say("game.act", game_id=game_id, cmd_no=n, move={"n": n}) for n in numbers
        ]
        for command in said:
            assert (await line.reply(command))["type"] == "ok"


class _Race:
    """One client's resumes, on its connection or on a new one, each checked by itself."""

    def __init__(self, node: Node, guest: Guest, game_id: str, kind: str) -> None:
        self._node = node
        self._guest = guest
        self._game_id = game_id
        self._kind = kind
        self._chance = random.Random(guest.player_id)
        self.rounds = 0
        self._head = -1

    async def run(self, line: Line, done: asyncio.Event) -> None:
        """Race until the appends are done."""
        await self._resume(line, done)
        while not done.is_set():
            async with Line(self._node.websocket_url) as fresh:
                await fresh.greet(self._guest)
                await self._resume(fresh, done)

    async def _resume(self, line: Line, done: asyncio.Event) -> None:
        last: int | None = None  # up to where this connection follows
        for _ in range(self._chance.randint(1, 5)):
            start = len(line.events)
            after = self._chance.randint(-1, self._head)
            reply = await line.ok(self._kind, game_id=self._game_id, after=after)
            _check(line.indexes[start:], last, after, reply["head"])
            self.rounds += 1
            self._head = last = reply["head"]
            if done.is_set():
                return


def _check(came: list[int], last: int | None, after: int, head: int) -> None:
    """Check what came until the reply: the end of the old stream, then all of the new one."""
    old, new = came[: len(came) - (head - after)], came[len(came) - (head - after) :]
    assert new == list(range(after + 1, head + 1))
    assert old == ([] if last is None else list(range(last + 1, last + 1 + len(old))))


# ------------------------------------------------------------------ 19: where there is nothing


BAD_INDEXES = {
    "-2": "bad_index",
    "1": "bad_index",
    str(2**31): "bad_index",
    str(2**63): "bad_index",
    str(-(2**63)): "bad_index",
    str(2**64): "invalid_field",
    "1" * 400: "bad_frame",
    '"0"': "invalid_field",
    "1.0": "bad_index",  # a whole float is the integer that it equals
    "1e3": "bad_index",
    "0.5": "invalid_field",
    "true": "invalid_field",
    "null": "invalid_field",
    "[0]": "invalid_field",
}


@pytest.mark.parametrize("kind", ["game.resume", "game.watch"])
async def test_index_that_is_not_there_is_refused_and_nothing_is_sent(
    node: Node, kind: str
) -> None:
    guests = await new_guests(node, 2)
    async with lines(node, guests) as [player, spectator]:
        game_id = await sit_down([player], "relay")
        line = player if kind == "game.resume" else spectator
        got = {}
        for after in BAD_INDEXES:
            frame = f'{{"id":99,"type":"{kind}","game_id":"{game_id}","after":{after}}}'
            await line.say_text(frame)
            reply = await line.reply(None if BAD_INDEXES[after] == "bad_frame" else 99)
            got[after] = reply["code"]
            assert reply.get("field") == ("after" if reply["code"] != "bad_frame" else None)
        assert got == BAD_INDEXES
        assert line.events == []
        assert (await line.ok(kind, game_id=game_id, after=-1))["head"] == 0
        assert (await line.ok(kind, game_id=game_id, after=0))["head"] == 0
        assert line.indexes == [0]


# ------------------------------------------------------------------ 20: what one may not see


async def test_private_game_is_not_there_for_strangers_and_those_who_were_kicked(
    node: Node,
) -> None:
    guests = await new_guests(node, 4)
    async with lines(node, guests) as [host, stranger, kicked, spectator]:
        made = {"ruleset": "relay", "seats": 2, "is_public": False, "password": "sesame"}
        lobby = (await host.ok("lobby.create", **made))["lobby"]
        where = {"code": lobby["join_code"], "password": "sesame"}
        for line in (kicked, spectator):
            await line.ok("lobby.join", role="spectator", **where)
        started = await host.ok("lobby.start", lobby_id=lobby["lobby_id"])
        game_id = started["lobby"]["game_id"]
        await host.ok("game.act", game_id=game_id, cmd_no=1, move={})

        await kicked.ok("game.watch", game_id=game_id)
        await kicked.ok("game.unwatch", game_id=game_id)
        kick = {"lobby_id": lobby["lobby_id"], "player_id": guests[2].player_id}
        await host.ok("lobby.kick", **kick)
        seen = len(kicked.events)
        for line in (stranger, kicked):
            for kind in ("game.resume", "game.watch", "game.snapshot"):
                refused = await line.call(kind, game_id=game_id)
                assert refused["code"] == "game_not_found", (kind, refused)
            acted = await line.call("game.act", game_id=game_id, cmd_no=1, move={})
            assert acted["code"] == "game_not_found"
        assert stranger.events == []
        assert len(kicked.events) == seen

        await spectator.ok("game.watch", game_id=game_id)
        assert spectator.indexes == [0, 1]
        assert (await spectator.call("game.resume", game_id=game_id))["code"] == "not_seated"

        # A game that is over is as private as it was.
        await host.ok("game.act", game_id=game_id, cmd_no=2, move={"type": "end"})
        for line in (stranger, kicked):
            for kind in ("game.resume", "game.watch", "game.snapshot"):
                assert (await line.call(kind, game_id=game_id))["code"] == "game_not_found"
        assert (await spectator.ok("game.watch", game_id=game_id))["status"] == "completed"
        assert stranger.events == []


async def test_spectator_who_is_kicked_is_sent_no_more_of_a_private_game(node: Node) -> None:
    guests = await new_guests(node, 2)
    async with lines(node, guests) as [host, kicked]:
        lobby = (await host.ok("lobby.create", ruleset="relay", is_public=False))["lobby"]
        await kicked.ok("lobby.join", role="spectator", code=lobby["join_code"])
        started = await host.ok("lobby.start", lobby_id=lobby["lobby_id"])
        game_id = started["lobby"]["game_id"]
        await kicked.ok("game.watch", game_id=game_id)
        kick = {"lobby_id": lobby["lobby_id"], "player_id": guests[1].player_id}
        await host.ok("lobby.kick", **kick)
        await host.ok("game.act", game_id=game_id, cmd_no=1, move={})
        await kicked.ok("session.ping")
        assert kicked.indexes == [0]
