"""The lease of a node, by a monotonic clock that the tests move."""

from dataclasses import dataclass, field

import pytest

from persistence.database import Database
from persistence.games.store import GameStore, NodeLoad
from server.domains.play.games.node_lease import NodeLease
from tests.fixtures.clocks import PassingClock

LEASE_S = 30


@dataclass
class Passing:
    """A node's lease, and what happened to it."""

    database: Database
    passed_s: float = 1000.0
    answer_s: float = 0.0  # how long the database takes
    was_good: list[bool] = field(default_factory=list)  # whenever the node returned
    lease: NodeLease = field(init=False)

    def __post_init__(self) -> None:
        self.lease = NodeLease(
            _SlowStore(self),
            clock=PassingClock(lambda: self.passed_s),
            lease_s=LEASE_S,
            address=str,
            returned=self.returned,
        )

    async def returned(self) -> None:
        self.was_good.append(self.lease.is_good())


class _SlowStore(GameStore):
    """A real store, whose answers take time by the clock of the test."""

    def __init__(self, passing: Passing) -> None:
        super().__init__(passing.database, node="here")
        self._passing = passing

    async def renew_lease(self, address: str, lease_s: float, load: NodeLoad) -> None:
        await super().renew_lease(address, lease_s, load)
        self._passing.passed_s += self._passing.answer_s


@pytest.fixture
def passing(database: Database) -> Passing:
    return Passing(database)


async def test_node_serves_for_two_thirds_of_its_lease(passing: Passing) -> None:
    assert not passing.lease.is_good()
    await passing.lease.renew()
    passing.passed_s += LEASE_S * 2 / 3 - 0.5
    assert passing.lease.is_good()
    passing.passed_s += 1
    assert not passing.lease.is_good()


async def test_lease_counts_from_before_the_database_was_asked(passing: Passing) -> None:
    passing.answer_s = LEASE_S - 1  # another node may take its games in a second
    await passing.lease.renew()
    assert not passing.lease.is_good()


async def test_node_that_comes_back_lets_go_of_what_was_taken_before_it_serves(
    passing: Passing,
) -> None:
    await passing.lease.renew()
    assert (passing.was_good, passing.lease.losses) == ([False], 0)
    await passing.lease.renew()
    assert len(passing.was_good) == 1  # it was never away
    passing.passed_s += LEASE_S
    await passing.lease.renew()
    assert (passing.was_good, passing.lease.losses) == ([False, False], 1)
    assert passing.lease.is_good()
