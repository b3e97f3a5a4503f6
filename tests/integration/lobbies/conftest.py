"""A node on a fresh database."""

from collections.abc import AsyncIterator

import pytest

from persistence.behalf import Behalf
from persistence.database import Database
from tests.integration.lobbies.hall import Hall, open_hall


@pytest.fixture
async def hall(database: Database, behalf: Behalf) -> AsyncIterator[Hall]:
    async with open_hall(database, behalf) as hall:
        yield hall
