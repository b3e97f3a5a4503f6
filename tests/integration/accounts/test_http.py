"""`/v1/auth`, `/v1/me` and the published keys, over a real port."""

import re
from typing import Any

import aiohttp
import jwt
import pytest

from server.domains.people.accounts.http import AccountRoutes, guest_limiter
from tests.fixtures.http import bearer, served
from tests.integration.accounts.conftest import Room


async def _post(client: aiohttp.ClientSession, path: str, **body: object) -> tuple[int, Any]:
    async with client.post(path, json=body) as response:
        return response.status, await response.json()


async def _guest(client: aiohttp.ClientSession, **body: object) -> dict[str, Any]:
    status, tokens = await _post(client, "/v1/auth/guest", **body)
    assert status == 200, tokens
    return dict(tokens)


async def _me(client: aiohttp.ClientSession, token: str) -> tuple[int, Any]:
    async with client.get("/v1/me", headers=bearer(token)) as response:
        return response.status, await response.json()


async def test_guest_gets_an_account(client: aiohttp.ClientSession, room: Room) -> None:
    tokens = await _guest(client, display_name="  Ann 👩‍💻 ")
    status, me = await _me(client, tokens["access_token"])
    assert status == 200
    assert "Ann 👩‍💻" == tokens["display_name"] == me["display_name"]
    assert (tokens["user_id"], tokens["player_id"]) == (me["user_id"], me["player_id"])
    assert me["is_anonymous"]
    assert re.fullmatch(r"[a-z0-9_]{3,24}", me["username"])
    async with room.database.acquire() as connection:
        row = await connection.fetchrow(
            "SELECT p.is_bot, p.color, length(p.avatar_seed) FROM players p WHERE user_id = $1",
            tokens["user_id"],
        )
    assert row is not None
    assert not row["is_bot"]
    assert re.fullmatch("#[0-9a-f]{6}", row["color"])


async def test_guests_without_a_name_get_one(client: aiohttp.ClientSession) -> None:
    first, second = await _guest(client), await _guest(client)
    assert re.fullmatch("[A-Z][a-z]+ [A-Z][a-z]+", first["display_name"])
    assert first["player_id"] != second["player_id"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"display_name": ""}, "display_name"),
        ({"display_name": "x" * 65}, "display_name"),
        ({"display_name": "nul\0"}, "display_name"),
        ({"display_name": "flip\u202egnp"}, "display_name"),
        ({"display_name": 7}, "display_name"),
        ({"name": "Ann"}, "name"),
    ],
)
async def test_bad_name_is_refused_by_field(
    client: aiohttp.ClientSession, body: dict[str, object], field: str
) -> None:
    status, error = await _post(client, "/v1/auth/guest", **body)
    assert (422, "invalid_field", field) == (status, error["code"], error["field"])


async def test_many_guests_from_one_network_are_slowed(room: Room) -> None:
    routes = AccountRoutes(
        accounts=room.accounts, keys=room.keys, guests=guest_limiter(2), now=lambda: 0.0
    )
    async with served(routes.endpoints()) as client:
        answers = [await _post(client, "/v1/auth/guest") for _ in range(3)]
    assert [status for status, _ in answers] == [200, 200, 429]
    assert {"type": "error", "code": "rate_limited", "retry": True}.items() <= answers[2][1].items()


async def test_logout_ends_the_session_and_no_other(
    client: aiohttp.ClientSession, room: Room
) -> None:
    mine, other = await _guest(client), await _guest(client)
    async with client.post("/v1/auth/logout", headers=bearer(mine["access_token"])) as reply:
        assert reply.status == 200
        session_id = (await reply.json())["session_id"]
    assert [session_id] == room.ended
    assert _code(await _me(client, mine["access_token"])) == (401, "bad_token")
    refreshed = await _post(client, "/v1/auth/refresh", refresh_token=mine["refresh_token"])
    assert _code(refreshed) == (401, "bad_token")
    assert (await _me(client, other["access_token"]))[0] == 200


async def test_refresh_gives_working_tokens(client: aiohttp.ClientSession) -> None:
    old = await _guest(client)
    status, new = await _post(client, "/v1/auth/refresh", refresh_token=old["refresh_token"])
    assert status == 200
    assert old["user_id"] == new["user_id"]
    assert old["refresh_token"] != new["refresh_token"]
    assert (await _me(client, new["access_token"]))[0] == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Basic eDp5", "Bearer nonsense", "Bearer \udcff"])
async def test_request_without_a_good_token_is_refused(
    client: aiohttp.ClientSession, header: str
) -> None:
    headers = {"Authorization": header.encode("utf-8", "surrogateescape").decode("latin-1")}
    async with client.get("/v1/me", headers=headers) as reply:
        assert _code((reply.status, await reply.json())) == (401, "bad_token")


async def test_published_keys_verify_a_token(client: aiohttp.ClientSession, room: Room) -> None:
    token = (await _guest(client))["access_token"]
    async with client.get("/.well-known/jwks.json") as reply:
        published = jwt.PyJWKSet.from_dict(await reply.json())
    header = jwt.get_unverified_header(token)
    assert (header["typ"], header["alg"]) == ("at+jwt", "EdDSA")
    claims = jwt.decode(
        token, published[header["kid"]].key, algorithms=["EdDSA"], audience="playhall"
    )
    assert {"iss", "aud", "sub", "pid", "sid", "name", "iat", "exp"} == claims.keys()
    assert claims["exp"] - claims["iat"] == 600


def _code(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["code"]
