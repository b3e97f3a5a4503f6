"""Brokers of both kinds, on both event loops that the server may run on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest
import uvloop

from persistence.broker.link import RedisTimeouts
from persistence.broker.memory import MemoryBroker, MemoryHub
from persistence.broker.redis import RedisBroker
from tests.fixtures.redis import RedisServer
from tests.fixtures.tls import self_signed
from tests.integration.broker.nodes import Node, own_keys

# Short, so that a test that waits for a lost connection does not wait long.
QUICK = RedisTimeouts(
    timeout_s=0.5, ping_every_s=0.2, silent_max_s=0.7, retry_base_s=0.02, retry_max_s=0.2
)

MakeNode: TypeAlias = Callable[[], Node]


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """A server that tests leave as it is."""
    server = RedisServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A server that was not started yet, for one test to do with as it likes."""
    server = RedisServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.fixture(params=["memory", "redis"])
async def make_node(request: pytest.FixtureRequest) -> AsyncIterator[MakeNode]:
    """Make nodes that reach each other through one kind of broker; each is started."""
    hub = MemoryHub()
    nodes: list[Node] = []

    def make() -> Node:
        if request.param == "memory":
            node = Node(MemoryBroker(hub, is_whole=True))
        else:
            server: RedisServer = request.getfixturevalue("shared_redis")
            node = Node(RedisBroker(server.url, pace=QUICK, keys=own_keys))
        node.start()
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        await node.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
async def redis_node(redis_server: RedisServer) -> AsyncIterator[MakeNode]:
    """Make nodes on the test's own server; each is started, whether the server is there or not."""
    nodes: list[Node] = []

    def make() -> Node:
        node = Node(RedisBroker(redis_server.url, pace=QUICK, keys=own_keys))
        node.start()
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        await node.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}
