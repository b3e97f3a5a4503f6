"""Access and refresh tokens: what is accepted, what is refused, what ends a session."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from persistence.accounts.store import REFRESHES_MAX, REFRESHES_WITHIN_S, AccountStore
from persistence.database import Database
from protocol.accounts import Tokens
from protocol.errors import BadToken, RateLimited, TokenExpired
from server.domains.people.accounts.keys import SigningKey, SigningKeys
from server.domains.people.accounts.refresh_tokens import token_hash
from tests.integration.accounts.conftest import LIFETIMES, Room

Forge = Callable[[SigningKey, dict[str, Any]], str]


def _sign(key: SigningKey, claims: dict[str, Any], **headers: Any) -> str:
    headers = {"kid": key.kid, "typ": "at+jwt"} | headers
    return jwt.encode(claims, key.private, algorithm="EdDSA", headers=headers)


def _without(claim: str) -> Forge:
    return lambda key, claims: _sign(key, {k: v for k, v in claims.items() if k != claim})


def _with(**changed: Any) -> Forge:
    return lambda key, claims: _sign(key, claims | changed)


def _by_secret(key: SigningKey, claims: dict[str, Any]) -> str:
    secret = key.public.public_bytes_raw()
    return jwt.encode(claims, secret, "HS256", headers={"kid": key.kid, "typ": "at+jwt"})


def _unsigned(key: SigningKey, claims: dict[str, Any]) -> str:
    return jwt.encode(claims, "", "none", headers={"kid": key.kid, "typ": "at+jwt"})


def _by_another_key(key: SigningKey, claims: dict[str, Any]) -> str:
    private = Ed25519PrivateKey.generate()
    return _sign(SigningKey(key.kid, private, private.public_key()), claims)


FORGERIES: dict[str, Forge] = {
    "by_another_key": _by_another_key,
    "by_a_shared_secret": _by_secret,
    "unsigned": _unsigned,
    "of_another_type": lambda key, claims: _sign(key, claims, typ="JWT"),
    "without_type": lambda key, claims: _sign(key, claims, typ=None),
    "of_an_unknown_key": lambda key, claims: _sign(key, claims, kid="unknown"),
    "of_another_issuer": _with(iss="elsewhere"),
    "for_another_audience": _with(aud="elsewhere"),
    "for_several_audiences": _with(aud=["playhall", "elsewhere"]),
    "from_the_future": _with(iat=datetime.now(UTC) + timedelta(hours=1)),
    "of_another_user": _with(sub="00000000-0000-4000-8000-000000000000"),
    **{f"without_{claim}": _without(claim) for claim in ("iss", "aud", "exp", "sub", "sid", "pid")},
}


async def _claims(room: Room) -> dict[str, Any]:
    token = (await room.accounts.create_guest(None)).access_token
    return dict(jwt.decode(token, options={"verify_signature": False}))


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
async def test_forged_token_is_refused(room: Room, forge: Forge) -> None:
    claims = await _claims(room)
    await room.accounts.authenticate(_sign(room.keys.newest, claims))
    with pytest.raises(BadToken):
        await room.accounts.authenticate(forge(room.keys.newest, claims))


@pytest.mark.parametrize("token", ["", "a.b.c", "é", "x" * 5000, "....", "e30.e30.e30"])
async def test_nonsense_is_refused(room: Room, token: str) -> None:
    with pytest.raises(BadToken):
        await room.accounts.authenticate(token)


async def test_old_token_has_expired(room: Room) -> None:
    tokens = await room.accounts.create_guest(None)
    room.clock.move(seconds=LIFETIMES.access_s + 1)
    with pytest.raises(TokenExpired):
        await room.accounts.authenticate(tokens.access_token)


async def test_identity_says_who_and_until_when(room: Room) -> None:
    tokens = await room.accounts.create_guest("Ann")
    who = await room.accounts.authenticate(tokens.access_token)
    assert (tokens.user_id, tokens.player_id, "Ann") == (
        who.user_id,
        who.player_id,
        who.display_name,
    )
    claims = jwt.decode(tokens.access_token, options={"verify_signature": False})
    assert (claims["sid"], claims["exp"]) == (who.session_id, who.expires_at)


async def test_a_retry_gets_the_same_successor(room: Room) -> None:
    first = await room.accounts.create_guest(None)
    second = await room.accounts.refresh(first.refresh_token)
    room.clock.move(seconds=29)
    again = await room.accounts.refresh(first.refresh_token)
    assert second.refresh_token == again.refresh_token
    assert room.ended == []


async def test_simultaneous_refreshes_get_one_successor(room: Room) -> None:
    first = await room.accounts.create_guest(None)
    answers = await asyncio.gather(*(room.accounts.refresh(first.refresh_token) for _ in range(8)))
    assert len({answer.refresh_token for answer in answers}) == 1


async def test_late_reuse_ends_the_session(room: Room) -> None:
    first = await room.accounts.create_guest(None)
    second = await room.accounts.refresh(first.refresh_token)
    room.clock.move(seconds=31)
    with pytest.raises(BadToken):
        await room.accounts.refresh(first.refresh_token)
    await asyncio.sleep(0)
    assert [_session(first)] == room.ended
    with pytest.raises(BadToken):
        await room.accounts.refresh(second.refresh_token)
    with pytest.raises(BadToken):
        await room.accounts.authenticate(second.access_token)


async def test_revoked_session_answers_no_retry(room: Room) -> None:
    first = await room.accounts.create_guest(None)
    await room.accounts.refresh(first.refresh_token)
    await room.accounts.end_session(
        (await room.accounts.authenticate(first.access_token)).session_id
    )
    with pytest.raises(BadToken):
        await room.accounts.refresh(first.refresh_token)


async def test_a_chain_of_refreshes_holds(room: Room) -> None:
    tokens = await room.accounts.create_guest(None)
    for _ in range(5):
        room.clock.move(hours=1)
        tokens = await room.accounts.refresh(tokens.refresh_token)
    assert room.ended == []


async def _rows(room: Room, tokens: Tokens) -> int:
    async with room.database.acquire() as connection:
        count = "SELECT count(*) FROM playhall_auth.refresh_tokens WHERE session_id = $1"
        return int(await connection.fetchval(count, _session(tokens)))


async def test_a_long_session_keeps_few_rows(room: Room) -> None:
    tokens = await room.accounts.create_guest(None)
    kept = []
    for _ in range(30):
        room.clock.move(minutes=10)
        tokens = await room.accounts.refresh(tokens.refresh_token)
        kept.append(await _rows(room, tokens))
    assert set(kept) == {2}


async def test_session_that_refreshes_too_often_gets_the_time_when_it_may(room: Room) -> None:
    tokens = await room.accounts.create_guest(None)
    for _ in range(REFRESHES_MAX - 1):
        tokens = await room.accounts.refresh(tokens.refresh_token)
    with pytest.raises(RateLimited) as refused:
        await room.accounts.refresh(tokens.refresh_token)
    wait_s = refused.value.retry_after_s
    assert wait_s is not None
    assert 0 < wait_s <= REFRESHES_WITHIN_S
    assert room.ended == []
    assert await _rows(room, tokens) == REFRESHES_MAX
    other = await room.accounts.create_guest(None)
    await room.accounts.refresh(other.refresh_token)
    room.clock.move(seconds=wait_s)
    await room.accounts.refresh(tokens.refresh_token)


async def test_reuse_ends_the_session_however_long_ago_the_token_was_forgotten(room: Room) -> None:
    stolen = await room.accounts.create_guest(None)
    tokens = stolen
    for _ in range(20):
        room.clock.move(hours=1)
        tokens = await room.accounts.refresh(tokens.refresh_token)
    with pytest.raises(BadToken, match="already used"):
        await room.accounts.refresh(stolen.refresh_token)
    await asyncio.sleep(0)
    assert room.ended == [_session(stolen)]
    with pytest.raises(BadToken):
        await room.accounts.refresh(tokens.refresh_token)


async def test_made_up_token_ends_nothing(room: Room) -> None:
    tokens = await room.accounts.create_guest(None)
    secret, _, family = tokens.refresh_token.partition(".")
    for made_up in (f"{secret}.{'x' * 22}", secret, f"{'x' * 43}.", f".{'x' * 22}"):
        with pytest.raises(BadToken, match="not valid on this server"):
            await room.accounts.refresh(made_up)
    assert family
    await room.accounts.refresh(tokens.refresh_token)
    assert room.ended == []


async def test_token_from_before_families_goes_on_and_its_reuse_is_found(room: Room) -> None:
    tokens, older = await room.accounts.create_guest(None), "older" * 9
    async with room.database.acquire() as connection:
        await connection.execute(
            "UPDATE playhall_auth.refresh_tokens SET token_hash = $1, family = NULL"
            " WHERE session_id = $2",
            token_hash(older),
            _session(tokens),
        )
    second = await room.accounts.refresh(older)
    assert second.refresh_token == (await room.accounts.refresh(older)).refresh_token
    third = await room.accounts.refresh(second.refresh_token)
    room.clock.move(hours=1)
    fourth = await room.accounts.refresh(third.refresh_token)
    with pytest.raises(BadToken, match="already used"):
        await room.accounts.refresh(older)
    with pytest.raises(BadToken):
        await room.accounts.refresh(fourth.refresh_token)


async def test_refresh_token_expires(room: Room) -> None:
    tokens = await room.accounts.create_guest(None)
    room.clock.move(seconds=LIFETIMES.refresh_s + 1)
    with pytest.raises(TokenExpired):
        await room.accounts.refresh(tokens.refresh_token)


async def test_database_holds_no_refresh_token(room: Room) -> None:
    first = await room.accounts.create_guest(None)
    second = await room.accounts.refresh(first.refresh_token)
    async with room.database.acquire() as connection:
        rows = await connection.fetch(
            "SELECT t::text FROM playhall_auth.refresh_tokens t WHERE session_id = $1",
            _session(first),
        )
    stored = " ".join(row[0] for row in rows)
    assert len(rows) == 2
    for token in (first.refresh_token, second.refresh_token):
        assert token not in stored
        assert token.encode().hex() not in stored


async def test_nodes_that_start_at_once_sign_with_one_key(database: Database) -> None:
    nodes = [_keys(database) for _ in range(6)]
    await asyncio.gather(*(node.start() for node in nodes))
    assert len({node.newest.kid for node in nodes}) == 1
    assert len(nodes[0].to_jwks().keys) == 1


async def test_old_token_is_good_after_one_rotation_and_not_after_two(room: Room) -> None:
    old = await room.accounts.create_guest(None)
    await room.keys.rotate()
    await room.accounts.authenticate(old.access_token)
    new = await room.accounts.refresh(old.refresh_token)
    await room.keys.rotate()
    await room.accounts.authenticate(new.access_token)
    with pytest.raises(BadToken):
        await room.accounts.authenticate(old.access_token)


async def test_token_that_was_verified_before_expires_all_the_same(room: Room) -> None:
    tokens = await room.accounts.create_guest(None)
    await room.accounts.authenticate(tokens.access_token)
    await room.accounts.authenticate(tokens.access_token)
    room.clock.move(seconds=tokens.expires_in)
    with pytest.raises(TokenExpired):
        await room.accounts.authenticate(tokens.access_token)


async def test_node_learns_a_key_that_another_made(room: Room) -> None:
    now = 0.0
    other = SigningKeys(room.store, now=lambda: now)
    await other.start()
    await room.keys.rotate()
    kid = room.keys.newest.kid
    with pytest.raises(BadToken):
        await other.find_key(kid)
    now = 11.0
    assert kid == (await other.find_key(kid)).kid
    assert kid == other.newest.kid


def _keys(database: Database) -> SigningKeys:
    return SigningKeys(AccountStore(database), now=asyncio.get_running_loop().time)


def _session(tokens: Tokens) -> str:
    return str(jwt.decode(tokens.access_token, options={"verify_signature": False})["sid"])
