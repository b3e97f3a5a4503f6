"""Tokens that lie, tokens that come twice, and sessions that end while their sockets are open.

Real nodes on one database: what one of them ends, the other must hear of.
"""

import asyncio
import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import aiohttp
import jwt
import psycopg
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from persistence.accounts.store import AccountStore
from persistence.database import Database
from persistence.sealing import Seal, parse_keys
from server.domains.people.accounts.keys import SigningKey, SigningKeys
from tests.faults.client_line import Closed, Guest, Json, Line, new_guests
from tests.faults.conftest import Nodes
from tests.faults.table import Figures
from tests.fixtures.http import bearer
from tests.fixtures.node import SECRET_KEYS, Node

AT_ONCE = 50
PATIENCE_S = 20


class World(NamedTuple):
    """A node, somebody who is signed in there, and the key that signed it."""

    node: Node
    guest: Guest
    key: SigningKey

    @property
    def claims(self) -> Json:
        return dict(jwt.decode(self.guest.token, options={"verify_signature": False}))


@pytest.fixture
async def world(nodes: Nodes, serving_dsn: str, fresh_dsn: str) -> AsyncIterator[World]:
    node = nodes("a", serving_dsn)
    (guest,) = await new_guests(node, 1)
    database = await Database.open(fresh_dsn, embedded=True)
    try:
        seal = Seal(lambda: parse_keys(SECRET_KEYS))
        keys = SigningKeys(AccountStore(database), now=lambda: 0.0, seal=seal)
        await keys.start()
        yield World(node, guest, keys.newest)
    finally:
        await database.close()


def _signed(world: World, claims: Json, *, key: Ed25519PrivateKey | None = None) -> str:
    headers = {"kid": world.key.kid, "typ": "at+jwt"}
    return jwt.encode(claims, key or world.key.private, algorithm="EdDSA", headers=headers)


def _unsigned(world: World) -> str:
    """`alg: none`, with an empty signature."""
    header = {"alg": "none", "typ": "at+jwt", "kid": world.key.kid}
    parts = (json.dumps(part).encode() for part in (header, world.claims))
    return ".".join([*(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), ""])


def _by_public_key(world: World) -> str:
    """HS256 with what everybody may read as the secret."""
    secret = world.key.public.public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    headers = {"kid": world.key.kid, "typ": "at+jwt"}
    return jwt.encode(world.claims, secret, algorithm="HS256", headers=headers)


def _expired(world: World) -> str:
    now = datetime.now(UTC)
    times = {"iat": now - timedelta(minutes=15), "exp": now - timedelta(minutes=5)}
    return _signed(world, {**world.claims, **times})


LIES: dict[str, tuple[Callable[[World], str], str]] = {
    "alg_none": (_unsigned, "bad_token"),
    "wrong_key": (lambda w: _signed(w, w.claims, key=Ed25519PrivateKey.generate()), "bad_token"),
    "wrong_audience": (lambda w: _signed(w, {**w.claims, "aud": "elsewhere"}), "bad_token"),
    "refresh_token": (lambda w: str(w.guest.session["refresh_token"]), "bad_token"),
    "expired": (_expired, "token_expired"),
    "hs256_by_the_public_key": (_by_public_key, "bad_token"),
}


async def test_lying_tokens_are_refused_on_socket_and_http(world: World, figures: Figures) -> None:
    async with aiohttp.ClientSession(world.node.url) as web:
        for name, (lie, code) in LIES.items():
            token = lie(world)
            async with web.get("/v1/me", headers=bearer(token)) as reply:
                assert (reply.status, (await reply.json())["code"]) == (401, code), name
            async with Line(world.node.websocket_url) as line:
                assert (await line.call("session.hello", token=token))["code"] == code, name
            figures.count("lying tokens refused")
    async with Line(world.node.websocket_url) as line:
        await line.greet(world.guest)  # the truth is still believed


async def test_one_refresh_token_used_many_times_at_once_has_one_successor(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str, figures: Figures
) -> None:
    first, second = nodes("a", serving_dsn), nodes("b", serving_dsn)
    (guest,) = await new_guests(first, 1)
    spent = guest.session["refresh_token"]
    async with aiohttp.ClientSession() as web:
        urls = [node.url for node in (first, second)] * (AT_ONCE // 2)
        answers = await asyncio.gather(*(_refresh(web, url, spent) for url in urls))
        assert [status for status, _ in answers] == [200] * AT_ONCE
        successors = {tokens["refresh_token"] for _, tokens in answers}
        assert len(successors) == 1
        assert _unspent(fresh_dsn) == 1
        figures.count("refreshes at once with one token", AT_ONCE)

        (successor,) = successors
        assert (await _refresh(web, second.url, successor))[0] == 200
        status, refusal = await _refresh(web, first.url, spent)
        assert (status, refusal["code"]) == (401, "bad_token")
        status, refusal = await _refresh(web, first.url, successor)
        assert (status, refusal["code"]) == (401, "bad_token"), "the family lives on"
        for _, tokens in answers:
            async with web.get(f"{first.url}/v1/me", headers=bearer(tokens["access_token"])) as me:
                assert me.status == 401


async def test_sockets_of_a_session_that_ended_close_on_every_node(
    nodes: Nodes, serving_dsn: str
) -> None:
    first, second = nodes("a", serving_dsn), nodes("b", serving_dsn)
    (guest,) = await new_guests(first, 1)
    async with Line(second.websocket_url) as line, aiohttp.ClientSession(first.url) as web:
        await line.greet(guest)
        async with web.post("/v1/auth/logout", headers=bearer(guest.token)) as reply:
            assert reply.status == 200
        assert await _close_code(line) == 4103


async def test_sockets_of_the_banned_close_on_every_node_and_stay_closed(
    nodes: Nodes, serving_dsn: str, fresh_dsn: str
) -> None:
    first, second = nodes("a", serving_dsn), nodes("b", serving_dsn)
    admin, player = await new_guests(first, 2)
    with psycopg.connect(fresh_dsn) as connection:
        admin_id = admin.session["user_id"]
        connection.execute("INSERT INTO account_roles VALUES (%s, 'admin')", [admin_id])
    path = f"/v1/admin/users/{player.session['user_id']}/ban"
    async with Line(second.websocket_url) as line, aiohttp.ClientSession(first.url) as web:
        await line.greet(player)
        body = {"reason": "Spam."}
        async with web.post(path, json=body, headers=bearer(admin.token)) as reply:
            assert reply.status == 200
        assert await _close_code(line) == 4101
    for node in (first, second):
        async with Line(node.websocket_url) as line:
            assert (await line.call("session.hello", token=player.token))["code"] == "banned"


async def _close_code(line: Line) -> int:
    async with asyncio.timeout(PATIENCE_S):
        try:
            while True:
                await line.read()
        except Closed as closed:
            return closed.code


async def _refresh(web: aiohttp.ClientSession, url: str, token: str) -> tuple[int, Json]:
    async with web.post(f"{url}/v1/auth/refresh", json={"refresh_token": token}) as reply:
        return reply.status, await reply.json()


def _unspent(dsn: str) -> int:
    query = "SELECT count(*) FROM playhall_auth.refresh_tokens WHERE used_at IS NULL"
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])
