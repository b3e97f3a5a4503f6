"""The development login: for this machine alone, and never by mistake."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.shell import playhall

DEV = "/v1/auth/dev"


async def test_anybody_on_this_machine_signs_in_as_anybody(
    serving_dsn: str, tmp_path: Path
) -> None:
    node = Node(tmp_path, serving_dsn, dev_login="1", trusted_proxies="127.0.0.1")
    await asyncio.to_thread(node.start)
    try:
        assert any("PLAYHALL_DEV_LOGIN is set" in line for line in node.output)
        async with aiohttp.ClientSession(node.url) as web:

            async def sign_in(name: str = "ada", **headers: str) -> tuple[int, dict[str, str]]:
                async with web.post(DEV, json={"name": name}, headers=headers) as reply:
                    return reply.status, await reply.json()

            signed_in = await asyncio.gather(*(sign_in() for _ in range(5)))
            assert {status for status, _ in signed_in} == {200}
            assert len({tokens["user_id"] for _, tokens in signed_in}) == 1
            token = signed_in[-1][1]["access_token"]
            async with web.get("/v1/me", headers=bearer(token)) as reply:
                me = await reply.json()
            assert (me["username"], me["is_anonymous"]) == ("ada", True)
            node.grant(me["user_id"], "admin")
            _, admin = await sign_in()
            async with web.get("/v1/admin/audit", headers=bearer(admin["access_token"])) as reply:
                assert reply.status == 200, await reply.text()

            for refused in (
                {"X-Forwarded-For": "127.0.0.1"},
                {"Forwarded": "for=127.0.0.1"},
                {"Host": "play.example.org"},
                {"Host": "127.0.0.1.example.org:8080"},
                {"Origin": "https://evil.example"},
                {"Origin": "null"},
            ):
                status, body = await sign_in(**refused)
                assert (status, body["code"]) == (403, "forbidden"), refused
            assert (await sign_in(Host="localhost:8080"))[0] == 200
            assert (await sign_in(Origin=node.url))[0] == 200
            status, body = await sign_in("admin")
            assert (status, body["code"], body["field"]) == (422, "invalid_field", "name")
    finally:
        node.kill()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"PLAYHALL_HOST": "0.0.0.0"}, "PLAYHALL_HOST is 0.0.0.0"),
        ({"PLAYHALL_HOST": "127.0.0.1, 192.0.2.1"}, "PLAYHALL_HOST is 192.0.2.1"),
        ({"PLAYHALL_HOST": "play.example.org"}, "PLAYHALL_HOST is play.example.org"),
        ({"PLAYHALL_PUBLIC_URL": "https://play.example.org"}, "PLAYHALL_PUBLIC_URL"),
    ],
)
def test_node_that_others_reach_does_not_start_with_it(
    settings: dict[str, str], named: str, serving_dsn: str, tmp_path: Path
) -> None:
    node = Node(tmp_path, serving_dsn, dev_login="1", port="0")
    environment = {**node._environment, **settings}
    started = playhall("serve", environment=environment)
    assert started.status == 1, started.said
    assert named in started.said


async def test_it_is_off_by_default(serving_dsn: str, tmp_path: Path) -> None:
    node = Node(tmp_path, serving_dsn)
    await asyncio.to_thread(node.start)
    try:
        async with (
            aiohttp.ClientSession(node.url) as web,
            web.post(DEV, json={"name": "ada"}) as reply,
        ):
            assert reply.status == 404
    finally:
        node.kill()
