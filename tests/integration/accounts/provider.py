"""Discord as far as signing in goes: a real OAuth 2.0 provider with PKCE, on a port of its own."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from aiohttp import web

from server.domains.people.accounts.providers import compute_challenge

CLIENT_ID, CLIENT_SECRET = "hall", "hall's secret"


@dataclass
class Provider:
    """Who is signed in there, and what it has given out; a code works once."""

    person: dict[str, Any]
    url: str = ""
    is_broken: bool = False
    _codes: dict[str, tuple[str, str, dict[str, Any]]] = field(default_factory=dict)
    _tokens: dict[str, dict[str, Any]] = field(default_factory=dict)

    def consent(self, authorize_url: str) -> str:
        """Agree, as a person does: gives where the browser is sent back to."""
        query = self._asked(authorize_url)
        code = secrets.token_urlsafe(16)
        self._codes[code] = query["redirect_uri"], query["code_challenge"], dict(self.person)
        back = urlencode({"code": code, "state": query["state"]})
        return f"{query['redirect_uri']}?{back}"

    def deny(self, authorize_url: str) -> str:
        """Refuse."""
        query = self._asked(authorize_url)
        back = urlencode({"error": "access_denied", "state": query["state"]})
        return f"{query['redirect_uri']}?{back}"

    def _asked(self, authorize_url: str) -> dict[str, str]:
        parts = urlsplit(authorize_url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert authorize_url.startswith(f"{self.url}/oauth2/authorize?")
        assert (query["response_type"], query["client_id"]) == ("code", CLIENT_ID)
        assert query["code_challenge_method"] == "S256"
        return query

    async def trade(self, request: web.Request) -> web.Response:
        form = await request.post()
        if self.is_broken:
            return web.Response(status=502, text="<html>")
        made_for = self._codes.pop(str(form["code"]), None)
        secret = (form["client_id"], form["client_secret"])
        if made_for is None or secret != (CLIENT_ID, CLIENT_SECRET):
            return web.json_response({"error": "invalid_grant"}, status=400)
        redirect, challenge, person = made_for
        if (redirect, challenge) != (
            form["redirect_uri"],
            compute_challenge(str(form["code_verifier"])),
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        token = secrets.token_urlsafe(16)
        self._tokens[token] = person
        return web.json_response({"access_token": token, "token_type": "Bearer"})

    async def me(self, request: web.Request) -> web.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        return web.json_response(self._tokens[token])


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    """Run one."""
    discord = Provider({"id": str(secrets.randbits(60)), "username": "ann", "global_name": "Ann"})
    app = web.Application()
    app.router.add_post("/api/oauth2/token", discord.trade)
    app.router.add_get("/api/users/@me", discord.me)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    discord.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield discord
    finally:
        await runner.cleanup()
