"""A node on a fresh database."""

from collections.abc import AsyncIterator

import pytest

from persistence.database import Database
from persistence.rls import RlsDatabase
from tests.integration.lobbies.hall import Hall, open_hall


@pytest.fixture
async def hall(database: Database, rls: RlsDatabase) -> AsyncIterator[Hall]:
    async with open_hall(database, rls) as hall:
        yield hall
