"""What every HTTP client may expect of every address."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.faults.client_line import new_guests
from tests.fixtures.http import address_of, bearer, operations_of
from tests.fixtures.node import Node
from tests.fixtures.shell import playhall


async def test_wrong_method_is_answered_with_the_right_ones_and_head_is_get_without_body(
    tmp_path: Path, serving_dsn: str
) -> None:
    with Node(tmp_path / "node", serving_dsn) as node:
        async with aiohttp.ClientSession(node.url) as web:
            async with web.delete("/v1/rulesets") as answer:
                assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
                assert (await answer.json())["code"] == "method_not_allowed"
            async with web.get("/v1/rulesets") as whole, web.head("/v1/rulesets") as head:
                assert "Strict-Transport-Security" not in whole.headers
                assert (head.status, await head.read()) == (200, b"")
                assert head.headers["Content-Length"] == whole.headers["Content-Length"]


async def test_settings_say_which_pages_may_ask_and_whose_word_counts(
    tmp_path: Path, serving_dsn: str
) -> None:
    page = {"Origin": "https://play.example"}
    settings = {
        "origins": "https://elsewhere.example, https://play.example",
        "trusted_proxies": "127.0.0.1",
        "guests_per_minute": 1,
        "public_url": "https://play.example",
        "hsts_s": 86_400,
    }
    with Node(tmp_path / "node", serving_dsn, **settings) as node:
        async with aiohttp.ClientSession(node.url) as web:
            for path in ("/", "/v1/rulesets", "/v1/nothing"):
                async with web.get(path) as answer:
                    assert answer.headers["Strict-Transport-Security"] == "max-age=86400"
            preflight = {**page, "Access-Control-Request-Method": "POST"}
            async with web.options("/v1/auth/guest", headers=preflight) as answer:
                assert answer.headers["Access-Control-Allow-Origin"] == page["Origin"]
            for client, status in (
                ("203.0.113.1", 200),
                ("203.0.113.1", 429),
                ("203.0.113.2", 200),
            ):
                headers = {**page, "X-Forwarded-For": f"198.51.100.1, {client}"}
                async with web.post("/v1/auth/guest", json={}, headers=headers) as answer:
                    assert answer.status == status
                    assert answer.headers["Access-Control-Allow-Origin"] == page["Origin"]
                    assert "RateLimit" in answer.headers["Access-Control-Expose-Headers"]
                    assert answer.headers["RateLimit-Policy"] == '"guests";q=1;w=60'
                    assert answer.headers["RateLimit"] == '"guests";r=0;t=60'


@pytest.mark.parametrize("path", ["/ws", "/peerjs/peerjs?key=peerjs&id=ann&token=t"])
async def test_every_websocket_opens_on_a_connection_that_was_used_before(
    tmp_path: Path, serving_dsn: str, path: str
) -> None:
    # One connection is all that a client may have here, so that it is the same one.
    with Node(tmp_path / "node", serving_dsn, connections_per_address_max=1) as node:
        async with aiohttp.ClientSession(node.url) as web:
            async with web.post("/v1/auth/guest", json={}) as answer:
                assert answer.status == 200
                await answer.read()
            async with web.ws_connect(path) as opened:
                await opened.send_str('{"type": "HEARTBEAT"}')
                assert json.loads(await opened.receive_str())["type"] in ("error", "OPEN")


def required_query(operation: dict[str, Any]) -> str:
    """Write a query with what an address cannot be asked without."""
    values = {"client": "1.0.0", "kind": "lore"}
    names = [
        each["name"]
        for each in operation.get("parameters", [])
        if each["in"] == "query" and each.get("required")
    ]
    return "?" + "&".join(f"{name}={values.get(name, 'demo')}" for name in names) if names else ""


async def test_no_answer_is_cached_or_sniffed_unless_it_says_so(
    tmp_path: Path, serving_dsn: str
) -> None:
    with Node(tmp_path / "node", serving_dsn) as node:
        [guest] = await new_guests(node, 1)
        async with aiohttp.ClientSession(node.url) as web:
            _, operations = await operations_of(web)
            succeeded = 0
            tagged = set()
            for method, path, operation in operations:
                address = address_of(path) + required_query(operation)
                for headers in ({}, bearer(guest.token)):
                    for asked in {method, "HEAD" if method == "GET" else method}:
                        body = None if method == "GET" else {}
                        async with web.request(
                            asked, address, json=body, headers=headers
                        ) as answer:
                            await answer.read()
                        place = (asked, path, answer.status)
                        kept = "no-store"
                        if answer.status == 200 and "304" in operation["responses"]:
                            kept = "private, no-cache"
                            tagged.add(
                                (address, answer.headers["ETag"], "Authorization" in headers)
                            )
                        assert answer.headers["Cache-Control"] == kept, place
                        assert answer.headers["X-Content-Type-Options"] == "nosniff", place
                        succeeded += answer.status == 200
            assert succeeded > 50
            assert len({address for address, _, _ in tagged}) >= 6
            for address, tag, is_signed_in in tagged:
                headers = bearer(guest.token) if is_signed_in else {}
                for known, status in ((f'"x", W/{tag}', 304), ('"x"', 200)):
                    unchanged = headers | {"If-None-Match": known}
                    async with web.get(address, headers=unchanged) as answer:
                        assert (answer.status, answer.headers["ETag"]) == (status, tag), address
                        assert bool(await answer.read()) == (status == 200), address
            for path in (
                "/",
                "/docs",
                "/static/start.js",
                "/files/avatars/x",
                "/nothing",
                "/peerjs",
            ):
                async with web.get(path) as answer:
                    assert answer.headers["X-Content-Type-Options"] == "nosniff", path
            for path in ("/ws", "/peerjs/peerjs"):
                async with web.get(path) as answer:
                    assert answer.status >= 400
                    assert answer.headers["X-Content-Type-Options"] == "nosniff", path
                    assert answer.headers["Cache-Control"] == "no-store", path


def test_proxy_that_is_no_address_is_a_sentence(tmp_path: Path) -> None:
    settings = {"PLAYHALL_TRUSTED_PROXIES": "10.0.0.1, proxy.example"}
    started = playhall("serve", "--data-dir", tmp_path, environment=settings)
    assert started.status == 1
    assert "PLAYHALL_TRUSTED_PROXIES: write proxy.example as 10.0.0.7 or" in started.err
