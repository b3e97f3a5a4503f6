"""A server process for the clients, and accounts on it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from loadtest.crowd.gathering import connected, sign_in
from loadtest.crowd.player import Player
from loadtest.line.web import Web
from loadtest.measure.tally import Tally
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
async def crowd_of(count: int, url: str) -> AsyncIterator[tuple[Web, list[Player]]]:
    """Bring simulated players together."""
    async with Web(url) as web:
        accounts = await sign_in(web, count, came=lambda _: None)
        async with connected(web, accounts, tally=Tally(), chance=Random(1)) as players:
            yield web, players
