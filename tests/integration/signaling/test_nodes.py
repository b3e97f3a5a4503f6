"""Peers of one lobby meet on one node, whichever node its members ask."""

import asyncio
import json
from contextlib import suppress

from websockets.asyncio.client import ClientConnection

from tests.faults.client_line import Guest, new_guests
from tests.faults.conftest import Nodes, nodes
from tests.faults.test_redis import connected, metric
from tests.fixtures.node import Node
from tests.fixtures.redis import RedisServer
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


async def test_peers_on_different_nodes_reach_each_other(
    nodes: Nodes, serving_dsn: str, redis_server: RedisServer
) -> None:
    """Of one lobby, and with a public key; also when the node where they met is killed."""
    settings = {"lease_s": LEASE_S, "redis_url": redis_server.url, "peer_member_keys": "members"}
    started = await asyncio.gather(
        *(asyncio.to_thread(nodes, name, serving_dsn, **settings) for name in "abc")
    )
    await connected(started)
    ann, bob = await new_guests(started[0], 2)
    lobby_id = await opened(started[0], ann, bob)
    given = [
        await access(node, who, lobby_id)
        for node, who in zip(started, (ann, bob, bob), strict=True)
    ]
    assert [each["url"] for each in given] == [node.url for node in started]
    tokens = [each["token"] for each in given]

    # One on each node: whichever node they meet on, at least two are not connected to it.
    async with (
        peer(started[0], "ann", tokens[0]) as first,
        peer(started[1], "bob", tokens[1]) as second,
        peer(started[2], "eve", tokens[2]) as third,
        peer(started[0], "p", "t", key="peerjs") as public,
        peer(started[1], "q", "t", key="peerjs") as other,
        peer(started[2], "r", "t", key="peerjs") as another,
    ):
        of_lobby = {"ann": first, "bob": second, "eve": third}
        of_key = {"p": public, "q": other, "r": another}
        for socket in (*of_lobby.values(), *of_key.values()):
            assert await heard(socket) == {"type": "OPEN"}
        for peers in (of_lobby, of_key):
            await all_reach_each_other(peers)
        async with peer(started[1], "ann", tokens[1]) as taken:
            assert (await heard(taken))["type"] == "ID-TAKEN"
        # It is kept for who comes, wherever that is; many come in order.
        for n in range(40):
            await third.send(json.dumps({"type": "CANDIDATE", "dst": "late", "payload": n}))
        async with peer(started[0], "late", tokens[0]) as late:
            assert await heard(late) == {"type": "OPEN"}
            assert [(await heard(late))["payload"] for _ in range(40)] == list(range(40))
            big = {"type": "OFFER", "dst": "bob", "payload": "sdp " * 15_000}
            await late.send(json.dumps(big))
            assert (await heard(second))["payload"] == big["payload"]
        assert await heard(third) == {"type": "LEAVE", "src": "late", "dst": "eve"}
        assert await heard(second) == {"type": "LEAVE", "src": "late", "dst": "bob"}

        counts = [await metric(node, "playhall_peers") for node in started]
        dead = counts.index(max(counts))
        await asyncio.to_thread(started[dead].kill)
        async with asyncio.timeout(PATIENCE_S):
            for peers in (of_lobby, of_key):
                left = [name for n, name in enumerate(peers) if n != dead]
                await until_reached(peers, *left)


async def all_reach_each_other(peers: dict[str, ClientConnection]) -> None:
    for src, sending in peers.items():
        for dst, receiving in peers.items():
            await sending.send(json.dumps({"type": "OFFER", "dst": dst, "payload": 1}))
            assert await heard(receiving) == {
                "type": "OFFER",
                "src": src,
                "dst": dst,
                "payload": 1,
            }


async def until_reached(peers: dict[str, ClientConnection], src: str, dst: str) -> None:
    """Send offers until one arrives, as long as each is only reported as expired."""
    while True:
        await peers[src].send(json.dumps({"type": "OFFER", "dst": dst, "payload": "again"}))
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                while (said := json.loads(await peers[dst].recv()))["type"] != "OFFER":
                    assert said["type"] in ("EXPIRE", "LEAVE")
                return
