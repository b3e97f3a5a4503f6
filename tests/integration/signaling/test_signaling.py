"""The PeerJS server's wire protocol on a real node, by an independent websocket client."""

import json
from collections.abc import Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from loadtest.measure import Meter
from loadtest.scenarios.scenario import Shard
from loadtest.scenarios.signaling import IN_ORDER, SignalingPeer, SignalingScenario
from playhall.http import HttpClient
from tests.faults.client_line import served
from tests.fixtures.node import Node
from tests.fixtures.postgres import Databases


@pytest.fixture(scope="module")
def node(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("node")
    with served(databases, folder, peer_keys="peerjs,mine", peer_discovery="true") as node:
        yield node


@asynccontextmanager
async def calling(node: Node, query: str, **headers: str) -> Any:
    url = f"{node.url.replace('http', 'ws', 1)}/peerjs/peerjs?{query}"
    async with connect(url, additional_headers=headers, open_timeout=30) as socket:
        yield socket


def peer(node: Node, peer_id: str, token: str = "t", key: str = "peerjs") -> Any:
    return calling(node, f"key={key}&id={peer_id}&token={token}&version=1.5.4")


async def heard(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await socket.recv())
    return message


MISSING = "No id, token, or key supplied to websocket server"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", MISSING),
        ("key=wrong&id=a", MISSING),
        ("key=peerjs&id=&token=t", MISSING),
        ("key=wrong&id=a&token=t", "Invalid key provided"),
        (f"key=peerjs&id={'a' * 129}&token=t", "The id or the token is too long"),
    ],
)
async def test_what_is_wrong_is_reported_in_order_and_ends_it(
    node: Node, query: str, message: str
) -> None:
    async with calling(node, query) as socket:
        assert await heard(socket) == {"type": "ERROR", "payload": {"msg": message}}
        with pytest.raises(ConnectionClosed):
            await socket.recv()


async def test_peers_exchange_offers_and_hear_when_the_other_goes(node: Node) -> None:
    async with peer(node, "ann") as ann:
        assert await heard(ann) == {"type": "OPEN"}
        offer = {"type": "OFFER", "dst": "bob", "src": "forged", "payload": {"sdp": "…"}}
        await ann.send(json.dumps(offer))
        async with peer(node, "bob") as bob:
            assert await heard(bob) == {"type": "OPEN"}
            assert await heard(bob) == offer | {"src": "ann"}
            await bob.send(json.dumps({"type": "ANSWER", "dst": "ann", "payload": {"sdp": "!"}}))
            answer = {"type": "ANSWER", "src": "bob", "dst": "ann", "payload": {"sdp": "!"}}
            assert await heard(ann) == answer
        assert await heard(ann) == {"type": "LEAVE", "src": "bob", "dst": "ann"}


async def test_id_of_another_is_taken_and_ones_own_is_taken_up_again(node: Node) -> None:
    async with peer(node, "cem") as first:
        await heard(first)
        async with peer(node, "cem", token="other") as other:
            assert (await heard(other))["type"] == "ID-TAKEN"
        async with peer(node, "cem", key="mine") as elsewhere:
            assert (await heard(elsewhere))["type"] == "OPEN"
        async with peer(node, "cem") as again:
            assert (await heard(again))["type"] == "OPEN"
            with pytest.raises(ConnectionClosed):
                await first.recv()


async def test_sender_hears_within_seconds_that_nobody_came(node: Node) -> None:
    async with peer(node, "dan") as dan:
        await heard(dan)
        await dan.send(json.dumps({"type": "OFFER", "dst": "nobody", "payload": {}}))
        assert await heard(dan) == {"type": "EXPIRE", "src": "nobody", "dst": "dan"}


@pytest.mark.parametrize(
    "nonsense", ["", "{", "[]", "7", '{"type": {}}', '{"type":"OFFER","dst":[]}']
)
async def test_nonsense_leaves_the_socket_open(node: Node, nonsense: str) -> None:
    async with peer(node, "eve") as eve:
        await heard(eve)
        await eve.send(nonsense)
        await eve.send(json.dumps({"type": "OFFER", "dst": "eve", "payload": 1}))
        assert await heard(eve) == {"type": "OFFER", "src": "eve", "dst": "eve", "payload": 1}


async def test_flood_is_closed(node: Node) -> None:
    async with peer(node, "flo") as flo:
        await heard(flo)
        with suppress(ConnectionClosed):
            for _ in range(5_000):
                await flo.send('{"type":"HEARTBEAT"}')
        await flo.wait_closed()
        assert flo.close_code == 1008


async def test_page_of_any_origin_may_signal(node: Node) -> None:
    async with calling(node, "key=peerjs&id=g&token=t", Origin="https://game.example") as socket:
        assert await heard(socket) == {"type": "OPEN"}


async def test_http_side_is_what_peerjs_asks(node: Node) -> None:
    async with aiohttp.ClientSession(node.url) as web, peer(node, "hal") as hal:
        await heard(hal)
        for path in ("/peerjs", "/peerjs/"):
            async with web.get(path) as answer:
                assert (await answer.json())["name"] == "PeerJS Server"
                assert answer.headers["Access-Control-Allow-Origin"] == "*"
        async with web.get("/peerjs/peerjs/id?ts=1&version=1.5.4") as answer:
            assert len(await answer.text()) == 36
        async with web.get("/peerjs/peerjs/peers") as answer:
            assert "hal" in await answer.json()
        async with web.get("/peerjs/wrong/id") as answer:
            assert answer.status == 404


async def test_ids_are_not_listed_unless_that_was_asked_for(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with served(databases, tmp_path_factory.mktemp("node")) as node:
        async with (
            aiohttp.ClientSession(node.url) as web,
            web.get("/peerjs/peerjs/peers") as answer,
        ):
            assert answer.status == 401


async def test_load_test_finds_every_message_in_its_place(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("node")
    with served(databases, folder, peer_messages_per_s=1_000_000) as node:
        measured = await load(node).run(lambda _: None)
    assert measured.checks.by_name[IN_ORDER].passed == 6
    assert measured.checks.by_name[IN_ORDER].failed == 0
    assert measured.total.counts["deliveries"] > 0


async def test_load_test_says_so_when_peers_are_closed_for_sending_too_much(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("node")
    with served(databases, folder, peer_messages_per_s=1) as node:
        measured = await load(node).run(lambda _: None)
    checked = measured.checks.by_name[IN_ORDER]
    assert checked.failed == 6
    # The other peer of a pair may hear that its partner left before it is closed itself.
    assert any("raise its PLAYHALL_PEER_MESSAGES_PER_S" in each for each in checked.examples)


def load(node: Node) -> SignalingScenario:
    shard = Shard(node.url)
    return SignalingScenario(
        shard, pairs=3, window=2, payload_bytes=50, duration_s=0.5, ramp_up_s=0.1
    )


@pytest.mark.parametrize(("src", "number"), [("other", 0), ("me-b", 1)])
async def test_load_test_finds_a_message_that_is_not_in_its_place(src: str, number: int) -> None:
    async with HttpClient("http://nowhere.invalid") as http:
        peer_client = SignalingPeer(
            "me-a", "me-b", Meter(http, on_progress=lambda _: None, asks=False), "", pause_s=0
        )
        peer_client._check({"type": "OFFER", "src": src, "payload": {"n": number}})
        assert peer_client.fault is not None
        assert "where 0 of me-b was due" in peer_client.fault
