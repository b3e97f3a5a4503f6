"""A stage on a fresh database."""

import pytest

from persistence.behalf import Behalf
from persistence.database import Database
from tests.integration.epochs.stage import Stage


@pytest.fixture
def stage(database: Database, behalf: Behalf) -> Stage:
    return Stage(database, behalf)
