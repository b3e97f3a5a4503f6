"""What a server listens on, and the addresses that it tells."""

import asyncio
import json
import socket
from pathlib import Path

import aiohttp
import psycopg
import pytest
from websockets.asyncio.client import connect

from tests.fixtures.node import SECRET_KEYS, Node
from tests.fixtures.shell import playhall

HAS_IPV6 = socket.has_dualstack_ipv6()
needs_ipv6 = pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6")


async def reaches(url: str, **headers: str) -> None:
    """Ask over HTTP and open a websocket."""
    async with aiohttp.ClientSession() as web, web.get(f"{url}/readyz") as answer:
        assert await answer.json() == {"status": "ok"}
    socket_url = url.replace("http", "ws", 1) + "/ws"
    async with connect(socket_url, additional_headers=headers, proxy=None) as opened:
        await opened.send("{}")
        assert json.loads(await opened.recv())["type"] == "error"


def announced(dsn: str) -> str:
    """Read the address that clients are sent to."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT address FROM nodes").fetchone()
        assert row is not None
        return str(row[0])


@needs_ipv6
def test_ipv6_address_is_shown_announced_and_used_in_brackets(
    tmp_path: Path, serving_dsn: str, fresh_dsn: str
) -> None:
    with Node(tmp_path, serving_dsn, host="::1") as node:
        assert node.url.startswith("http://[::1]:")
        assert announced(fresh_dsn) == node.url
        asyncio.run(reaches(node.url, Origin=node.url))
        done = playhall("loadtest", "idle", "--url", node.url, "--connections", 2, "--duration", 1)
        assert done.status == 0, done.said


@needs_ipv6
def test_every_ipv6_address_includes_ipv4_and_the_url_can_be_used(
    tmp_path: Path, serving_dsn: str, fresh_dsn: str
) -> None:
    with Node(tmp_path, serving_dsn, host="::") as node:
        port = node.url.rpartition(":")[2]
        assert node.url == announced(fresh_dsn) == f"http://127.0.0.1:{port}"
        assert any("set PLAYHALL_PUBLIC_URL" in line for line in node.output)
        for host in ("127.0.0.1", "[::1]"):
            asyncio.run(reaches(f"http://{host}:{port}"))


@needs_ipv6
@pytest.mark.parametrize(
    "hosts", ["127.0.0.1,::1", "::1, 127.0.0.1", "0.0.0.0,::", "localhost,::1"]
)
def test_several_addresses_share_one_port(tmp_path: Path, serving_dsn: str, hosts: str) -> None:
    with Node(tmp_path, serving_dsn, host=hosts) as node:
        port = node.url.rpartition(":")[2]
        for host in ("127.0.0.1", "[::1]"):
            asyncio.run(reaches(f"http://{host}:{port}"))


def test_every_ipv4_address_is_told_as_one_that_can_be_used(
    tmp_path: Path, serving_dsn: str, fresh_dsn: str
) -> None:
    with Node(tmp_path, serving_dsn, host="0.0.0.0") as node:
        assert node.url == announced(fresh_dsn)
        assert node.url.startswith("http://127.0.0.1:")
        asyncio.run(reaches(node.url))


@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.1", "127.0.0.1,192.0.2.1"])
def test_address_that_is_not_this_machines_is_refused_with_a_remedy(
    tmp_path: Path, serving_dsn: str, host: str
) -> None:
    settings = {
        "PLAYHALL_HOST": host,
        "PLAYHALL_PORT": "0",
        "PLAYHALL_DATA_DIR": str(tmp_path),
        "PLAYHALL_DATABASE_URL": serving_dsn,
        "PLAYHALL_SECRET_KEYS": SECRET_KEYS,
    }
    done = playhall("serve", environment=settings)
    said = " ".join(done.err.split())
    assert done.status == 1
    assert f"Cannot listen on {host}" in said
    assert "PLAYHALL_HOST" in said
    done.assert_plain()


@needs_ipv6
def test_limits_count_an_ipv4_client_once_whichever_way_it_comes(
    tmp_path: Path, serving_dsn: str
) -> None:
    settings = {"host": "::", "trusted_proxies": "127.0.0.1", "connections_per_address_max": 1}

    async def come(port: str) -> None:
        from_client = {"X-Forwarded-For": "203.0.113.9"}
        url = f"ws://127.0.0.1:{port}/ws"
        async with connect(url, additional_headers=from_client, proxy=None) as first:
            await first.send("{}")
            await first.recv()
            with pytest.raises(Exception, match="503"):
                await connect(
                    url, additional_headers={"X-Forwarded-For": "::ffff:203.0.113.9"}, proxy=None
                )

    with Node(tmp_path, serving_dsn, **settings) as node:
        asyncio.run(come(node.url.rpartition(":")[2]))


def test_public_url_is_announced_without_the_slash_at_its_end(
    tmp_path: Path, serving_dsn: str, fresh_dsn: str
) -> None:
    with Node(tmp_path, serving_dsn, public_url="https://play.example/"):
        assert announced(fresh_dsn) == "https://play.example"


@pytest.mark.parametrize(
    "url",
    [
        *("play.example", "ws://play.example", "//play.example", "https://"),
        *("https://play.example?a=1", "https://play.example/#a", "https://ann@play.example"),
        *("http://::1:8304", "http://play.example:0", "http://play.example:eighty"),
    ],
)
def test_public_url_that_no_path_fits_behind_is_refused(tmp_path: Path, url: str) -> None:
    settings = {"PLAYHALL_PUBLIC_URL": url}
    started = playhall("serve", "--data-dir", tmp_path, environment=settings)
    assert started.status == 1
    assert "PLAYHALL_PUBLIC_URL: write it as https://play.example" in started.err
