"""A kick on one node ends what another one tells."""

import asyncio
from pathlib import Path

from playhall import connect
from tests.fixtures.node import Node

WAIT_S = 20


async def test_spectator_kicked_on_another_node_hears_no_more_of_the_game(
    tmp_path: Path, serving_dsn: str
) -> None:
    with Node(tmp_path / "a", serving_dsn) as here, Node(tmp_path / "b", serving_dsn) as there:
        async with connect(here.url) as host, connect(here.url) as guest, asyncio.timeout(WAIT_S):
            opened = await host.call("lobby.create", ruleset="relay", seats=1)
            at = {"lobby_id": opened["lobby"]["lobby_id"]}
            await guest.call("lobby.join", **at, role="spectator")
            await host.call("lobby.start", **at)
            played = await host.wait_for_game((await host.call("lobby.watch", **at))["lobby"])
            watched = await guest.game(played.game_id, watch=True)

            async def is_heard() -> bool:
                index = await played.act({"hello": "you"})
                await guest.call("session.ping")  # what was sent before it has arrived
                return watched.stream.next_index > index

            assert await is_heard()
            async with connect(there.url, token=host.connection.account.token) as elsewhere:
                kicked = {**at, "player_id": await guest.player_id()}
                await elsewhere.call("lobby.kick", **kicked)
            while await is_heard():
                await asyncio.sleep(0.1)
