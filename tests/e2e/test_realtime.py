"""A real-time game through the Python client, on a whole server."""

import asyncio
from contextlib import AsyncExitStack, suppress
from statistics import median

import pytest

import playhall
from playhall.errors import RequestRefused
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE

RIGHT = {"type": "steer", "x": 1, "y": 0}


@pytest.fixture(scope="module")
def server_url(databases, tmp_path_factory):
    dsn = databases.create(template=TEMPLATE)
    with Node(tmp_path_factory.mktemp("node"), databases.serving_dsn(dsn)) as node:
        yield node.url
    databases.drop(dsn)


async def arena(client, *, bots=("wanderer",), **config):
    """Start an arena with bots, and follow it."""
    lobby = (
        await client.call(
            "lobby.create",
            ruleset="arena",
            seats=1 + len(bots),
            config={"duration_s": 600, **config},
        )
    )["lobby"]
    for bot in bots:
        await client.call("lobby.add_bot", lobby_id=lobby["lobby_id"], bot=bot)
    return await client.wait_for_game(
        (await client.call("lobby.start", lobby_id=lobby["lobby_id"]))["lobby"]
    )


async def test_player_steers_and_sees_it(server_url):
    async with playhall.connect(server_url, name="Ann") as ann:
        game = await arena(ann)
        x = game.live.view["runners"]["0"]["x"]
        steer = RIGHT if x < 500 else {**RIGHT, "x": -1}
        await game.act(steer)
        async with asyncio.timeout(20):
            async for live in game.views():
                if live.ack == 1 and live.view["runners"]["0"]["x"] != x:
                    break
        assert (live.view["runners"]["0"]["x"] > x) is (steer["x"] > 0)


async def test_broken_connection_takes_the_game_up_from_a_new_view(server_url):
    async with playhall.connect(server_url, name="Ben") as ben:
        game = await arena(ben)
        await game.act(RIGHT)
        before = game.live.tick
        ben.connection._transport.close()
        async with asyncio.timeout(20):
            await game.act({"type": "dash"})
            while game.live.tick <= before + 10 or game.live.ack < 2:
                await asyncio.sleep(0.02)
        assert game.stream.failure is None


async def test_short_game_ends_and_is_read_again_as_a_whole_log(server_url):
    async with playhall.connect(server_url, name="Cem") as cem:
        game = await arena(cem, bots=("gatherer", "wanderer"), duration_s=5)
        async with asyncio.timeout(30):
            async for _ in game.views():
                pass
        again = await cem.game(game.game_id, watch=True)
        async with asyncio.timeout(20):
            events = [event async for event in again]
        assert [event.event_index for event in events] == list(range(len(events)))
        assert events[-1].type == "game_completed"
        assert {event.type for event in events} >= {"tick"}
        snapshot = await cem.call("game.snapshot", game_id=game.game_id)
        assert snapshot["view"]["over"] is True


async def test_delayed_spectator_sees_what_the_player_saw_and_no_sooner(server_url):
    async with (
        playhall.connect(server_url, name="Fay") as fay,
        playhall.connect(server_url, name="Gus") as gus,
    ):
        game = await arena(fay, bots=("gatherer",), duration_s=8, spectator_delay_s=2.5)
        with pytest.raises(RequestRefused, match=r"Spectators see this game 2\.5 s late"):
            await gus.call("game.snapshot", game_id=game.game_id)
        seen = {}  # by tick, what the player saw, and when
        late = {}
        watched = await gus.game(game.game_id, watch=True)

        async def play():
            await game.act(RIGHT)
            async for live in game.views():
                seen[live.tick] = (live.view, asyncio.get_running_loop().time())

        async def watch():
            async for live in watched.views():
                late[live.tick] = (live.view, asyncio.get_running_loop().time())

        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(play())
            group.create_task(watch())
        both = seen.keys() & late.keys()
        assert len(both) > 5  # a busy machine sends fewer views
        assert [tick for tick in both if seen[tick][0] != late[tick][0]] == []
        assert median(late[tick][1] - seen[tick][1] for tick in both) > 2
        # The end is as late as the rest, and comes as an event.
        assert watched.stream.completed
        assert watched.live.view["over"] is True
        refused = [each async for each in watched if each.type == "tick"]
        assert refused == []


async def test_spectators_choose_a_few_delays_of_a_real_time_game(server_url):
    async with AsyncExitStack() as stack:
        hal, *others = [
            await stack.enter_async_context(playhall.connect(server_url, name=f"Hal {n}"))
            for n in range(6)
        ]
        game = await arena(hal)
        watch = {"game_id": game.game_id, "after": -1}
        for delay_s, other in enumerate(others[:4], start=1):
            await other.call("game.watch", delay_s=float(delay_s), **watch)
        with pytest.raises(RequestRefused, match="use one of: 1, 2, 3, 4"):
            await others[4].call("game.watch", delay_s=5.0, **watch)
        await others[4].call("game.watch", delay_s=4.0, **watch)
        for other in others:
            await other.call("game.unwatch", game_id=game.game_id)
        async with asyncio.timeout(20):  # nobody looks: nothing is folded any more
            while True:
                with suppress(RequestRefused):
                    await others[4].call("game.watch", delay_s=5.0, **watch)
                    break
                await asyncio.sleep(0.05)
        await game.leave()


async def test_emote_reaches_others_and_is_in_no_log(server_url):
    async with (
        playhall.connect(server_url, name="Dee") as dee,
        playhall.connect(server_url, name="Eli") as eli,
    ):
        game = await arena(dee, bots=())
        await eli.game(game.game_id, watch=True)
        await game.send_ephemeral({"emote": "wave"})
        async with asyncio.timeout(20):
            async for update in eli.updates():
                if update["type"] == "game.ephemeral":
                    break
        assert (update["seat"], update["data"]) == (0, {"emote": "wave"})
        with pytest.raises(RequestRefused, match="256"):
            await game.send_ephemeral({"emote": "x" * 300})
        with pytest.raises(RequestRefused, match="seat"):
            await eli.call("game.send_ephemeral", game_id=game.game_id, data={})
