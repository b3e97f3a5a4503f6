"""Sessions as their owners see them, their end on every node, and their clearing up."""

import asyncio
from typing import Any

import aiohttp
import pytest

from persistence.accounts.sessions import SessionStore
from protocol.accounts import Tokens
from protocol.errors import BadToken
from server.domains.people.accounts.revocation import SigningKeyMaintenance
from tests.fixtures.http import bearer
from tests.integration.accounts.conftest import LIFETIMES, Room


async def _again(room: Room, tokens: Tokens) -> Tokens:
    """Sign the same person in somewhere else."""
    who = await room.accounts.authenticate(tokens.access_token)
    return await room.accounts.open_session(who.user_id, method="email")


async def _get(client: aiohttp.ClientSession, tokens: Tokens) -> list[dict[str, Any]]:
    async with client.get("/v1/me/sessions", headers=bearer(tokens.access_token)) as reply:
        assert reply.status == 200
        return list((await reply.json())["sessions"])


async def test_sessions_are_listed_the_latest_used_first(
    client: aiohttp.ClientSession, room: Room
) -> None:
    room.clock.move(seconds=-10)
    first = await room.accounts.create_guest(None)
    room.clock.move(seconds=5)
    second = await _again(room, first)
    room.clock.move(seconds=5)
    await room.accounts.refresh(first.refresh_token)
    listed = await _get(client, second)
    assert [(s["method"], s["is_this"]) for s in listed] == [("guest", False), ("email", True)]


async def test_one_session_can_be_ended_from_another(
    client: aiohttp.ClientSession, room: Room
) -> None:
    here = await room.accounts.create_guest(None)
    there = await _again(room, here)
    (other,) = [each for each in await _get(client, here) if not each["is_this"]]
    path = f"/v1/me/sessions/{other['session_id']}"
    async with client.delete(path, headers=bearer(here.access_token)) as reply:
        assert reply.status == 200
    with pytest.raises(BadToken):
        await room.accounts.authenticate(there.access_token)
    assert [each["is_this"] for each in await _get(client, here)] == [True]


async def test_nobody_ends_anothers_session(client: aiohttp.ClientSession, room: Room) -> None:
    mine, others = await room.accounts.create_guest(None), await room.accounts.create_guest(None)
    (session,) = await _get(client, others)
    path = f"/v1/me/sessions/{session['session_id']}"
    async with client.delete(path, headers=bearer(mine.access_token)) as reply:
        assert (reply.status, (await reply.json())["code"]) == (404, "not_found")
    await room.accounts.authenticate(others.access_token)


async def test_logout_everywhere_ends_every_session_and_nobody_elses(
    client: aiohttp.ClientSession, room: Room
) -> None:
    here, other = await room.accounts.create_guest(None), await room.accounts.create_guest(None)
    there = await _again(room, here)
    path = "/v1/auth/logout-everywhere"
    async with client.post(path, headers=bearer(here.access_token)) as reply:
        assert await reply.json() == {"ended": 2}
    for ended in (here, there):
        with pytest.raises(BadToken):
            await room.accounts.authenticate(ended.access_token)
        with pytest.raises(BadToken):
            await room.accounts.refresh(ended.refresh_token)
    await room.accounts.authenticate(other.access_token)


async def test_what_expired_is_forgotten_and_what_is_good_stays(room: Room) -> None:
    room.clock.move(seconds=-LIFETIMES.refresh_s - 10)
    over = await room.accounts.create_guest(None)
    kept = await room.accounts.create_guest(None)
    room.clock.move(seconds=20)
    kept = await room.accounts.refresh(kept.refresh_token)
    room.clock.move(seconds=LIFETIMES.refresh_s - 10)
    assert await SessionStore(room.database).forget_tokens(limit=9) == 2
    async with room.database.acquire() as connection:
        left = await connection.fetch(
            "SELECT user_id FROM playhall_auth.sessions WHERE user_id IN ($1, $2)",
            over.user_id,
            kept.user_id,
        )
    assert [row["user_id"] for row in left] == [kept.user_id]
    await room.accounts.refresh(kept.refresh_token)


async def test_old_key_is_replaced_by_one_node_and_retired_when_it_is_outlived(room: Room) -> None:
    token = (await room.accounts.create_guest(None)).access_token
    old = room.keys.newest.kid
    async with room.database.acquire() as connection:
        await connection.execute(
            "UPDATE playhall_auth.signing_keys SET created_at = created_at - interval '2 days'"
        )
    await asyncio.gather(*(_key_maintenance(room).maintain() for _ in range(3)))
    assert old != room.keys.newest.kid
    assert [key.kid for key in room.keys.to_jwks().keys].index(old) == 1
    await room.accounts.authenticate(token)
    async with room.database.acquire() as connection:
        await connection.execute(
            "UPDATE playhall_auth.signing_keys SET created_at = created_at - interval '20 minutes'"
        )
    await _key_maintenance(room).maintain()
    assert old not in [key.kid for key in room.keys.to_jwks().keys]
    with pytest.raises(BadToken):
        await room.accounts.authenticate(token)


def _key_maintenance(room: Room) -> SigningKeyMaintenance:
    return SigningKeyMaintenance(keys=room.keys, token_s=600, rotate_after_s=86_400)
