"""The proxies of deploy/ in front of two real nodes: all passes, also while nodes restart."""

import asyncio
import io
import json
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import aiohttp
import pytest
from websockets.asyncio.client import connect

from tests.faults.evidence import assert_kept
from tests.faults.playing import hall
from tests.faults.test_redis import connected
from tests.fixtures.node import Node
from tests.fixtures.ports import free_port
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.fixtures.redis import RedisServer
from tests.fixtures.tls import self_signed

DEPLOY = Path(__file__).parents[2] / "deploy"
PROXIES = ("nginx", "caddy")
START_TIMEOUT_S = 30
LEASE_S = 2


@dataclass
class World:
    """Two nodes on ports that they keep, and the database that they share."""

    dsn: str
    nodes: list[Node]
    ports: list[int]
    folder: Path


@dataclass
class Proxy:
    """A running proxy: its address, and the one with TLS if it has one."""

    url: str
    logs: list[Path]
    tls_url: str | None = None


@pytest.fixture(scope="module")
async def world(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    dsn, redis = databases.create(template=TEMPLATE), RedisServer()
    redis.start()
    folder = tmp_path_factory.mktemp("proxies")
    ports = [free_port(), free_port()]
    nodes = [
        Node(
            folder / str(port),
            databases.serving_dsn(dsn),
            port=port,
            redis_url=redis.url,
            trusted_proxies="127.0.0.1",
            lease_s=LEASE_S,
            log_format="json",
        )
        for port in ports
    ]
    try:
        await asyncio.gather(*(asyncio.to_thread(node.start) for node in nodes))
        await connected(nodes)
        yield World(dsn, nodes, ports, folder)
    finally:
        for node in nodes:
            node.kill()
        redis.close()
        databases.drop(dsn)


@contextmanager
def nginx(world: World, folder: Path) -> Iterator[Proxy]:
    """Run nginx with the file of deploy/, in which only names, ports and certificates differ."""
    plain, tls, certificate = free_port(), free_port(), self_signed(folder)
    text = (DEPLOY / "nginx" / "playhall.conf").read_text()
    for wanted, given in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{tls} ssl; listen 127.0.0.1:{plain};"),
        ("127.0.0.1:8081", f"127.0.0.1:{world.ports[0]}"),
        ("127.0.0.1:8082", f"127.0.0.1:{world.ports[1]}"),
        ("/etc/ssl/playhall/fullchain.pem", str(certificate)),
        ("/etc/ssl/playhall/privkey.pem", str(certificate)),
        ("/var/log/nginx/playhall.log", str(folder / "access.log")),
        ("/var/log/nginx/playhall.error.log", str(folder / "error.log")),
    ):
        assert wanted in text, wanted
        text = text.replace(wanted, given)
    (folder / "site.conf").write_text(text)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log stderr warn;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; {paths} include {folder}/site.conf; }}\n"
    )
    process = subprocess.Popen(["nginx", "-e", "stderr", "-p", folder, "-c", folder / "nginx.conf"])
    try:
        logs = [folder / "access.log", folder / "error.log"]
        yield Proxy(f"http://127.0.0.1:{plain}", logs, f"https://127.0.0.1:{tls}")
    finally:
        process.terminate()
        process.wait()


@contextmanager
def caddy(world: World, folder: Path) -> Iterator[Proxy]:
    """Run Caddy with the file of deploy/; without a name there is no certificate."""
    url = f"http://127.0.0.1:{free_port()}"
    environment = {
        **os.environ,
        "PLAYHALL_DOMAIN": url,
        "PLAYHALL_NODES": " ".join(f"127.0.0.1:{port}" for port in world.ports),
        "CADDY_ADMIN": f"127.0.0.1:{free_port()}",
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
    }
    file, log = DEPLOY / "caddy" / "Caddyfile", folder / "caddy.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["caddy", "run", "--config", file, "--adapter", "caddyfile"],
            env=environment,
            stderr=output,
        )
    try:
        yield Proxy(url, [log])
    finally:
        process.terminate()
        process.wait()


def started(name: str, world: World, folder: Path) -> AbstractContextManager[Proxy]:
    if shutil.which(name) is None:
        pytest.skip(f"no {name} here")
    return {"nginx": nginx, "caddy": caddy}[name](world, folder)


@asynccontextmanager
async def running(name: str, world: World, folder: Path) -> AsyncIterator[Proxy]:
    with started(name, world, folder) as proxy:
        async with aiohttp.ClientSession() as web, asyncio.timeout(START_TIMEOUT_S):
            while not await _is_ready(web, proxy.url):
                await asyncio.sleep(0.05)
        yield proxy


async def _is_ready(web: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with web.get(f"{url}/readyz") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


@pytest.mark.parametrize("name", PROXIES)
async def test_requests_and_websockets_pass_and_metrics_do_not(
    name: str, world: World, tmp_path: Path
) -> None:
    async with running(name, world, tmp_path) as proxy, aiohttp.ClientSession(proxy.url) as web:
        async with web.get("/metrics") as answer:
            assert answer.status == 404
        async with web.get("/v1/status") as answer:
            assert answer.status == 200
            assert re.fullmatch(r"[0-9a-f-]{32,36}", answer.headers["X-Request-Id"])
        # The client's address is the proxy's word: without it all would count as one network.
        async with web.post("/v1/auth/guest", json={}) as answer:
            token = (await answer.json())["access_token"]
        async with web.put(
            "/v1/files/blobs/none",
            data=io.BytesIO(b"x" * 2_000_000),
            headers={"Authorization": "Bearer none"},
        ) as answer:
            assert answer.status != 413, "nodes limit bodies, not the proxy"
        address = proxy.url.replace("http", "ws", 1) + "/ws"
        async with connect(address, subprotocols=["playhall.v1"], proxy=None) as line:  # type: ignore[list-item]
            await line.send(json.dumps({"id": 1, "type": "session.hello", "token": token}))
            assert '"re":1' in str(await line.recv())
        if proxy.tls_url is not None:
            trusting = ssl.create_default_context(cafile=str(tmp_path / "certificate.pem"))
            async with web.get(f"{proxy.tls_url}/v1/status", ssl=trusting) as answer:
                assert answer.status == 200


@pytest.mark.parametrize("name", PROXIES)
async def test_no_log_has_what_a_query_holds(name: str, tmp_path: Path) -> None:
    nowhere = World("", [], [free_port(), free_port()], tmp_path)
    path = "/storage/v1/object/sign/notes/plan.pdf"
    headers = {"Referer": "http://127.0.0.1/?code=secret-of-a-page", "apikey": "secret-of-a-header"}
    with started(name, nowhere, tmp_path) as proxy:
        async with aiohttp.ClientSession(headers=headers) as web, asyncio.timeout(START_TIMEOUT_S):
            status = None
            while status is None:
                await asyncio.sleep(0.05)
                with suppress(aiohttp.ClientConnectionError):
                    async with web.get(f"{proxy.url}{path}?token=secret-of-a-url") as answer:
                        status = answer.status
        assert status in (502, 503)  # no node is there, so that this is in the log of errors, too
    said = "\n".join(log.read_text() for log in proxy.logs)
    assert path in said
    assert "secret-of" not in said


@pytest.mark.long("starts nodes again and again")
@pytest.mark.parametrize("name", PROXIES)
async def test_a_rolling_restart_behind_a_proxy_loses_nothing(
    name: str, world: World, tmp_path: Path
) -> None:
    async with (
        running(name, world, tmp_path) as proxy,
        hall(lambda: proxy.url, Random(5), relays=3) as games,
    ):
        async with asyncio.TaskGroup() as group:
            group.create_task(games.play())
            await games.move_on()
            for node in world.nodes:
                assert await asyncio.to_thread(node.stop) == 0
                await games.move_on()
                await asyncio.to_thread(node.start)
                await connected(world.nodes)
                await games.move_on()
            games.enough.set()
        await assert_kept(world.dsn, games.players)
        assert all(player.witness.is_over for player in games.players)
        assert max(player.returns for player in games.players) > 1, "somebody was reconnected"


def test_ports_of_the_files_are_those_of_the_units() -> None:
    text = (DEPLOY / "nginx" / "playhall.conf").read_text()
    ports = re.findall(r"server 127\.0\.0\.1:(\d+) ", text)
    unit = (DEPLOY / "systemd" / "playhall@.service").read_text()
    assert " ".join(f"playhall@{port}" for port in ports) in unit
