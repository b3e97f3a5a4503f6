"""A guest keeps everything when they link an OpenID provider, and signs in with it from then on.

The server is a real one, and so is the provider, with a database, browser and sockets between them.
"""

import asyncio
import json
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import asyncpg

from server.domains.people.accounts.providers import compute_challenge
from tests.faults.recording import table
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.openid import CLIENT_ID, CLIENT_SECRET, consent, real_provider

TARGET = "http://127.0.0.1:51234/"
VERIFIER = secrets.token_urlsafe(32)


async def test_guest_links_a_provider_and_keeps_id_and_history(
    fresh_dsn: str, serving_dsn: str, tmp_path: Path
) -> None:
    with real_provider() as issuer:
        acme = {
            "id": "acme",
            "name": "Acme",
            "issuer": issuer,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
        }
        gone = {**acme, "id": "gone", "issuer": "http://127.0.0.1:1"}
        node = Node(
            tmp_path,
            serving_dsn,
            oidc_providers=json.dumps([acme, gone]),
            sign_in_redirects=TARGET,
        )
        await asyncio.to_thread(node.start)
        try:
            await _link_and_sign_in(node, fresh_dsn)
        finally:
            node.kill()
    output = "\n".join(node.output)
    assert CLIENT_SECRET not in output
    assert "eyJ" not in output  # how every token begins


async def _link_and_sign_in(node: Node, dsn: str) -> None:
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address, not of a name
    async with aiohttp.ClientSession(node.url, cookie_jar=jar) as web:
        async with web.get("/v1/auth/methods") as reply:
            offer = await reply.json()
        assert offer["methods"] == ["guest", "email", "acme", "gone"]
        assert offer["providers"] == {"acme": "Acme", "gone": "Acme"}

        async with table(lambda: node.url, "relay", humans=2) as [host, guest]:
            await host.act({"type": "end", "scores": {}})
            await guest.see_the_end()
        token, user_id = guest.tokens["access_token"], guest.tokens["user_id"]
        assert (await _get(web, "/v1/me", token))["is_anonymous"]

        code = await _code(web, "acme", sub="grace@acme")
        linked = await _post(web, "/v1/me/methods/acme", token, code=code, verifier=VERIFIER)
        assert [method["kind"] for method in linked["methods"]] == ["acme"]
        links = await _platform_links(dsn, user_id)
        assert list(links) == ["acme"]
        assert "grace" not in json.dumps(links)

        tokens = await _sign_in(web, "grace@acme")
        assert (tokens["user_id"], tokens["player_id"]) == (user_id, guest.player_id)
        me = await _get(web, "/v1/me", tokens["access_token"])
        assert (me["user_id"], me["is_anonymous"]) == (user_id, False)
        history = await _get(web, f"/v1/players/{guest.player_id}/matches", tokens["access_token"])
        assert [match["game_id"] for match in history["matches"]] == [guest.game_id]

        # The only method stays; another account's cannot be linked; a new person is a new account.
        async with web.delete("/v1/me/methods/acme", headers=bearer(token)) as reply:
            assert (await reply.json())["code"] == "last_method"
        other = await _sign_in(web, "linus@acme")
        assert other["user_id"] != user_id
        code = await _code(web, "acme", sub="grace@acme")
        refused = await _post(
            web, "/v1/me/methods/acme", other["access_token"], code=code, verifier=VERIFIER
        )
        assert refused["code"] == "method_taken"

        back = await _start(web, "gone")
        assert back == f"{TARGET}?error=unavailable"


async def _sign_in(web: aiohttp.ClientSession, sub: str) -> Any:
    code = await _code(web, "acme", sub=sub)
    return await _post(web, "/v1/auth/exchange", "", code=code, verifier=VERIFIER)


async def _start(web: aiohttp.ClientSession, provider: str) -> str:
    query = {"redirect": TARGET, "challenge": compute_challenge(VERIFIER)}
    path = f"/v1/auth/{provider}/start"
    async with web.get(path, params=query, allow_redirects=False) as reply:
        assert reply.status == 303, await reply.text()
        return reply.headers["Location"]


async def _code(web: aiohttp.ClientSession, provider: str, *, sub: str) -> str:
    """Go to the provider, agree there, and come back; gives our code."""
    there = await _start(web, provider)
    async with web.get(await consent(there, sub), allow_redirects=False) as reply:
        target = reply.headers["Location"]
    assert target.startswith(TARGET)
    return parse_qs(urlsplit(target).query)["code"][0]


async def _post(web: aiohttp.ClientSession, path: str, token: str, **body: str) -> Any:
    headers = bearer(token) if token else {}
    async with web.post(path, json=body, headers=headers) as reply:
        return await reply.json()


async def _get(web: aiohttp.ClientSession, path: str, token: str) -> Any:
    async with web.get(path, headers=bearer(token)) as reply:
        assert reply.status == 200, await reply.text()
        return await reply.json()


async def _platform_links(dsn: str, user_id: str) -> dict[str, str]:
    owner = await asyncpg.connect(dsn)
    links = await owner.fetchval("SELECT platform_links FROM players WHERE user_id = $1", user_id)
    await owner.close()
    found: dict[str, str] = json.loads(links)
    return found
