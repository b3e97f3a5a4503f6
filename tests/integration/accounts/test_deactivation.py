"""Accounts that are not active: refused by every way to sign in, until they are reactivated."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from persistence.accounts.audit_log import read_entries
from persistence.accounts.moderation import Ban
from protocol.errors import AccountDeactivated, Banned
from protocol.ids import UserId
from server.domains.people.accounts.providers import ProviderIdentity, compute_challenge
from tests.fixtures.http import bearer
from tests.integration.accounts.conftest import Room
from tests.integration.accounts.ways import PASSWORD, Client, Ways

SignIn = Callable[[bool], Awaitable[tuple[int, Any]]]
DEACTIVATED = (403, "account_deactivated")


@pytest.fixture
async def client_of_ways(room: Room) -> AsyncIterator[Client]:
    async with Ways(room).served() as client:
        yield client


async def _password(client: Client) -> tuple[UserId, SignIn]:
    email = f"ann.{uuid4().hex}@example.org"
    tokens = await client.registered(email)

    async def sign_in(reactivate: bool) -> tuple[int, Any]:
        body = {"email": email, "password": PASSWORD, "reactivate": reactivate}
        return await client.post("/v1/auth/email/sign-in", **body)

    return UserId(tokens["user_id"]), sign_in


async def _mailed_code(client: Client) -> tuple[UserId, SignIn]:
    email = f"ann.{uuid4().hex}@example.org"
    tokens = await client.registered(email)
    await client.post("/v1/auth/email", email=email)
    code = client.ways.code()

    async def sign_in(reactivate: bool) -> tuple[int, Any]:
        body = {"code": code, "password": "another one", "reactivate": reactivate}
        status, confirmed = await client.post("/v1/auth/email/confirm", **body)
        return status, confirmed.get("tokens", confirmed)

    return UserId(tokens["user_id"]), sign_in


async def _provider(client: Client) -> tuple[UserId, SignIn]:
    who = ProviderIdentity(uuid4().hex, "Ann")
    verifier = secrets.token_urlsafe(48)

    async def code() -> str:
        providers = client.ways.providers
        challenge = compute_challenge(verifier)
        return await providers.make_redirect_code("discord", who, challenge=challenge)

    _, tokens = await client.post("/v1/auth/exchange", code=await code(), verifier=verifier)
    again = await code()

    async def sign_in(reactivate: bool) -> tuple[int, Any]:
        body = {"code": again, "verifier": verifier, "reactivate": reactivate}
        return await client.post("/v1/auth/exchange", **body)

    return UserId(tokens["user_id"]), sign_in


async def _refresh_token_of_a_guest(client: Client) -> tuple[UserId, SignIn]:
    accounts = client.ways.room.accounts
    tokens = await accounts.create_guest(None)

    async def sign_in(reactivate: bool) -> tuple[int, Any]:
        try:
            fresh = await accounts.refresh(tokens.refresh_token, reactivate=reactivate)
        except AccountDeactivated as error:
            return error.status, {"code": error.code}
        return 200, fresh.model_dump()

    return UserId(tokens.user_id), sign_in


WAYS = [_password, _mailed_code, _provider, _refresh_token_of_a_guest]


@pytest.mark.parametrize("way", WAYS)
async def test_every_way_is_refused_and_reactivates_when_told_so(
    client_of_ways: Client, room: Room, way: Callable[[Client], Awaitable[tuple[UserId, SignIn]]]
) -> None:
    user_id, sign_in = await way(client_of_ways)
    await room.accounts.deactivate(user_id)
    for _ in range(2):  # what was refused is not used up
        status, refusal = await sign_in(False)
        assert (status, refusal["code"]) == DEACTIVATED
    status, tokens = await sign_in(True)
    assert (status, tokens["user_id"]) == (200, user_id)
    assert (await room.accounts.authenticate(tokens["access_token"])).user_id == user_id
    acts = await read_entries(room.database, below=2**62, limit=9, target=user_id)
    assert [(act.actor, act.action) for act in acts][:2] == [
        (user_id, "reactivate"),
        (user_id, "deactivate"),
    ]


@pytest.mark.parametrize("way", WAYS)
async def test_no_way_brings_back_what_staff_deactivated(
    client_of_ways: Client, room: Room, way: Callable[[Client], Awaitable[tuple[UserId, SignIn]]]
) -> None:
    user_id, sign_in = await way(client_of_ways)
    await room.accounts.deactivate(user_id)
    await room.moderators.deactivate(user_id, "Spam.", actor="console")
    for reactivate in (False, True):
        status, refusal = await sign_in(reactivate)
        assert (status, refusal["code"]) == DEACTIVATED
    await room.moderators.reactivate(user_id, actor="console")
    assert (await sign_in(False))[0] == 200


async def test_tokens_are_refused_meanwhile_and_valid_again(room: Room) -> None:
    tokens = await room.accounts.create_guest(None)
    await room.accounts.deactivate(UserId(tokens.user_id))
    with pytest.raises(AccountDeactivated, match="reactivate"):
        await room.accounts.authenticate(tokens.access_token)
    assert await room.accounts.reactivate(tokens.access_token) == tokens.user_id
    await room.accounts.authenticate(tokens.access_token)


async def test_a_used_refresh_token_reactivates_nothing(room: Room) -> None:
    tokens = await room.accounts.create_guest(None)
    fresh = await room.accounts.refresh(tokens.refresh_token)
    await room.accounts.deactivate(UserId(tokens.user_id))
    with pytest.raises(AccountDeactivated):  # within the time in which it may be repeated
        await room.accounts.refresh(tokens.refresh_token, reactivate=True)
    with pytest.raises(AccountDeactivated):
        await room.accounts.refresh(fresh.refresh_token)
    await room.accounts.refresh(fresh.refresh_token, reactivate=True)


async def test_a_banned_account_stays_deactivated(room: Room) -> None:
    tokens = await room.accounts.create_guest(None)
    user_id = UserId(tokens.user_id)
    await room.accounts.deactivate(user_id)
    await room.moderators.ban(user_id, Ban("Spam.", None), actor="console")
    with pytest.raises(Banned):
        await room.accounts.reactivate(tokens.access_token)
    with pytest.raises(AccountDeactivated):
        await room.accounts.open_session(user_id, method="email", reactivate=True)
    assert await room.store.find_deactivation(user_id) == "self"


async def test_admins_deactivate_and_reactivate_on_record(
    client: aiohttp.ClientSession, room: Room
) -> None:
    admin, player = await room.admin(), await room.accounts.create_guest(None)
    other = await room.admin()
    moderator = await room.accounts.create_guest(None)
    await room.moderators.set_roles(UserId(moderator.user_id), ["moderator"], actor="console")

    async def ask(who: Any, path: str, **body: object) -> tuple[int, Any]:
        headers = bearer(who.access_token)
        async with client.post(f"/v1/admin/users/{path}", json=body, headers=headers) as reply:
            return reply.status, await reply.json()

    path = f"{player.user_id}/deactivate"
    assert (await ask(moderator, path, reason="Spam."))[1]["code"] == "forbidden"
    assert (await ask(admin, f"{other.user_id}/deactivate", reason="x"))[1]["code"] == "forbidden"
    assert (await ask(admin, f"{uuid4()}/deactivate", reason="x"))[0] == 404
    status, person = await ask(admin, path, reason="Spam.")
    assert (status, person["deactivated_by"]) == (200, "staff")
    with pytest.raises(AccountDeactivated, match="operators"):
        await room.accounts.authenticate(player.access_token)
    assert (await ask(moderator, f"{player.user_id}/reactivate"))[0] == 403
    for _ in range(2):  # harmless where it is active
        status, person = await ask(admin, f"{player.user_id}/reactivate")
        assert (status, person["deactivated_by"]) == (200, None)
    await room.accounts.authenticate(player.access_token)
    acts = await read_entries(room.database, below=2**62, limit=9, target=player.user_id)
    assert [(act.actor, act.action) for act in acts] == [
        (admin.user_id, "reactivate"),
        (admin.user_id, "deactivate"),
    ]
    assert acts[1].after == b'{"reason": "Spam.", "deactivated_by": "staff"}'
