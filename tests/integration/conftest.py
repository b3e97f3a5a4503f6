"""What all integration tests share."""

from collections.abc import Iterator

import pytest

from server.core.passwords import HashCost


@pytest.fixture(scope="module", autouse=True)
def _cheap_passwords() -> Iterator[None]:
    """Hash passwords with little memory: what a hash costs, unit and end-to-end tests pay."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("server.core.passwords.COST", HashCost(passes=1, memory_kib=64))
        yield
