"""Supabase keeps the accounts: its tokens, a real JWKS server, and its layout of the database."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import psycopg
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from persistence.accounts.moderation import Ban, ModerationStore
from persistence.accounts.store import AccountStore
from persistence.database import Database
from protocol.errors import AccountDeactivated, BadToken, Banned, TokenExpired, Unavailable
from protocol.ids import UserId, new_id
from server.domains.people.accounts.http import AccountRoutes, guest_limiter
from server.domains.people.accounts.keys import SigningKeys
from server.domains.people.accounts.published_keys import KEYS_KEPT_S
from server.domains.people.accounts.service import Accounts
from server.domains.people.accounts.supabase import SupabaseAccounts, make_disabled_endpoints
from tests.fixtures.clocks import PassingClock
from tests.fixtures.http import bearer, served
from tests.fixtures.postgres import Databases
from tests.integration.accounts.conftest import LIFETIMES, MovableClock
from tests.integration.persistence.conftest import _migrated_once, migrated_supabase_dsn

__all__ = ["_migrated_once", "migrated_supabase_dsn"]  # fixtures, found by their names

SECRET = "a secret of the project's, long enough for every algorithm that there is"


@dataclass
class Project:
    """A Supabase project as far as tokens go: it publishes its keys and signs with them."""

    url: str = ""
    keys: dict[str, ec.EllipticCurvePrivateKey] = field(default_factory=dict)
    asked: int = 0
    is_down: bool = False

    def __post_init__(self) -> None:
        self.rotate("first")

    def rotate(self, kid: str) -> None:
        self.kid = kid
        self.keys[kid] = ec.generate_private_key(ec.SECP256R1())

    def claims(self, user_id: str, **changed: object) -> dict[str, Any]:
        now = datetime.now(UTC)
        return {
            "iss": f"{self.url}/auth/v1",
            "aud": "authenticated",
            "role": "authenticated",
            "sub": user_id,
            "session_id": new_id(),
            "iat": now,
            "exp": now + timedelta(hours=1),
            "user_metadata": {"user_name": "Ann Löwe"},
            **changed,
        }

    def token(self, user_id: str, **changed: object) -> str:
        claims, headers = self.claims(user_id, **changed), {"kid": self.kid}
        return jwt.encode(claims, self.keys[self.kid], algorithm="ES256", headers=headers)

    async def publish(self, _: web.Request) -> web.Response:
        self.asked += 1
        if self.is_down:
            return web.Response(status=503)
        keys = [
            {**jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid}
            | {"alg": "ES256", "use": "sig"}
            for kid, key in self.keys.items()
        ]
        return web.json_response({"keys": keys})


@dataclass
class Hall:
    """A server's accounts on Supabase's database; `now` is monotonic seconds."""

    dsn: str
    database: Database
    project: Project
    now: float = 0.0

    def __post_init__(self) -> None:
        self.accounts = self.with_secret(None)

    def with_secret(self, secret: str | None, *, url: str | None = None) -> SupabaseAccounts:
        return SupabaseAccounts(
            url=self.project.url if url is None else url,
            secret=secret,
            store=AccountStore(self.database),
            logged_out=lambda _: None,
            clock=PassingClock(lambda: self.now),
        )

    def user(self) -> str:
        """Somebody who has signed up at Supabase."""
        user_id = new_id()
        with psycopg.connect(self.dsn) as connection:
            connection.execute("INSERT INTO auth.users (id) VALUES (%s)", [user_id])
        return user_id


@pytest.fixture
async def hall(migrated_supabase_dsn: str, databases: Databases) -> AsyncIterator[Hall]:
    project, app = Project(), web.Application()
    app.router.add_get("/auth/v1/.well-known/jwks.json", project.publish)
    web_runner = web.AppRunner(app, access_log=None)
    await web_runner.setup()
    await web.TCPSite(web_runner, "127.0.0.1", 0).start()
    project.url = f"http://127.0.0.1:{web_runner.addresses[0][1]}"
    database = await Database.open(databases.serving_dsn(migrated_supabase_dsn), embedded=False)
    yield Hall(migrated_supabase_dsn, database, project)
    await database.close()
    await web_runner.cleanup()


async def test_first_sight_makes_profile_and_player_once(hall: Hall) -> None:
    user_id = hall.user()
    token = hall.project.token(user_id)
    identities = await asyncio.gather(*(hall.accounts.authenticate(token) for _ in range(10)))
    assert len({who.player_id for who in identities}) == 1
    assert identities[0].display_name == "Ann Löwe"
    assert hall.project.asked == 1
    account = await AccountStore(hall.database).find_account(UserId(user_id))
    assert account is not None
    assert account.username == "ann_lowe"


@pytest.mark.parametrize("called", ["Admin", "\u200d\u0301", "\u3164", "Playhall Support"])
async def test_name_that_could_not_be_chosen_here_is_not_taken_over(
    hall: Hall, called: str
) -> None:
    user_id = hall.user()
    metadata = {"user_name": called}
    who = await hall.accounts.authenticate(hall.project.token(user_id, user_metadata=metadata))
    account = await AccountStore(hall.database).find_account(UserId(user_id))
    assert account is not None
    for name in (who.display_name, account.username.replace("_", " ")):
        assert name.split()[0].isascii()
        assert "admin" not in name.lower()
        assert "playhall" not in name.lower()


async def test_taken_username_gets_a_tail(hall: Hall) -> None:
    usernames = []
    for user_id in (hall.user(), hall.user()):
        await hall.accounts.authenticate(hall.project.token(user_id))
        account = await AccountStore(hall.database).find_account(UserId(user_id))
        assert account is not None
        usernames.append(account.username)
    assert usernames[0] == "ann_lowe"
    assert usernames[1].startswith("ann_lowe_")
    assert len(usernames[1]) <= 24


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "anon"},
        {"aud": ["authenticated", "elsewhere"]},
        {"iss": "https://elsewhere.example.org/auth/v1"},
        {"role": "service_role"},
        {"sub": "not a uuid"},
        {"session_id": None},
        {"exp": None},
    ],
    ids=str,
)
async def test_token_that_is_not_for_us_is_refused(hall: Hall, changed: dict[str, object]) -> None:
    claims = hall.project.claims(hall.user(), **changed)
    claims = {name: value for name, value in claims.items() if value is not None}
    key, headers = hall.project.keys["first"], {"kid": "first"}
    token = jwt.encode(claims, key, algorithm="ES256", headers=headers)
    with pytest.raises(BadToken):
        await hall.accounts.authenticate(token)


async def test_expired_token_is_said_to_be(hall: Hall) -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    with pytest.raises(TokenExpired):
        await hall.accounts.authenticate(hall.project.token(hall.user(), exp=past))


async def test_token_by_the_public_key_as_a_secret_is_refused(hall: Hall) -> None:
    public = (
        hall.project.keys["first"]
        .public_key()
        .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    )
    claims = hall.project.claims(hall.user())
    token = jwt.encode(claims, public, algorithm="HS256", headers={"kid": "first"})
    for accounts in (hall.accounts, hall.with_secret(SECRET)):
        with pytest.raises(BadToken):
            await accounts.authenticate(token)


async def test_shared_secret_is_enough_and_is_checked(hall: Hall) -> None:
    accounts = hall.with_secret(SECRET, url="")
    claims = hall.project.claims(hall.user())
    await accounts.authenticate(jwt.encode(claims, SECRET, algorithm="HS256"))
    with pytest.raises(BadToken):
        await accounts.authenticate(jwt.encode(claims, SECRET[::-1], algorithm="HS256"))
    with pytest.raises(BadToken):
        await accounts.authenticate(jwt.encode(claims, SECRET, algorithm="HS512"))
    with pytest.raises(BadToken):
        await accounts.authenticate(hall.project.token(hall.user()))


async def test_new_key_is_fetched_and_unknown_ones_do_not_cause_a_storm(hall: Hall) -> None:
    await hall.accounts.authenticate(hall.project.token(hall.user()))
    hall.project.rotate("second")
    token = hall.project.token(hall.user())
    for _ in range(20):
        with pytest.raises(BadToken):
            await hall.accounts.authenticate(token)
    assert hall.project.asked == 1
    hall.now = 11.0
    await hall.accounts.authenticate(token)
    assert hall.project.asked == 2


async def test_unreachable_keys_are_a_reason_to_come_again(hall: Hall) -> None:
    hall.project.is_down = True
    token = hall.project.token(hall.user())
    with pytest.raises(Unavailable):
        await hall.accounts.authenticate(token)
    hall.project.is_down = False
    hall.now = 11.0
    await hall.accounts.authenticate(token)


async def test_withdrawn_key_is_forgotten_but_not_because_supabase_is_down(hall: Hall) -> None:
    token = hall.project.token(hall.user())
    await hall.accounts.authenticate(token)
    del hall.project.keys["first"]
    hall.project.rotate("second")
    hall.project.is_down = True
    hall.now = KEYS_KEPT_S
    await hall.accounts.authenticate(token)
    assert hall.project.asked == 2
    hall.project.is_down = False
    hall.now = 2 * KEYS_KEPT_S
    with pytest.raises(BadToken):
        await hall.accounts.authenticate(token)
    await hall.accounts.authenticate(hall.project.token(hall.user()))
    assert hall.project.asked == 3


async def test_user_whom_supabase_has_not_is_refused(hall: Hall) -> None:
    with pytest.raises(BadToken, match="no longer exists"):
        await hall.accounts.authenticate(hall.project.token(new_id()))


async def test_ban_holds_for_its_tokens_too(hall: Hall) -> None:
    user_id = hall.user()
    token = hall.project.token(user_id)
    await hall.accounts.authenticate(token)
    await ModerationStore(hall.database).ban(UserId(user_id), Ban("Spam.", None), actor="console")
    with pytest.raises(Banned, match="Spam"):
        await hall.accounts.authenticate(token)


async def test_deactivation_holds_for_its_tokens_until_one_of_them_ends_it(hall: Hall) -> None:
    user_id = UserId(hall.user())
    token = hall.project.token(user_id)
    await hall.accounts.authenticate(token)
    await hall.accounts.deactivate(user_id)
    with pytest.raises(AccountDeactivated):
        await hall.accounts.authenticate(token)
    assert await hall.accounts.reactivate(token) == user_id
    await hall.accounts.authenticate(token)
    await ModerationStore(hall.database).deactivate(user_id, "Spam.", actor="console")
    with pytest.raises(AccountDeactivated, match="operators"):
        await hall.accounts.reactivate(token)


async def test_our_own_sign_in_says_that_it_is_elsewhere(hall: Hall) -> None:
    clock, store = MovableClock(), AccountStore(hall.database)
    keys = SigningKeys(store, now=clock.monotonic)
    ours = Accounts(
        store=store, keys=keys, clock=clock, lifetimes=LIFETIMES, revoked=lambda *_: None
    )
    routes = AccountRoutes(accounts=ours, keys=keys, guests=guest_limiter(600), now=clock.monotonic)
    addresses = make_disabled_endpoints(routes.endpoints())
    async with served(addresses, hall.accounts.authenticate) as client:
        for path in ("/v1/auth/guest", "/v1/auth/refresh", "/v1/auth/logout"):
            async with client.post(path, json={}) as reply:
                assert (reply.status, (await reply.json())["code"]) == (409, "sign_in_elsewhere")
        token = hall.project.token(hall.user())
        async with client.get("/v1/me", headers=bearer(token)) as reply:
            assert (reply.status, (await reply.json())["username"]) == (200, "ann_lowe")
