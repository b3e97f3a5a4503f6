"""Peers of one lobby meet on one node, whichever node its members ask."""

import asyncio
import json

from tests.faults.client_line import Guest, new_guests
from tests.faults.conftest import Nodes, nodes
from tests.fixtures.node import Node
from tests.integration.signaling.test_members import access, heard, opened, peer

__all__ = ["nodes"]  # a fixture

LOBBIES = 30  # by a fair hash, all of them at one of two nodes: once in 500 million times
LEASE_S = 2
PATIENCE_S = 60


async def places(lobbies: dict[str, Guest], node: Node) -> dict[str, str]:
    return {lobby: (await access(node, host, lobby))["url"] for lobby, host in lobbies.items()}


async def test_members_who_asked_different_nodes_meet_on_one_which_moves_only_when_it_goes(
    nodes: Nodes,
    serving_dsn: str,
) -> None:
    first = nodes("a", serving_dsn, lease_s=LEASE_S)
    second = nodes("b", serving_dsn, lease_s=LEASE_S)
    guest, *hosts = await new_guests(first, LOBBIES + 1)
    lobbies = {await opened(first, host, guest): host for host in hosts[:1]}
    await reach_each_other([first, second], hosts[0], guest, *lobbies)

    lobbies |= {await opened(first, host): host for host in hosts[1:]}
    before = await places(lobbies, first)
    assert set(before.values()) == {first.url, second.url}
    assert await places(lobbies, second) == before

    second.kill()
    async with asyncio.timeout(PATIENCE_S):
        while second.url in (after := await places(lobbies, first)).values():
            await asyncio.sleep(0.2)
    assert set(after.values()) == {first.url}

    third = nodes("b", serving_dsn, lease_s=LEASE_S)  # which has started after the lobbies
    assert await places(lobbies, third) == after


async def reach_each_other(at: list[Node], host: Guest, guest: Guest, lobby_id: str) -> None:
    by_url = {node.url: node for node in at}
    one, other = await access(at[0], host, lobby_id), await access(at[1], guest, lobby_id)
    async with (
        peer(by_url[one["url"]], "host", one["token"], key=one["key"]) as called,
        peer(by_url[other["url"]], "guest", other["token"], key=other["key"]) as calling,
    ):
        for socket in (called, calling):
            assert await heard(socket) == {"type": "OPEN"}
        await calling.send(json.dumps({"type": "OFFER", "dst": "host", "payload": 1}))
        assert (await heard(called))["src"] == "guest"
