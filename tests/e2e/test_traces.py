"""Traces and logs of two real nodes: one move is one trace, and lines name what caused them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from server.ops.observability import tracing
from tests.faults.recording import Player, table
from tests.faults.test_redis import connected, metric
from tests.fixtures.collector import Collector, SpanSeen, collecting
from tests.fixtures.node import Node
from tests.fixtures.ports import free_port
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.fixtures.redis import RedisServer
from tests.fixtures.shell import playhall

RULESETS = Path(__file__).parent / "rulesets"


@dataclass
class World:
    """Two nodes that share a database and a Redis, and what collects their traces."""

    nodes: list[Node]
    collector: Collector
    names: dict[str, Node]

    def lines(self) -> list[dict[str, Any]]:
        return [
            json.loads(line) for node in self.nodes for line in node.output if line.startswith("{")
        ]


@pytest.fixture(scope="module")
async def world(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    dsn = databases.create(template=TEMPLATE)
    redis = RedisServer()
    redis.start()
    folder = tmp_path_factory.mktemp("traces")
    async with collecting() as collector:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
            nodes = [
                Node(
                    folder / name,
                    databases.serving_dsn(dsn),
                    redis_url=redis.url,
                    otlp_url=collector.url,
                    traces_sampled=1,
                    log_format="json",
                    rulesets_path=RULESETS,
                    spread_games=False,
                )
                for name in "ab"
            ]
        try:
            await asyncio.gather(*(asyncio.to_thread(node.start) for node in nodes))
            await connected(nodes)
            names = {(node.folder / "node").read_text().strip(): node for node in nodes}
            yield World(nodes, collector, names)
        finally:
            for node in nodes:
                node.kill()
            redis.close()
            databases.drop(dsn)


def of_the_game(player: Player, name: str) -> Any:
    def accept(span: SpanSeen) -> bool:
        return span.name == name and span.attributes.get("playhall.game_id") == player.game_id

    return accept


async def test_a_move_is_one_trace_from_the_socket_over_the_owner_to_the_viewers(
    world: World,
) -> None:
    owner, other = world.nodes
    turn = iter((owner, owner, other, other))
    async with table(lambda: next(turn).url, "relay", humans=2) as (host, guest):
        assert await metric(owner, "playhall_games") == 1
        reply = await guest.act({"n": 1})
        for player in (host, guest):
            await player.see(reply["event_index"])
        (move,) = await world.collector.find(of_the_game(guest, "game.act"))
        await world.collector.find(lambda s: s.trace_id == move.trace_id, count=7)

    trace = world.collector.trace(move.trace_id)
    by_id = {span.span_id: span for span in trace}
    path = [(span.name, world.names[span.node]) for span in trace]
    assert sorted(path, key=str) == sorted(
        [
            ("game.act", other),
            ("ask game.act", other),
            ("answer game.act", owner),
            ("game.decide", owner),
            ("game.commit", owner),
            ("game.deliver", owner),
            ("game.deliver", other),
        ],
        key=str,
    )
    parents = {
        (span.name, world.names[span.node]): (
            by_id[span.parent_id].name,
            world.names[by_id[span.parent_id].node],
        )
        for span in trace
        if span.parent_id
    }
    assert parents == {
        ("ask game.act", other): ("game.act", other),
        ("answer game.act", owner): ("ask game.act", other),
        ("game.decide", owner): ("answer game.act", owner),
        ("game.commit", owner): ("answer game.act", owner),
        ("game.deliver", owner): ("game.commit", owner),
        ("game.deliver", other): ("game.deliver", owner),
    }
    commit, *_ = (span for span in trace if span.name == "game.commit")
    delivered = [span for span in trace if span.name == "game.deliver"]
    assert all(span.began_ns >= commit.ended_ns for span in delivered), "shown before it was stored"
    assert move.ended_ns >= max(span.began_ns for span in delivered), "answered before it was shown"
    assert not any(span.is_error for span in trace)


async def test_a_move_on_its_owner_ends_with_the_reply_after_the_commit(world: World) -> None:
    node = world.nodes[0]
    async with table(lambda: node.url, "relay", humans=1) as (player,):
        await player.act({"n": 1})
        (move,) = await world.collector.find(of_the_game(player, "game.act"))
        await world.collector.find(lambda s: s.trace_id == move.trace_id, count=4)
    trace = {span.name: span for span in world.collector.trace(move.trace_id)}
    assert set(trace) == {"game.act", "game.decide", "game.commit", "game.deliver"}
    assert trace["game.commit"].parent_id == move.span_id
    assert trace["game.deliver"].parent_id == trace["game.commit"].span_id
    assert move.ended_ns >= trace["game.commit"].ended_ns


async def test_a_request_is_traced_under_its_route_whatever_the_client_asks_for(
    world: World,
) -> None:
    theirs = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with (
        aiohttp.ClientSession(headers={"traceparent": theirs}) as web,
        web.get(f"{world.nodes[0].url}/v1/games/no-such-game") as answer,
    ):
        assert answer.status in (401, 404, 422)
    (span,) = await world.collector.find(lambda each: each.name == "GET /v1/games/{game_id}")
    assert span.attributes["http.response.status_code"] == answer.status
    assert not span.is_error
    assert span.trace_id not in theirs


async def test_a_line_of_the_log_names_game_request_and_trace(world: World) -> None:
    node = world.nodes[0]
    async with table(lambda: node.url, "brittle", humans=1) as (player,):
        refused = await player.act({"type": "parse"})
        assert refused["code"] == "internal"
    async with asyncio.timeout(10):
        while not (found := [e for e in world.lines() if "brittle failed" in e["message"]]):
            await asyncio.sleep(0.05)
    (line,) = found
    assert line["level"] == "ERROR"
    assert line["game_id"] == player.game_id
    assert line["command"] == "game.act"
    assert line["request_id"]
    assert "ZeroDivisionError" in line["exception"]
    assert world.names[line["node"]] is node
    (move,) = await world.collector.find(of_the_game(player, "game.act"))
    assert line["trace_id"] == move.trace_id
    assert move.is_error
    assert move.attributes["error.type"] == "internal"


async def test_an_answer_has_the_id_that_the_proxy_or_the_server_gave(world: World) -> None:
    async with aiohttp.ClientSession(world.nodes[0].url) as web:

        async def id_of(**headers: str) -> str:
            async with web.get("/v1/status", headers=headers) as answer:
                return answer.headers["X-Request-Id"]

        assert await id_of(**{"X-Request-Id": "from.the-proxy_1"}) == "from.the-proxy_1"
        for proposed in ("", "with space", "x" * 65):
            assert await id_of(**{"X-Request-Id": proposed}) not in ("", proposed)
        assert await id_of() != await id_of()


def test_a_collector_that_is_no_address_is_refused(tmp_path: Path) -> None:
    environment = {"PLAYHALL_DATA_DIR": str(tmp_path), "PLAYHALL_OTLP_URL": "localhost:4317"}
    refused = playhall("serve", environment=environment)
    assert refused.status != 0
    assert "PLAYHALL_OTLP_URL: write it as http://127.0.0.1:4318" in refused.said


async def test_a_collector_that_is_away_is_mentioned_once_and_holds_nothing_up(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "EXPORT_TIMEOUT_S", 0.3)
    provider = tracing.build_provider(f"http://127.0.0.1:{free_port()}", node="here")
    tracer = provider.get_tracer("test")
    for _ in range(3):
        tracer.start_span("a span").end()
        await asyncio.to_thread(provider.force_flush)
    began_at = time.monotonic()
    await tracing.shut_down(provider)
    assert time.monotonic() - began_at < tracing.STOP_TIMEOUT_S
    said = [record.getMessage() for record in caplog.records if record.levelname != "DEBUG"]
    assert len(said) == 1, said
    assert "takes no traces" in said[0]
