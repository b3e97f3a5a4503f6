"""A stage on a fresh database, and whole nodes: one for a test, and one for a file."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from persistence.database import Database
from persistence.rls import RlsDatabase
from tests.fixtures.postgres import TEMPLATE, Databases
from tests.integration.epochs.served import Served, serving
from tests.integration.epochs.stage import Stage


@pytest.fixture
def stage(database: Database, rls: RlsDatabase) -> Stage:
    return Stage(database, rls)


@pytest.fixture
async def served(fresh_dsn: str, tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(fresh_dsn, tmp_path) as served:
        yield served


@pytest.fixture(scope="module")
async def live(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Served]:
    """A node on which a day is live for all tests of a file."""
    dsn = databases.create(template=TEMPLATE)
    async with serving(dsn, tmp_path_factory.mktemp("live")) as served:
        await served.stage.open()
        yield served
    databases.drop(dsn)
