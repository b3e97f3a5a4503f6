"""A node on a fresh database."""

from collections.abc import AsyncIterator

import pytest

from persistence.database import Database
from tests.integration.lobbies.hall import Hall, open_hall


@pytest.fixture
async def hall(database: Database) -> AsyncIterator[Hall]:
    async with open_hall(database) as hall:
        yield hall
