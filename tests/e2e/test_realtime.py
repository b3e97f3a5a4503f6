"""A real-time game through the Python client, on a whole server."""

import asyncio

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
