"""Refusals and failures: counted by transport and code, sent with a true pause, and not noisy.

The alerts that `docs/operations/monitoring.md` recommends are looked up in a real server's metrics.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from math import ceil
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.faults.client_line import Guest, Line, lines, new_guests, until
from tests.fixtures.http import bearer
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases

pytestmark = pytest.mark.xdist_group("refusals")

MONITORING = Path(__file__).parents[2] / "docs" / "operations" / "monitoring.md"
HOST = b"Host: hall\r\n"
POST = b"POST /v1/auth/guest HTTP/1.1\r\n" + HOST
MALFORMED = {
    "garbage": b"garbage\r\n\r\n",
    "binary garbage": b"\x00\x01\x02\r\n\r\n",
    "a bad header name": b"GET / HTTP/1.1\r\n" + HOST + b"Bad Header: x\r\n\r\n",
    "a control character in a header": b"GET / HTTP/1.1\r\n" + HOST + b"X: \x01\r\n\r\n",
    "an unknown version": b"GET / HTTP/9.1\r\n" + HOST + b"\r\n",
    "a bad method": b"G@T / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a bad address": b"GET http://[::1/x HTTP/1.1\r\n" + HOST + b"\r\n",
    "bytes in an address": b"GET /v1/profiles/\xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n",
    "a long header": b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 9000 + b"\r\n\r\n",
    "a length that is no number": POST + b"Content-Length: x\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "a broken chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    "garbage after a good request": b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\nG@RBAGE\r\n\r\n",
}


@pytest.fixture(scope="module")
def dsn(databases: Databases) -> Iterator[str]:
    dsn = databases.create(template=TEMPLATE)
    yield dsn
    databases.drop(dsn)


@pytest.fixture(scope="module")
def node(
    databases: Databases, dsn: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Node]:
    settings = {"log_level": "DEBUG", "commands_per_s": 5, "commands_burst": 10}
    with Node(tmp_path_factory.mktemp("node"), databases.serving_dsn(dsn), **settings) as node:
        yield node


@pytest.fixture
async def guest(node: Node) -> Guest:
    [guest] = await new_guests(node, 1)
    return guest


@pytest.fixture
async def web(node: Node, guest: Guest) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(node.url, headers=bearer(guest.token)) as web:
        yield web


async def _metrics(node: Node) -> dict[str, float]:
    """Read all samples; the labels are part of their names, in order."""
    async with aiohttp.ClientSession(node.url) as web, web.get("/metrics") as answer:
        families = text_string_to_metric_families(await answer.text())
        samples = [
            (f"{sample.name}{sorted(sample.labels.items()) or ''}", sample.value)
            for family in families
            for sample in family.samples
        ]
        metrics = dict(samples)
        assert len(metrics) == len(samples), "a metric is there twice"
        return metrics


def _refusals(metrics: Mapping[str, float], transport: str, code: str) -> float:
    labels = [("code", code), ("transport", transport)]
    return metrics[f"playhall_refusals_total{labels}"]


async def _exchange(node: Node, *parts: bytes) -> bytes:
    """Send bytes, then read until the server closes."""
    host, _, port = node.url.partition("//")[2].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for part in parts:
        writer.write(part)
        await writer.drain()
    async with asyncio.timeout(60):
        answer = await reader.read()
    writer.close()
    return answer


# ------------------------------------------------------------------ malformed requests


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_request_is_refused_and_counted_as_the_clients_error(
    node: Node, name: str
) -> None:
    before = await _metrics(node)
    answer = await _exchange(node, MALFORMED[name])
    head, _, body = answer.rpartition(b"\r\n\r\n")
    assert b" 400 " in head
    assert b'"code":"bad_frame"' in body
    assert b"nosniff" in head
    after = await _metrics(node)
    assert _refusals(after, "http", "bad_frame") == _refusals(before, "http", "bad_frame") + 1
    assert _refusals(after, "http", "internal") == _refusals(before, "http", "internal")


async def test_malformed_requests_are_no_more_than_a_line_each_in_the_log(
    databases: Databases, dsn: str, tmp_path: Path
) -> None:
    node = Node(tmp_path / "node", databases.serving_dsn(dsn), log_level="DEBUG")
    with node:
        for request in MALFORMED.values():
            await _exchange(node, request)

        async def all_logged() -> bool:
            return sum("malformed HTTP" in line for line in node.output) >= len(MALFORMED)

        await until(all_logged)
        assert node.stop() == 0
    logged = [line for line in node.output if "malformed HTTP" in line]
    assert len(logged) == len(MALFORMED)
    assert all(" DEBUG " in line for line in logged)
    assert not any("ERROR" in line or "Traceback" in line for line in node.output)


async def test_client_that_leaves_in_the_middle_of_a_body_is_no_error_of_ours(node: Node) -> None:
    before, lines_before = await _metrics(node), len(node.output)
    host, _, port = node.url.partition("//")[2].partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(POST + b"Content-Length: 50\r\n\r\n{")
    await writer.drain()
    writer.transport.abort()

    async def is_gone() -> bool:
        return (await _metrics(node))["playhall_connections"] <= 1  # the one that asks

    await until(is_gone)
    after = await _metrics(node)
    assert _refusals(after, "http", "internal") == _refusals(before, "http", "internal")
    assert not any("ERROR" in line for line in node.output[lines_before:])


# ------------------------------------------------------------------ metrics and alerts


async def test_failure_over_http_is_counted_where_the_alert_looks(
    node: Node, dsn: str, web: aiohttp.ClientSession
) -> None:
    before = await _metrics(node)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("ALTER TABLE blueprints RENAME TO blueprints_gone")
        try:
            async with web.get("/v1/blueprints") as answer:
                failed = await answer.json()
                assert (answer.status, failed["code"]) == (500, "internal")
        finally:
            await connection.execute("ALTER TABLE blueprints_gone RENAME TO blueprints")
    finally:
        await connection.close()
    after = await _metrics(node)
    assert _refusals(before, "http", "internal") == 0  # so that the first one is an increase
    assert _refusals(after, "http", "internal") == 1
    assert any("ERROR GET /v1/blueprints failed" in line for line in node.output)


async def test_refusals_are_counted_on_both_transports(
    node: Node, guest: Guest, web: aiohttp.ClientSession
) -> None:
    before = await _metrics(node)
    for address in ("/v1/nothing", "/static/nothing.js", "/files/nothing/x"):
        async with web.get(address) as answer:
            assert answer.status == 404
    async with web.delete("/v1/rulesets") as answer:
        assert answer.status == 405
    async with web.get("/v1/lobbies", params={"limit": "0"}) as answer:
        assert answer.status == 422
    upgrade = b"GET /ws HTTP/1.1\r\n" + HOST + b"Upgrade: websocket\r\n\r\n"
    assert b"HTTP/1.1 4" in await _exchange(node, upgrade)
    async with lines(node, [guest]) as [line]:
        assert (await line.call("lobby.list", limit=0))["code"] == "invalid_field"
    after = await _metrics(node)
    grown = {
        (transport, code)
        for transport in ("http", "websocket")
        for code in ("not_found", "file_not_found", "method_not_allowed", "invalid_field")
        if _refusals(after, transport, code) > _refusals(before, transport, code)
    }
    assert grown == {
        ("http", "not_found"),
        ("http", "file_not_found"),
        ("http", "method_not_allowed"),
        ("http", "invalid_field"),
        ("websocket", "invalid_field"),
    }
    assert any(
        name.startswith("playhall_refusals_total") and "http_4" in name and value
        for name, value in after.items()
    )


async def test_every_metric_and_code_that_the_operations_page_names_is_there(node: Node) -> None:
    page = MONITORING.read_text("utf-8")
    metrics = await _metrics(node)
    names = {name.partition("[")[0] for name in metrics}
    named = set(re.findall(r"\b(?:playhall|process)_[a-z_]+[a-z]\b", page))
    of_chains = {name for name in named if name.startswith("playhall_chain_")}
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in names}
    assert named - of_chains - names - families - {"playhall_server"} <= NO_METRICS
    # What alerts look for exists before it first happens.
    codes = {
        code
        for listed in re.findall(r'code=~?"([^"]+)"', page)
        for code in listed.replace("\\", "").split("|")
    }
    assert {"internal", "unavailable", "storage_full"} <= codes
    for code in codes:
        for transport in ("http", "websocket"):
            assert _refusals(metrics, transport, code) >= 0


# Roles and a schema of the database, and a folder; and what has no sample before it happens.
NO_METRICS = {
    "playhall_reply_seconds",  # only with PLAYHALL_SLOW_REPLY_S
    # Only where there is a standby for reads.
    "playhall_replica_lag_seconds",
    "playhall_replica_reads_total",
    "playhall_replica_fallbacks_total",
    "playhall_ruleset_failures_total",  # by ruleset and method, from the first failure on
    # By job, from its first run on.
    "playhall_maintenance_duration_seconds",
    "playhall_maintenance_failed",
    "playhall_maintenance_last_run_timestamp_seconds",
    "playhall_maintenance_rows",
    # By standby, from the first one on.
    "playhall_replication_lag_bytes",
    "playhall_replication_lag_seconds",
    # By statement, from its first call on.
    "playhall_statement_calls",
    "playhall_statement_seconds",
    "playhall_slow_queries_total",
    "playhall_table_bytes",  # from the first reading on
    "playhall_auth",
    "playhall_node",
    "playhall_owner",
    "playhall_server",
}


# ------------------------------------------------------------------ how long to wait


async def test_retry_after_is_as_long_as_the_limit_lasts(web: aiohttp.ClientSession) -> None:
    refused = {"code": "not_confirmed"}
    while refused["code"] == "not_confirmed":
        async with web.delete("/v1/me", json={"confirm": "nobody"}) as answer:
            refused = await answer.json()
    assert (answer.status, refused["code"], refused["retry"]) == (429, "rate_limited", True)
    assert refused["wait_s"] > 1
    assert answer.headers["Retry-After"] == str(ceil(refused["wait_s"]))


async def test_command_that_is_sent_again_after_the_pause_is_granted(
    node: Node, guest: Guest
) -> None:
    async with lines(node, [guest]) as [line]:
        for _ in range(2):
            refused = await _until_limited(line)
            assert refused["retry"] is True
            assert 0 < refused["wait_s"] <= 1  # of five a second
            await asyncio.sleep(refused["wait_s"] + 0.01)
            await line.ok("session.ping")


async def _until_limited(line: Line) -> dict[str, float]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        ids = [await line.say("session.ping") for _ in range(50)]
        replies = [await line.reply(command_id) for command_id in ids]
        for reply in replies:
            if reply["type"] == "error":
                assert reply["code"] == "rate_limited"
                return replies[-1] if replies[-1]["type"] == "error" else reply
    raise AssertionError("no limit was met")
