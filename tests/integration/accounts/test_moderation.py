"""Bans, roles and the audit log."""

from typing import Any

import aiohttp
import asyncpg
import pytest

from persistence.accounts.audit_log import read_entries
from protocol.accounts import Tokens
from protocol.errors import BadToken, Banned
from protocol.ids import UserId, new_id
from tests.fixtures.http import bearer
from tests.integration.accounts.conftest import Room


async def _admin(
    client: aiohttp.ClientSession, who: Tokens, path: str, **body: object
) -> tuple[int, Any]:
    headers = bearer(who.access_token)
    async with client.post(f"/v1/admin/users/{path}", json=body, headers=headers) as reply:
        return reply.status, await reply.json()


async def test_banned_account_is_refused_everywhere_with_the_reason(
    client: aiohttp.ClientSession, room: Room
) -> None:
    admin, player = await room.admin(), await room.accounts.create_guest(None)
    status, person = await _admin(client, admin, f"{player.user_id}/ban", reason="Spam.")
    assert (status, person["ban"]) == (200, {"reason": "Spam.", "ends_at": None})
    for attempt in (
        room.accounts.authenticate(player.access_token),
        room.accounts.refresh(player.refresh_token),
        room.accounts.open_session(UserId(player.user_id), method="email"),
    ):
        with pytest.raises(Banned, match=r"banned for good: Spam\."):
            await attempt


async def test_lifted_ban_lets_back_in(client: aiohttp.ClientSession, room: Room) -> None:
    admin, player = await room.admin(), await room.accounts.create_guest(None)
    await _admin(client, admin, f"{player.user_id}/ban", reason="Spam.")
    assert (await _admin(client, admin, f"{player.user_id}/unban"))[1]["ban"] is None
    await room.accounts.authenticate(player.access_token)


async def test_ban_with_an_end_runs_out_by_itself(
    client: aiohttp.ClientSession, room: Room
) -> None:
    admin, player = await room.admin(), await room.accounts.create_guest(None)
    _, person = await _admin(client, admin, f"{player.user_id}/ban", reason="Spam.", lasts_s=3600)
    assert person["ban"]["ends_at"].endswith("Z")
    with pytest.raises(Banned, match="banned until 20"):
        await room.accounts.authenticate(player.access_token)
    async with room.database.acquire() as connection:
        await connection.execute(
            "UPDATE account_bans SET ends_at = now() - interval '1 s' WHERE user_id = $1",
            player.user_id,
        )
    await room.accounts.authenticate(player.access_token)


async def test_roles_hold_from_the_next_request_on_and_are_not_the_tokens(
    client: aiohttp.ClientSession, room: Room
) -> None:
    admin, player = await room.admin(), await room.accounts.create_guest(None)
    other = await room.accounts.create_guest(None)
    assert (await _admin(client, player, f"{other.user_id}/ban", reason="x"))[0] == 403
    await _admin(client, admin, f"{player.user_id}/roles", roles=["moderator"])
    assert (await room.accounts.authenticate(player.access_token)).roles == ("moderator",)
    assert (await _admin(client, player, f"{other.user_id}/ban", reason="x"))[0] == 200
    await _admin(client, admin, f"{player.user_id}/roles", roles=[])
    assert (await _admin(client, player, f"{other.user_id}/unban"))[0] == 403


async def test_moderator_has_no_power_over_admins_nor_over_roles(
    client: aiohttp.ClientSession, room: Room
) -> None:
    admin, moderator = await room.admin(), await room.accounts.create_guest(None)
    await _admin(client, admin, f"{moderator.user_id}/roles", roles=["moderator"])
    assert (await _admin(client, moderator, f"{admin.user_id}/ban", reason="x"))[0] == 403
    mine = f"{moderator.user_id}/roles"
    assert (await _admin(client, moderator, mine, roles=["admin"]))[0] == 403
    async with client.get("/v1/admin/audit", headers=bearer(moderator.access_token)) as reply:
        assert reply.status == 403


async def test_admin_can_neither_ban_nor_demote_themselves(
    client: aiohttp.ClientSession, room: Room
) -> None:
    admin = await room.admin()
    assert (await _admin(client, admin, f"{admin.user_id}/ban", reason="x"))[0] == 403
    assert (await _admin(client, admin, f"{admin.user_id}/roles", roles=[]))[0] == 403


async def test_account_that_does_not_exist_cannot_be_banned(
    client: aiohttp.ClientSession, room: Room
) -> None:
    status, error = await _admin(client, await room.admin(), f"{new_id()}/ban", reason="x")
    assert (status, error["code"]) == (404, "not_found")


async def test_every_act_is_on_record_with_before_and_after(
    client: aiohttp.ClientSession, room: Room
) -> None:
    admin, player = await room.admin(), await room.accounts.create_guest(None)
    await _admin(client, admin, f"{player.user_id}/ban", reason="Spam.")
    await _admin(client, admin, f"{player.user_id}/unban")
    await _admin(client, admin, f"{player.user_id}/roles", roles=["moderator"])
    query = {"user_id": player.user_id, "limit": 2}
    first = await _audit(client, admin, **query)
    rest = await _audit(client, admin, **query, cursor=first["next"])
    acts = [*first["acts"], *rest["acts"]]
    assert rest["next"] is None
    assert [act["action"] for act in acts] == ["set_roles", "unban", "ban"]
    assert {act["actor"] for act in acts} == {admin.user_id}
    assert (acts[0]["before"], acts[0]["after"]) == ({"roles": []}, {"roles": ["moderator"]})
    assert acts[2]["after"] == {"reason": "Spam.", "ends_at": None}


async def _audit(client: aiohttp.ClientSession, who: Tokens, **query: str | int) -> Any:
    headers = bearer(who.access_token)
    async with client.get("/v1/admin/audit", params=query, headers=headers) as reply:
        assert reply.status == 200, await reply.text()
        return await reply.json()


async def test_act_that_fails_leaves_no_record(room: Room) -> None:
    missing = UserId(new_id())
    with pytest.raises(Exception, match=missing):
        await room.moderators.set_roles(missing, ["admin"], actor="console")
    assert await read_entries(room.database, below=2**62, limit=10, target=missing) == []


@pytest.mark.parametrize(
    "change", ["UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log", "TRUNCATE audit_log"]
)
async def test_record_cannot_be_changed_by_anybody(fresh_dsn: str, change: str) -> None:
    owner = await asyncpg.connect(fresh_dsn)
    try:
        await owner.execute(
            "INSERT INTO audit_log (actor, action, target) VALUES ('console', 'ban', 'x')"
        )
        with pytest.raises(asyncpg.RestrictViolationError, match="stays on record"):
            await owner.execute(change)
    finally:
        await owner.close()


async def test_people_are_found_by_id_and_by_the_beginning_of_their_username(
    client: aiohttp.ClientSession, room: Room
) -> None:
    admin, player = await room.admin(), await room.accounts.create_guest("Zoe")
    account = await room.accounts.read_account(UserId(player.user_id))
    for text in (player.user_id, player.player_id, account.username[:-2].upper()):
        headers = bearer(admin.access_token)
        async with client.get("/v1/admin/users", params={"text": text}, headers=headers) as reply:
            people = (await reply.json())["people"]
        assert player.user_id in [person["user_id"] for person in people]


async def test_session_that_ended_is_not_excused_by_a_ban_that_ran_out(room: Room) -> None:
    player = await room.accounts.create_guest(None)
    await room.accounts.end_session(
        (await room.accounts.authenticate(player.access_token)).session_id
    )
    with pytest.raises(BadToken):
        await room.accounts.authenticate(player.access_token)
