"""One database for each file of tests about the social platform."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.fixtures.postgres import TEMPLATE, Databases
from tests.integration.social.world import World, populate


@pytest.fixture(scope="module")
async def world(databases: Databases) -> AsyncIterator[World]:
    """A migrated database with Ada, Bob, Eve, whom Ada blocks, and one who is not active."""
    dsn = databases.create(template=TEMPLATE)
    owner = await asyncpg.connect(dsn)
    world = World(dsn, owner)
    await populate(world)
    yield world
    await owner.close()
    databases.drop(dsn)
