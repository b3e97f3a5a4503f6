"""`/auth/v1` on a real node, with the mail that it sends."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from server.gateway.supabase_keys import make_api_key
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.fixtures.smtp import PostOffice, post_office, until

SECRET: Final = "a secret of the tests, long enough to sign"
KEY: Final = make_api_key(SECRET, "anon", issued_at=1_700_000_000)


class Client:
    """A client, its node's mail, and the token that it sends."""

    def __init__(self, web: aiohttp.ClientSession, office: PostOffice) -> None:
        self.web = web
        self.office = office

    async def ask(
        self, method: str, path: str, body: Any = None, *, token: str = KEY, key: str = KEY
    ) -> tuple[int, Any]:
        headers = {"apikey": key, "Authorization": f"Bearer {token}"}
        async with self.web.request(
            method, f"/auth/v1/{path}", json=body, headers=headers
        ) as answer:
            return answer.status, await answer.json() if answer.status != 204 else None

    async def good(self, method: str, path: str, body: Any = None, *, token: str = KEY) -> Any:
        status, said = await self.ask(method, path, body, token=token)
        assert status in (200, 204), said
        return said

    async def code(self, email: str, *, mails: int) -> str:
        await until(lambda: len(self.office.to(email)) == mails)
        text = self.office.to(email)[-1].get_content()
        return text.partition("/account/confirm#")[2].split()[0]


@pytest.fixture
async def client(databases: Databases, tmp_path: Path) -> AsyncIterator[Client]:
    dsn = databases.create(template=TEMPLATE)
    async with post_office() as (office, port):
        settings = {"supabase_api_secret": SECRET, "smtp_url": f"smtp+plain://127.0.0.1:{port}"}
        with Node(tmp_path, databases.serving_dsn(dsn), **settings) as node:
            async with aiohttp.ClientSession(node.url) as web:
                yield Client(web, office)
    databases.drop(dsn)


async def test_an_account_is_signed_up_in_to_recovered_and_out_of(client: Client) -> None:
    email, password = "ann@example.org", "correct horse"
    ask, good = client.ask, client.good
    assert (await ask("GET", "settings", key="x"))[0] == 401
    assert (await good("GET", "settings"))["external"]["email"] is True

    # A guest becomes an account with an address, and keeps its id.
    guest = await good("POST", "signup", {"data": {"display_name": "Ann"}})
    user = guest["user"]
    assert (user["is_anonymous"], user["user_metadata"]["display_name"]) == (True, "Ann")
    assert (await good("GET", "user", token=guest["access_token"]))["id"] == user["id"]
    linking = await good("PUT", "user", {"email": email}, token=guest["access_token"])
    assert linking["new_email"] == email
    code = await client.code(email, mails=1)
    status, said = await ask(
        "POST", "verify", {"type": "email_change", "email": "eve@example.org", "token": code}
    )
    assert (status, said["error_code"]) == (403, "otp_expired")
    linked = await good("POST", "verify", {"type": "email_change", "email": email, "token": code})
    assert (linked["user"]["id"], linked["user"]["email"]) == (user["id"], email)
    assert linked["user"]["identities"][0]["provider"] == "email"

    # A guest's session cannot set a password, that of the address can, and ends the others.
    status, said = await ask("PUT", "user", {"password": password}, token=guest["access_token"])
    assert (status, said["error_code"]) == (400, "invalid_credentials")
    await good("PUT", "user", {"password": password}, token=linked["access_token"])
    assert (await ask("GET", "user", token=guest["access_token"]))[0] == 401
    status, said = await ask("POST", "token?grant_type=password", {"email": email, "password": "x"})
    assert (status, said["error_code"]) == (400, "invalid_credentials")
    signed_in = await good(
        "POST", "token?grant_type=password", {"email": email, "password": password}
    )
    renewed = await good(
        "POST", "token?grant_type=refresh_token", {"refresh_token": signed_in["refresh_token"]}
    )
    assert renewed["user"]["id"] == user["id"]
    status, said = await ask("POST", "token?grant_type=refresh_token", {"refresh_token": "x"})
    assert (status, said["error_code"]) == (400, "refresh_token_not_found")

    # A forgotten password: the mailed code signs in, and then another one is chosen.
    await good("POST", "recover", {"email": email})
    code = await client.code(email, mails=2)
    recovered = await good("POST", "verify", {"type": "recovery", "email": email, "token": code})
    await good("PUT", "user", {"password": "another one"}, token=recovered["access_token"])
    assert (await ask("GET", "user", token=renewed["access_token"]))[0] == 401
    await good("POST", "logout?scope=local", token=recovered["access_token"])
    assert (await ask("GET", "user", token=recovered["access_token"]))[0] == 401


async def test_a_signed_up_password_counts_only_for_whoever_has_the_code(client: Client) -> None:
    ask, good = client.ask, client.good
    email = "ben@example.org"
    status, said = await ask("POST", "signup", {"email": email, "password": "short"})
    assert (status, said["error_code"]) == (422, "weak_password")
    pending = await good("POST", "signup", {"email": email, "password": "correct horse"})
    assert "access_token" not in pending
    by_password = {"email": email, "password": "correct horse"}
    assert (await ask("POST", "token?grant_type=password", by_password))[0] == 400
    code = await client.code(email, mails=1)
    made = await good("POST", "verify", {"type": "signup", "email": email, "token": code})
    assert made["user"]["email"] == email
    assert (await good("POST", "token?grant_type=password", by_password))["user"] == made["user"]
    # Signing up again with another password changes nothing; the code only signs in.
    again = await good("POST", "signup", {"email": email, "password": "a thief's one"})
    assert set(again) == set(pending)
    code = await client.code(email, mails=2)
    entered = await good("POST", "verify", {"type": "signup", "email": email, "token": code})
    assert entered["user"]["id"] == made["user"]["id"]
    assert (await good("POST", "token?grant_type=password", by_password))["user"]["email"] == email
    # Nobody is mailed where nobody may register.
    await good("POST", "otp", {"email": "cem@example.org", "create_user": False})
    await good("POST", "otp", {"email": "dan@example.org"})
    code = await client.code("dan@example.org", mails=1)
    assert client.office.to("cem@example.org") == []
    dan = await good("POST", "verify", {"type": "email", "email": "dan@example.org", "token": code})
    status, said = await ask("DELETE", "user/identities/email", token=dan["access_token"])
    assert (status, said["error_code"]) == (409, "last_method")
    await good("POST", "logout", token=dan["access_token"])
    assert (await ask("GET", "user", token=dan["access_token"]))[0] == 401
