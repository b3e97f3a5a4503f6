"""`/auth/v1` on a real node, with the mail that it sends."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
import asyncpg
import bcrypt
import pytest

from server.domains.people.accounts.providers import compute_challenge
from server.gateway.supabase_keys import make_api_key
from tests.fixtures.node import Node
from tests.fixtures.openid import CLIENT_ID, CLIENT_SECRET, Liar, SigningKey, liar
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.fixtures.smtp import PostOffice, post_office, until

SECRET: Final = "a secret of the tests, long enough to sign"
KEY: Final = make_api_key(SECRET, "anon", issued_at=1_700_000_000)
SERVICE: Final = make_api_key(SECRET, "service_role", issued_at=1_700_000_000)
TARGET: Final = "http://127.0.0.1:51234/"
VERIFIER: Final = secrets.token_hex(56)  # as the client makes it
SESSION_HAS_ENDED: Final = "The session that asked for this link has ended; sign in again."
PKCE: Final = {
    "code_challenge": compute_challenge(VERIFIER),
    "code_challenge_method": "s256",
}


class Client:
    """A client, its node's mail, and the token that it sends."""

    def __init__(
        self, web: aiohttp.ClientSession, office: PostOffice, provider: Liar, dsn: str
    ) -> None:
        self.web = web
        self.dsn = dsn
        self.office = office
        self.provider = provider

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

    async def link(self, email: str, *, mails: int) -> str:
        """Give the code of the link in a mail that leads to the application."""
        await until(lambda: len(self.office.to(email)) == mails)
        text = self.office.to(email)[-1].get_content()
        return text.partition(f"{TARGET}?code=")[2].split()[0]

    async def exchange(self, code: str, verifier: str = VERIFIER) -> tuple[int, Any]:
        body = {"auth_code": code, "code_verifier": verifier}
        return await self.ask("POST", "token?grant_type=pkce", body)

    async def admin(self, method: str, path: str, body: Any = None) -> Any:
        return await self.good(method, path, body, token=SERVICE)

    async def recorded(self, target: str) -> list[tuple[str, Any]]:
        """Read what the service key did with an account: the acts, and what was after each."""
        database = await asyncpg.connect(self.dsn)
        try:
            rows = await database.fetch(
                "SELECT action, after FROM audit_log WHERE actor = 'service_role' AND target = $1 "
                "ORDER BY id",
                target,
            )
        finally:
            await database.close()
        return [(action, json.loads(after or "null")) for action, after in rows]

    async def come_back(self, there: str, sub: str) -> str:
        """Agree at the provider and come back; gives our code."""
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as browser:
            async with browser.get(there, allow_redirects=False) as answer:
                assert answer.status == 303, await answer.text()
                start = answer.headers["Location"]
            if "/start?" in start:
                async with browser.get(start, allow_redirects=False) as answer:
                    start = answer.headers["Location"]
            self.provider.sub = sub
            back = self.provider.consent(start)
            async with browser.get(back, allow_redirects=False) as answer:
                target = answer.headers["Location"]
        assert target.startswith(f"{TARGET}?code="), target
        return parse_qs(urlsplit(target).query)["code"][0]


@pytest.fixture(scope="module")
async def client(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Client]:
    dsn = databases.create(template=TEMPLATE)
    async with liar(SigningKey("k1")) as provider, post_office() as (office, port):
        acme = {"id": "acme", "name": "Acme", "issuer": provider.issuer, "client_id": CLIENT_ID}
        settings = {
            "supabase_api_secret": SECRET,
            "smtp_url": f"smtp+plain://127.0.0.1:{port}",
            "oidc_providers": json.dumps([{**acme, "client_secret": CLIENT_SECRET}]),
            "sign_in_redirects": TARGET,
        }
        folder = tmp_path_factory.mktemp("node")
        node = Node(folder, databases.serving_dsn(dsn), **settings)
        await asyncio.to_thread(node.start)
        try:
            async with aiohttp.ClientSession(node.url) as web:
                yield Client(web, office, provider, dsn)
        finally:
            node.kill()
        output = "\n".join(node.output)
        assert "Traceback" not in output
        assert VERIFIER not in output
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


async def test_a_mailed_link_is_good_for_the_client_that_asked_alone(client: Client) -> None:
    good, email, password = client.good, "eda@example.org", "correct horse"
    elsewhere = "https://evil.example/"
    asked = {"email": email, "password": password, **PKCE, "data": {"color": "red"}}
    status, said = await client.ask("POST", f"signup?redirect_to={elsewhere}", asked)
    assert (status, said["error_code"]) == (422, "validation_failed")
    plain = {**asked, "code_challenge_method": "plain"}
    assert (await client.ask("POST", f"signup?redirect_to={TARGET}", plain))[0] == 422
    await good("POST", f"signup?redirect_to={TARGET}", asked)
    first = await client.link(email, mails=1)
    # Asked for again, before it was used: the same password, another code; for others nothing.
    await good("POST", f"resend?redirect_to={TARGET}", {"type": "signup", "email": email, **PKCE})
    await good("POST", "resend", {"type": "signup", "email": "nobody@example.org"})
    code = await client.link(email, mails=2)
    assert code != first
    status, said = await client.exchange(code, secrets.token_hex(56))
    assert (status, said["error_code"]) == (403, "otp_expired")
    assert said["msg"] == "The verifier does not match the challenge that you sent."
    status, made = await client.exchange(code)
    assert status == 200, made
    assert (made["user"]["email"], made["user"]["user_metadata"]["color"]) == (email, "red")
    assert (await client.exchange(code))[0] == 403
    by_password = {"email": email, "password": password}
    assert (await good("POST", "token?grant_type=password", by_password))["user"] == made["user"]

    # Metadata is merged, and a null takes a key away.
    token = made["access_token"]
    await good("PUT", "user", {"data": {"size": 3, "color": None}}, token=token)
    shown = (await good("GET", "user", token=token))["user_metadata"]
    assert (shown["size"], "color" in shown) == (3, False)
    for wrong in ({"big": "x" * 9000}, {"nul": "\0"}):
        assert (await client.ask("PUT", "user", {"data": wrong}, token=token))[0] == 422

    # Another address; the link in the mail may be asked for again, too.
    changed = {"email": "eda2@example.org", "current_password": password, **PKCE}
    await good("PUT", f"user?redirect_to={TARGET}", changed, token=token)
    again = {"type": "email_change", "email": "eda2@example.org", **PKCE}
    await good("POST", f"resend?redirect_to={TARGET}", again)
    status, linked = await client.exchange(await client.link("eda2@example.org", mails=2))
    assert (status, linked["user"]["email"]) == (200, "eda2@example.org")
    assert client.office.to("nobody@example.org") == []


async def test_a_provider_signs_in_and_is_linked(client: Client) -> None:
    settings = await client.good("GET", "settings")
    assert settings["external"]["acme"] is True
    asked = {"provider": "acme", "redirect_to": TARGET, **PKCE}

    async def refused(**changed: str) -> int:
        query = {name: value for name, value in {**asked, **changed}.items() if value}
        async with client.web.get(
            "/auth/v1/authorize", params=query, allow_redirects=False
        ) as answer:
            assert "Location" not in answer.headers
            return answer.status

    assert await refused(provider="github") == 422
    assert await refused(redirect_to="https://evil.example/") == 422
    assert await refused(redirect_to="") == 422
    assert await refused(code_challenge="") == 422

    url = client.web._base_url.join(aiohttp.client.URL("/auth/v1/authorize").with_query(asked))
    code = await client.come_back(str(url), "grace@acme")
    assert (await client.exchange(code, secrets.token_hex(56)))[0] == 403
    status, grace = await client.exchange(code)
    assert (status, grace["user"]["app_metadata"]["providers"]) == (200, ["acme"]), grace

    # A guest links another identity, and stays who they are.
    guest = await client.good("POST", "signup", {})
    query = f"provider=acme&redirect_to={TARGET}&skip_http_redirect=true&" + "&".join(
        f"{name}={value}" for name, value in PKCE.items()
    )
    path = f"user/identities/authorize?{query}"
    assert (await client.ask("GET", path))[0] == 401
    there = (await client.good("GET", path, token=guest["access_token"]))["url"]
    other = there.replace(PKCE["code_challenge"], compute_challenge(secrets.token_hex(56)))
    async with client.web.get(other, allow_redirects=False) as answer:
        assert answer.status == 401  # a link that was got hold of links nothing else
    code = await client.come_back(there, "linus@acme")
    status, linked = await client.exchange(code)
    assert (status, linked["user"]["id"]) == (200, guest["user"]["id"]), linked
    assert [each["provider"] for each in linked["user"]["identities"]] == ["acme"]
    # Signing out everywhere ends a link as well, wherever the browser is by then.
    there = (await client.good("GET", path, token=linked["access_token"]))["url"]
    await client.good("POST", "logout", token=linked["access_token"])
    status, said = await client.exchange(await client.come_back(there, "mallory@acme"))
    assert (status, said["msg"]) == (403, SESSION_HAS_ENDED)
    # What is another account's cannot be linked.
    guest = await client.good("POST", "signup", {})
    there = (await client.good("GET", path, token=guest["access_token"]))["url"]
    status, said = await client.exchange(await client.come_back(there, "grace@acme"))
    assert (status, said["error_code"]) == (422, "email_exists")


async def test_the_service_key_looks_after_accounts(client: Client) -> None:
    admin, ask = client.admin, client.ask
    for token in (KEY, (await client.good("POST", "signup", {}))["access_token"]):
        for method, path in (("GET", "admin/users"), ("POST", "invite")):
            status, said = await ask(method, path, {}, token=token)
            assert (status, said["error_code"]) == (403, "not_admin")

    email, password = "fay@example.org", "correct horse"
    unproved = {"email": email, "password": password}
    status, said = await ask("POST", "admin/users", unproved, token=SERVICE)
    assert (status, "email_confirm" in said["msg"]) == (422, True)
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    metadata = {"user_metadata": {"display_name": "Fay"}, "app_metadata": {"plan": "gold"}}
    new = {"email": email, "password_hash": hashed, "email_confirm": True, **metadata}
    made = await admin("POST", "admin/users", new)
    assert (made["email"], made["user_metadata"]["display_name"]) == (email, "Fay")
    assert (made["app_metadata"]["plan"], made["is_anonymous"]) == ("gold", False)
    status, said = await ask("POST", "admin/users", new, token=SERVICE)
    assert (status, said["error_code"]) == (422, "email_exists")
    # The password of another service is good here, and is hashed anew at the first sign-in.
    for _ in range(2):
        session = await client.good("POST", "token?grant_type=password", unproved)
        assert session["user"]["id"] == made["id"]
    status, said = await ask("POST", "token?grant_type=password", {**unproved, "password": "x"})
    assert (status, said["error_code"]) == (400, "invalid_credentials")
    # A person cannot write what the service alone does.
    sent = {"data": {"a": 1}, "app_metadata": {"plan": "free"}}
    shown = await client.good("PUT", "user", sent, token=session["access_token"])
    assert (shown["app_metadata"]["plan"], shown["user_metadata"]["a"]) == ("gold", 1)

    path = f"admin/users/{made['id']}"
    banned = await admin("PUT", path, {"ban_duration": "1h30m"})
    assert banned["banned_until"] > banned["created_at"]
    assert (await ask("POST", "token?grant_type=password", unproved))[1][
        "error_code"
    ] == "user_banned"
    assert "banned_until" not in await admin("PUT", path, {"ban_duration": "none"})
    assert (await ask("PUT", path, {"ban_duration": "soon"}, token=SERVICE))[0] == 422
    changed = {"email": "fay2@example.org", "password": "another one"}
    assert (await admin("PUT", path, changed))["email"] == "fay2@example.org"
    assert (await ask("GET", "user", token=session["access_token"]))[0] == 401
    await client.good("POST", "token?grant_type=password", changed)

    await admin("PUT", path, {"app_metadata": {"plan": "silver"}})
    assert (await admin("GET", path))["app_metadata"]["plan"] == "silver"
    acts = await client.recorded(made["id"])
    assert [act for act, _ in acts] == [
        "create_account",
        "ban",
        "unban",
        "set_method",
        "set_metadata",
        "account_read",
    ]
    assert acts[-2][1] == {"user_metadata": False, "app_metadata": True}

    first = await admin("GET", "admin/users?page=1&per_page=2")
    assert len(first["users"]) == 2
    everybody = (await admin("GET", "admin/users?per_page=200"))["users"]
    assert made["id"] in [each["id"] for each in everybody]

    await admin("DELETE", path)
    for gone in (made["id"], secrets.token_hex(16)):
        status, said = await ask("GET", f"admin/users/{gone}", token=SERVICE)
        assert said["error_code"] in ("user_not_found", "validation_failed")
    assert (await ask("DELETE", path, token=SERVICE))[0] == 404


async def test_the_service_key_invites_and_makes_links(client: Client) -> None:
    admin, email = client.admin, "gus@example.org"
    invited = await admin("POST", "invite", {"email": email, "data": {"team": "red"}})
    assert invited["email"] == email
    code = await client.code(email, mails=1)
    entered = await client.good("POST", "verify", {"type": "invite", "email": email, "token": code})
    assert entered["user"]["id"] == invited["id"]
    assert entered["user"]["user_metadata"]["team"] == "red"
    status, said = await client.ask("POST", "invite", {"email": email}, token=SERVICE)
    assert (status, said["error_code"]) == (422, "email_exists")

    made = await admin("POST", "admin/generate_link", {"type": "magiclink", "email": email})
    assert made["id"] == invited["id"]
    assert made["action_link"].endswith(f"/account/confirm#{made['email_otp']}")
    by_hash = {"type": "magiclink", "token_hash": made["hashed_token"]}
    assert (await client.good("POST", "verify", by_hash))["user"]["id"] == invited["id"]
    new = {"type": "signup", "email": "hal@example.org", "password": "correct horse"}
    made = await admin("POST", "admin/generate_link", new)
    typed = {"type": "signup", "email": new["email"], "token": made["email_otp"]}
    assert (await client.good("POST", "verify", typed))["user"]["email"] == new["email"]
    await client.good("POST", "token?grant_type=password", new)
    unknown = {"type": "recovery", "email": "nobody@example.org"}
    status, said = await client.ask("POST", "admin/generate_link", unknown, token=SERVICE)
    assert (status, said["error_code"]) == (404, "user_not_found")
    change = {"type": "email_change_new", "email": email, "new_email": "gus2@example.org"}
    made = await admin("POST", "admin/generate_link", change)
    typed = {"type": "email_change", "email": "gus2@example.org", "token": made["email_otp"]}
    assert (await client.good("POST", "verify", typed))["user"]["id"] == invited["id"]
    await until(lambda: len(client.office.to(email)) == 2)  # the second: the address has changed
    # A code signs in to an account: whoever gets one is on record.
    assert await client.recorded(invited["id"]) == [
        ("create_account", None),
        ("make_code", {"type": "magiclink"}),
        ("make_code", {"type": "email_change_new"}),
    ]
    assert ("make_code", {"type": "signup"}) in await client.recorded("codes")
