"""A server process for the clients, and accounts on it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from loadtest.measure import Counters
from loadtest.simulation.player import Player, connected, sign_in
from playhall.http import Http
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases


@pytest.fixture(scope="session")
def serving_dsn(databases: Databases) -> Iterator[str]:
    dsn = databases.create(template=TEMPLATE)
    yield databases.serving_dsn(dsn)
    databases.drop(dsn)


@pytest.fixture(scope="session")
def node(serving_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with Node(tmp_path_factory.mktemp("node"), serving_dsn, quick_play_wait_s=0.1) as node:
        yield node


@pytest.fixture(scope="session")
def server_url(node: Node) -> str:
    return node.url


@asynccontextmanager
async def players_of(count: int, url: str) -> AsyncIterator[tuple[Http, list[Player]]]:
    """Bring simulated players together."""
    async with Http(url) as http:
        accounts = await sign_in(http, count, on_count=lambda _: None)
        async with connected(http, accounts, counters=Counters(), chance=Random(1)) as players:
            yield http, players
