"""A server process for the clients, and accounts on it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from loadtest.measure import Counters
from loadtest.simulation.player import SimulatedPlayer, connected_players, sign_in_guests
from playhall.http import HttpClient
from tests.fixtures.node import Node
from tests.fixtures.postgres import TEMPLATE, Databases


@pytest.fixture(scope="package")
def serving_dsn(databases: Databases) -> Iterator[str]:
    dsn = databases.create(template=TEMPLATE)
    yield databases.serving_dsn(dsn)
    databases.drop(dsn)


@pytest.fixture(scope="package")
def node(serving_dsn: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with Node(tmp_path_factory.mktemp("node"), serving_dsn, quick_play_wait_s=0.1) as node:
        yield node


@pytest.fixture(scope="package")
def server_url(node: Node) -> str:
    return node.url


@asynccontextmanager
async def players_of(
    count: int, url: str
) -> AsyncIterator[tuple[HttpClient, list[SimulatedPlayer]]]:
    """Bring simulated players together."""
    async with HttpClient(url) as http:
        accounts = await sign_in_guests(http, count, on_count=lambda _: None)
        async with connected_players(
            http, accounts, counters=Counters(), chance=Random(1)
        ) as players:
            yield http, players
