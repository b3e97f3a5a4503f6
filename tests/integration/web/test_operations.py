"""Health, readiness, metrics and the documents over a real port."""

from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from protocol.errors import Overloaded, Unavailable
from server.ops import http
from tests.integration.web.site import VERSION, Site


async def _get(client: aiohttp.ClientSession, path: str) -> tuple[int, Any]:
    async with client.get(path) as reply:
        return reply.status, await reply.json()


async def _metrics(client: aiohttp.ClientSession) -> dict[str, Any]:
    async with client.get("/metrics") as reply:
        assert reply.content_type == "text/plain"
        families = text_string_to_metric_families(await reply.text())
        return {s.name + str(s.labels or ""): s.value for f in families for s in f.samples}


async def test_a_living_server_says_so(client: aiohttp.ClientSession) -> None:
    assert await _get(client, "/healthz") == (200, {"status": "ok"})
    assert await _get(client, "/readyz") == (200, {"status": "ok"})


@pytest.mark.parametrize("failure", [Unavailable(), Overloaded()])
async def test_without_a_database_it_is_alive_and_not_ready(
    client: aiohttp.ClientSession, site: Site, failure: Unavailable | Overloaded
) -> None:
    site.database = failure
    status, error = await _get(client, "/readyz")
    assert (status, error["code"], error["field"]) == (503, "unavailable", "database")
    assert (await _get(client, "/healthz"))[0] == 200


async def test_database_that_hangs_is_not_waited_for(
    client: aiohttp.ClientSession, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "PROBE_TIMEOUT_S", 0.05)
    site.hangs = True
    status, error = await _get(client, "/readyz")
    assert (status, error["code"], error["field"]) == (503, "unavailable", "database")


async def test_draining_server_is_not_ready(client: aiohttp.ClientSession, site: Site) -> None:
    site.draining = True
    status, error = await _get(client, "/readyz")
    assert (status, error["code"], error["field"]) == (503, "going_away", "server")


async def test_status_counts_without_names(client: aiohttp.ClientSession) -> None:
    status, body = await _get(client, "/v1/status")
    assert status == 200
    assert (body["version"], body["connections"], body["games"]) == (VERSION, 1234, 56)


async def test_metrics_are_read_when_scraped(client: aiohttp.ClientSession, site: Site) -> None:
    first = await _metrics(client)
    assert first["playhall_connections"] == 3
    assert first["playhall_bytes_out_total"] == 8
    site.log.count_batch(40, 0.003)
    site.log.count_batch(2, 9.0)
    site.refusals = {("http", "rate_limited"): 3}
    second = await _metrics(client)
    assert second["playhall_events_committed_total"] == 42
    assert second["playhall_refusals_total{'code': 'rate_limited', 'transport': 'http'}"] == 3
    latency = "playhall_commit_latency_seconds"
    assert second[f"{latency}_bucket{{'le': '0.002'}}"] == 0
    assert second[f"{latency}_bucket{{'le': '0.004'}}"] == 1
    assert second[f"{latency}_bucket{{'le': '+Inf'}}"] == 2
    assert second[f"{latency}_count"] == 2
    assert second[f"{latency}_sum"] == pytest.approx(9.003)


async def test_metrics_include_the_process(client: aiohttp.ClientSession) -> None:
    values = await _metrics(client)
    assert values["process_resident_memory_bytes"] > 0
    assert values["process_cpu_seconds_total"] > 0


async def test_documents_are_served(client: aiohttp.ClientSession) -> None:
    _, http = await _get(client, "/openapi.json")
    _, websocket = await _get(client, "/asyncapi.json")
    assert (http["openapi"], http["info"]["version"]) == ("3.1.0", VERSION)
    assert "/openapi.json" in http["paths"]
    assert (websocket["asyncapi"], websocket["info"]["version"]) == ("3.0.0", VERSION)


@pytest.mark.parametrize("address", ["/openapi.json", "/asyncapi.json"])
async def test_documents_are_compressed_for_those_who_take_it(
    client: aiohttp.ClientSession, address: str
) -> None:
    said = {}
    for accepted in ("gzip", "identity"):
        async with client.get(address, headers={"Accept-Encoding": accepted}) as answer:
            assert answer.headers["Vary"] == "Accept-Encoding"
            said[answer.headers.get("Content-Encoding")] = await answer.read()
    assert said.keys() == {"gzip", None}
    assert said["gzip"] == said[None]
