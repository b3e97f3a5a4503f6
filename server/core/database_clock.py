"""Keeps a node's clock with the database's, so that all nodes have one time.

Deadlines, expiries and the times in logs are written by one node and compared by another, or by the
database. So `Clock` gives the database's time: the machine's own, and what that differs by. It is
asked at the start, before anything is served, and then again and again.

The answer is of some moment between the question and its arrival, so it says no more than two
bounds. A difference within them stays as it is; any other is moved to the nearer one. So a slow
answer changes nothing, and time does not shake with every answer.

Must not know: what anybody does at which time.
"""

from typing import Final

from persistence.clock import read_database_clock
from persistence.database import Database
from server.core.clock import Clock
from server.core.periodic import repeat_every

FOLLOW_EVERY_S: Final = 5.0


class DatabaseClock:
    """Has a clock follow the database's."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def follow_once(self) -> None:
        """Ask the database, and correct the clock if it is not within what the answer allows."""
        asked_ms = self._clock.machine_ms()
        there_ms = await read_database_clock(self._database)
        self._clock.bound_difference(there_ms - self._clock.machine_ms(), there_ms - asked_ms)

    async def run(self) -> None:
        """Follow it, until cancelled."""
        await repeat_every(FOLLOW_EVERY_S, self.follow_once, "following the database's clock")

    def ahead_s(self) -> float:
        """Say by how much the machine's clock is ahead of the database's."""
        return -self._clock.difference_ms / 1000
