"""A key for the members of peer lobbies, on real nodes: who gets in, whom they reach, who goes."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from persistence.accounts.store import AccountStore
from persistence.database import Database
from persistence.sealing import Seal, parse_keys
from server.domains.people.accounts.keys import SigningKey, SigningKeys
from server.domains.play.lobbies.peers import turn_password
from tests.faults.client_line import Guest, Json, Line, new_guests
from tests.fixtures.http import bearer
from tests.fixtures.node import SECRET_KEYS, Node
from tests.fixtures.postgres import TEMPLATE, Databases

PATIENCE_S = 20
SETTINGS = {
    "peer_keys": "peerjs",
    "peer_member_keys": "members",
    "stun_urls": "stun:stun.example.org:3478",
    "turn_urls": "turn:turn.example.org:3478,turns:turn.example.org:5349",
    "turn_secret": "north",
    "turn_ttl_s": 900,
}
BAD_TOKEN = "The token is not valid; GET /v1/lobbies/{id}/peer-access gives a new one"
GONE = "You are no longer in this lobby"


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    dsn = databases.create(template=TEMPLATE)
    yield dsn
    databases.drop(dsn)


@pytest.fixture(scope="module")
def node(
    databases: Databases, dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    with Node(tmp_path_factory.mktemp("a"), databases.serving_dsn(dsn), **SETTINGS) as node:
        yield node


@pytest.fixture
async def key(node: Node, dsn: str) -> AsyncIterator[SigningKey]:
    """The key that the node signs with."""
    database = await Database.open(dsn, embedded=True)
    try:
        keys = SigningKeys(
            AccountStore(database),
            now=lambda: 0.0,
            seal=Seal(lambda: parse_keys(SECRET_KEYS)),
        )
        await keys.start()
        yield keys.newest
    finally:
        await database.close()


# ------------------------------------------------------------------ people


async def ask(node: Node, who: Guest, method: str, path: str, **body: object) -> tuple[int, Json]:
    async with (
        aiohttp.ClientSession(node.url) as web,
        web.request(method, path, json=body or None, headers=bearer(who.token)) as answer,
    ):
        return answer.status, await answer.json()


async def opened(node: Node, host: Guest, *others: Guest, **lobby: object) -> str:
    """Open a peer lobby with all of them in it."""
    wish = {"mode": "peer", "ruleset": "sky_duel", "seats": 4, **lobby}
    status, made = await ask(node, host, "POST", "/v1/lobbies", **wish)
    assert status == 200, made
    for guest in others:
        status, joined = await ask(
            node, guest, "POST", "/v1/lobbies/join", lobby_id=made["lobby_id"]
        )
        assert status == 200, joined
    return str(made["lobby_id"])


async def access(node: Node, who: Guest, lobby_id: str) -> Json:
    status, given = await ask(node, who, "GET", f"/v1/lobbies/{lobby_id}/peer-access")
    assert status == 200, given
    return given


async def token(node: Node, who: Guest, lobby_id: str) -> str:
    return str((await access(node, who, lobby_id))["token"])


@asynccontextmanager
async def peer(node: Node, peer_id: str, token: str, key: str = "members") -> Any:
    query = f"key={key}&id={peer_id}&token={token}&version=1.5.4"
    url = f"{node.url.replace('http', 'ws', 1)}/peerjs/peerjs?{query}"
    async with connect(url, open_timeout=30) as socket:
        yield socket


async def heard(socket: ClientConnection) -> Json:
    async with asyncio.timeout(PATIENCE_S):
        message: Json = json.loads(await socket.recv())
    return message


async def is_refused(node: Node, token: str, why: str = BAD_TOKEN) -> None:
    """See a peer sent the reason, and its socket closed."""
    async with peer(node, "mallory", token) as socket:
        await is_ended(socket, why)


async def is_ended(socket: ClientConnection, why: str) -> None:
    assert await heard(socket) == {"type": "ERROR", "payload": {"msg": why}}
    with pytest.raises(ConnectionClosed):
        await heard(socket)


# ------------------------------------------------------------------ what is handed out


async def test_member_gets_a_token_and_ways_around_nat(node: Node) -> None:
    (ann,) = await new_guests(node, 1)
    given = await access(node, ann, await opened(node, ann))
    stun, turn = given["ice_servers"]
    assert (given["url"], given["key"]) == (node.url, "members")
    assert datetime.fromisoformat(given["expires_at"]) > datetime.now(UTC)
    assert stun == {"urls": ["stun:stun.example.org:3478"]}
    assert turn["urls"] == SETTINGS["turn_urls"].split(",")  # type: ignore[attr-defined]  # a str
    expiry, _, person = turn["username"].partition(":")
    ahead_s = int(expiry) - datetime.now(UTC).timestamp()
    assert (0 < ahead_s <= 900, person) == (True, ann.player_id)
    assert turn["credential"] == turn_password("north", turn["username"])


async def test_nobody_but_members_of_an_open_peer_lobby_gets_any(node: Node) -> None:
    ann, eve = await new_guests(node, 2)
    lobby_id = await opened(node, ann)
    path = f"/v1/lobbies/{lobby_id}/peer-access"
    status, refusal = await ask(node, eve, "GET", path)
    assert (status, refusal["code"]) == (403, "not_a_member")
    private = await opened(node, ann, is_public=False)
    status, refusal = await ask(node, eve, "GET", f"/v1/lobbies/{private}/peer-access")
    assert (status, refusal["code"]) == (404, "lobby_not_found")
    _, on_server = await ask(node, ann, "POST", "/v1/lobbies", ruleset="four_in_a_row")
    status, refusal = await ask(
        node, ann, "GET", f"/v1/lobbies/{on_server['lobby_id']}/peer-access"
    )
    assert (status, refusal["field"]) == (422, "lobby_id")
    async with Line(node.websocket_url) as line:
        await (await line.greet(ann)).ok("lobby.close", lobby_id=lobby_id)
    status, refusal = await ask(node, ann, "GET", path)
    assert (status, refusal["code"]) == (409, "lobby_closed")


# ------------------------------------------------------------------ who gets in


async def test_members_of_a_lobby_reach_each_other_and_nobody_else_does(node: Node) -> None:
    ann, bob, eve = await new_guests(node, 3)
    here, there = await opened(node, ann, bob), await opened(node, eve)
    async with (
        peer(node, "host", await token(node, ann, here)) as host,
        peer(node, "bob", await token(node, bob, here)) as guest,
        peer(node, "host", await token(node, eve, there)) as stranger,
        peer(node, "host", "any", key="peerjs") as outsider,
    ):
        for socket in (host, guest, stranger, outsider):
            assert await heard(socket) == {"type": "OPEN"}
        for socket in (stranger, outsider, guest):
            await socket.send(json.dumps({"type": "OFFER", "dst": "host", "payload": "hi"}))
        assert (await heard(host))["src"] == "bob"
        assert (await heard(stranger))["src"] == "host"  # itself: the only one of that id there
        assert (await heard(outsider))["src"] == "host"
        await host.send(json.dumps({"type": "ANSWER", "dst": "bob", "payload": "hello"}))
        assert (await heard(guest))["payload"] == "hello"


async def test_same_person_takes_their_id_up_again_with_a_fresh_token(node: Node) -> None:
    ann, bob = await new_guests(node, 2)
    lobby_id = await opened(node, ann, bob)
    first, second = await token(node, ann, lobby_id), await token(node, ann, lobby_id)
    async with peer(node, "host", first) as before:
        await heard(before)
        async with peer(node, "host", await token(node, bob, lobby_id)) as other:
            assert (await heard(other))["type"] == "ID-TAKEN"
        async with peer(node, "host", second) as after:
            assert (await heard(after))["type"] == "OPEN"
            with pytest.raises(ConnectionClosed):
                await heard(before)


async def test_what_is_said_while_the_token_is_read_arrives(node: Node) -> None:
    (ann,) = await new_guests(node, 1)
    async with peer(node, "host", await token(node, ann, await opened(node, ann))) as host:
        await host.send(json.dumps({"type": "OFFER", "dst": "host", "payload": 1}))
        assert [(await heard(host))["type"] for _ in range(2)] == ["OPEN", "OFFER"]


async def test_tokens_that_lie_are_refused(node: Node, key: SigningKey) -> None:
    (ann,) = await new_guests(node, 1)
    good = await token(node, ann, await opened(node, ann))
    claims = jwt.decode(good, options={"verify_signature": False})

    def signed(by: Ed25519PrivateKey = key.private, typ: str = "peer+jwt", **changed: Any) -> str:
        headers = {"kid": key.kid, "typ": typ}
        return jwt.encode({**claims, **changed}, by, algorithm="EdDSA", headers=headers)

    past = datetime.now(UTC) - timedelta(seconds=5)
    lies = {
        "no token of ours": "t",
        "expired": signed(exp=past),
        "another key's": signed(by=Ed25519PrivateKey.generate()),
        "another audience's": signed(aud="playhall"),
        "another type's": signed(typ="at+jwt"),
        "an access token": ann.token,
        "without a lobby": jwt.encode(
            {name: value for name, value in claims.items() if name != "lobby"},
            key.private,
            algorithm="EdDSA",
            headers={"kid": key.kid, "typ": "peer+jwt"},
        ),
        "unsigned": ".".join([*good.split(".")[:2], ""]),
    }
    for lie in lies.values():
        await is_refused(node, lie)
    async with peer(node, "host", signed()) as host:  # the truth is believed
        assert (await heard(host))["type"] == "OPEN"


async def test_token_is_of_one_lobby(node: Node, key: SigningKey) -> None:
    """Even the server's own signature does not make a member of somebody who is none."""
    ann, eve = await new_guests(node, 2)
    lobby_id = await opened(node, ann)
    claims = jwt.decode(
        await token(node, eve, await opened(node, eve)), options={"verify_signature": False}
    )
    headers = {"kid": key.kid, "typ": "peer+jwt"}
    forged = {**claims, "lobby": lobby_id}
    await is_refused(node, jwt.encode(forged, key.private, algorithm="EdDSA", headers=headers))


async def test_access_token_is_no_peer_token_and_the_other_way_round(node: Node) -> None:
    (ann,) = await new_guests(node, 1)
    good = await token(node, ann, await opened(node, ann))
    async with (
        aiohttp.ClientSession(node.url) as web,
        web.get("/v1/me", headers=bearer(good)) as answer,
    ):
        assert answer.status == 401


async def test_ids_of_a_members_key_are_never_listed(node: Node) -> None:
    async with aiohttp.ClientSession(node.url) as web:
        async with web.get("/peerjs/members/peers") as answer:
            assert answer.status == 401
        async with web.get("/peerjs/members/id") as answer:
            assert len(await answer.text()) == 36


# ------------------------------------------------------------------ who goes


async def test_who_leaves_or_is_kicked_is_shown_out_and_does_not_come_back(node: Node) -> None:
    ann, bob, cem = await new_guests(node, 3)
    lobby_id = await opened(node, ann, bob, cem)
    tokens = [await token(node, who, lobby_id) for who in (ann, bob, cem)]
    async with (
        peer(node, "host", tokens[0]) as host,
        peer(node, "bob", tokens[1]) as leaving,
        peer(node, "cem", tokens[2]) as kicked,
        Line(node.websocket_url) as ann_line,
        Line(node.websocket_url) as bob_line,
    ):
        for socket in (host, leaving, kicked):
            await heard(socket)
        await leaving.send(json.dumps({"type": "OFFER", "dst": "host", "payload": 1}))
        assert (await heard(host))["type"] == "OFFER"
        await ann_line.greet(ann)
        await (await bob_line.greet(bob)).ok("lobby.leave", lobby_id=lobby_id)
        await ann_line.ok("lobby.kick", lobby_id=lobby_id, player_id=cem.player_id)
        await is_ended(leaving, GONE)
        await is_ended(kicked, GONE)
        assert await heard(host) == {"type": "LEAVE", "src": "bob", "dst": "host"}
        await is_refused(node, tokens[1])
        await is_refused(node, tokens[2])
        await host.send(json.dumps({"type": "OFFER", "dst": "host", "payload": 2}))
        assert (await heard(host))["payload"] == 2  # the host stays


async def test_peers_of_a_session_that_ended_and_of_the_banned_are_shown_out(
    node: Node, dsn: str
) -> None:
    ann, bob = await new_guests(node, 2)
    lobby_id = await opened(node, ann, bob)
    async with (
        peer(node, "ann", await token(node, ann, lobby_id)) as one,
        peer(node, "bob", await token(node, bob, lobby_id)) as other,
    ):
        for socket in (one, other):
            await heard(socket)
        assert (await ask(node, ann, "POST", "/v1/auth/logout"))[0] == 200
        with psycopg.connect(dsn) as connection:
            statement = "INSERT INTO account_bans (user_id, reason) VALUES (%s, 'Spam.')"
            connection.execute(statement, [bob.session["user_id"]])
        await is_ended(one, GONE)
        await is_ended(other, GONE)


async def test_what_happens_on_another_node_shows_out_here(
    node: Node, databases: Databases, dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ann, bob = await new_guests(node, 2)
    lobby_id = await opened(node, ann, bob)
    serving_dsn = databases.serving_dsn(dsn)
    with Node(tmp_path_factory.mktemp("b"), serving_dsn, **SETTINGS) as second:
        async with (
            peer(second, "bob", await token(node, bob, lobby_id)) as there,
            Line(node.websocket_url) as line,
        ):
            assert (await heard(there))["type"] == "OPEN"
            await line.greet(ann)
            await line.ok("lobby.kick", lobby_id=lobby_id, player_id=bob.player_id)
            await is_ended(there, GONE)


async def test_refused_and_present_peers_are_counted(node: Node) -> None:
    before = await metrics(node)
    await is_refused(node, "t")
    (ann,) = await new_guests(node, 1)
    async with peer(node, "ann", await token(node, ann, await opened(node, ann))) as host:
        await heard(host)
        await host.send(json.dumps({"type": "OFFER", "dst": "ann", "payload": 1}))
        await heard(host)
        await host.send(json.dumps({"type": "OFFER", "dst": "nobody", "payload": 1}))
        await host.send(json.dumps({"type": "OFFER", "dst": "ann", "payload": 2}))
        await heard(host)
        after = await metrics(node)
    grown = {name: after[name] - before[name] for name in after}
    assert grown["playhall_peer_refusals_total"] == 1
    assert grown["playhall_peer_messages_total"] == 2
    assert after["playhall_peers"] >= 1
    assert after["playhall_peer_queued_bytes"] > 0


async def metrics(node: Node) -> dict[str, float]:
    async with aiohttp.ClientSession(node.url) as web, web.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return {
        name: float(value)
        for name, _, value in (line.partition(" ") for line in lines)
        if name.startswith("playhall_peer")
    }
