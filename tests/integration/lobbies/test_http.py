"""Lobbies over HTTP."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from protocol.ids import PlayerId, SessionId, UserId
from server.domains.play.lobbies.http import LobbyRoutes
from server.gateway.session.identity import Identity
from tests.fixtures.http import bearer, served
from tests.integration.lobbies.hall import FOREVER_S, Hall


async def by_id(token: str) -> Identity:
    """Take a player's id for a token."""
    return Identity(UserId(token), PlayerId(token), SessionId(token), "Somebody", FOREVER_S)


@pytest.fixture
async def http(hall: Hall) -> AsyncIterator[aiohttp.ClientSession]:
    async with served(LobbyRoutes(hall.room).endpoints(), by_id) as client:
        yield client


async def test_lobby_is_opened_listed_and_joined(hall: Hall, http: aiohttp.ClientSession) -> None:
    ann, bob = await hall.people(2)
    body = {"ruleset": "el_dorado", "name": "Ours"}
    async with http.post("/v1/lobbies", json=body, headers=bearer(ann.player_id)) as answer:
        lobby = await answer.json()
    async with http.get("/v1/lobbies?ruleset=el_dorado&limit=1") as answer:
        page = await answer.json()
    assert [card["lobby_id"] for card in page["lobbies"]] == [lobby["lobby_id"]]
    body = {"code": lobby["join_code"]}
    async with http.post("/v1/lobbies/join", json=body, headers=bearer(bob.player_id)) as answer:
        joined = await answer.json()
    assert [m["player_id"] for m in joined["members"]] == [ann.player_id, bob.player_id]
    assert ann.changes() == ["joined"]
    async with http.get(f"/v1/lobbies/{lobby['lobby_id']}") as answer:
        assert (await answer.json()) == joined | {"join_code": None}


async def test_http_refuses_as_the_socket_does(hall: Hall, http: aiohttp.ClientSession) -> None:
    ann = await hall.person()
    lobby = await ann.lobby("create", ruleset="el_dorado", is_public=False)
    for path, status, code in (
        (f"/v1/lobbies/{lobby['lobby_id']}", 404, "lobby_not_found"),
        ("/v1/lobbies/nonsense", 422, "invalid_field"),
        ("/v1/lobbies?status=CLOSED", 422, "invalid_field"),
    ):
        async with http.get(path) as answer:
            assert (answer.status, (await answer.json())["code"]) == (status, code)
    async with http.post("/v1/lobbies", json={"ruleset": "el_dorado"}) as answer:
        assert answer.status == 401


async def test_http_shows_members_alone_where_the_host_is(
    hall: Hall, http: aiohttp.ClientSession
) -> None:
    ann, bob = await hall.people(2)
    body = {"ruleset": "sky_duel", "mode": "peer"}
    async with http.post("/v1/lobbies", json=body, headers=bearer(ann.player_id)) as answer:
        at = {"lobby_id": (await answer.json())["lobby_id"]}
    await ann.lobby("register_peer", **at, peer_id="ann-1")
    seen = []
    for headers in (bearer(ann.player_id), bearer(bob.player_id), {}):
        async with http.get(f"/v1/lobbies/{at['lobby_id']}", headers=headers) as answer:
            seen.append((await answer.json())["host_peer_id"])
    async with http.get("/v1/lobbies?mode=peer") as answer:
        assert "ann-1" not in await answer.text()
    assert seen == ["ann-1", None, None]
