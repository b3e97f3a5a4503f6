"""Reads that may be a little old: from a standby that follows closely, or else from the primary.

Every second, the primary is asked how far its log is, and the standby how far it has replayed it.
Its lag is the age of the newest of the primary's answers that it has reached: measured by one
clock, and it grows as well while the standby receives nothing. While the lag is above its bound,
unknown, or a read has just failed, everything is read from the primary.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import asyncpg

from persistence.database import Connection, Database
from persistence.errors import StartRefused
from persistence.queries import load_queries
from protocol.errors import Overloaded, Unavailable

T = TypeVar("T")

LOOK_EVERY_S: Final = 1.0
MARKS_MAX: Final = 120  # the primary's answers that are kept; what is older is behind in any case

log = logging.getLogger(__name__)
SQL = load_queries("replica")


class ReplicaReads:
    """Chooses where to read. `open_replica` connects to the standby; None where there is none.

    Whoever has it calls `look` every `LOOK_EVERY_S`.
    """

    def __init__(
        self,
        primary: Database,
        *,
        open_replica: Callable[[], Awaitable[Database]] | None = None,
        lag_max_s: float = 0.0,
        now: Callable[[], float],
    ) -> None:
        self._primary = primary
        self._open = open_replica
        self._lag_max_s = lag_max_s
        self._now = now
        self._replica: Database | None = None
        self._marks: deque[tuple[float, int]] = deque(maxlen=MARKS_MAX)
        self._reached_at: float | None = None  # the time of the newest mark that it has reached
        self._was_fresh = False
        self._is_away = False
        self.reads = 0
        self.fallbacks = 0

    @property
    def lag_s(self) -> float:
        """How far the standby is behind; infinite where that is not known."""
        return float("inf") if self._reached_at is None else self._now() - self._reached_at

    @property
    def is_fresh(self) -> bool:
        """Whether the standby is read from."""
        return self._replica is not None and self.lag_s <= self._lag_max_s + LOOK_EVERY_S

    async def read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do a read: on the standby if it is close, and on the primary should that fail."""
        if (replica := self._replica) is not None and self.is_fresh:
            try:
                async with replica.acquire() as connection:
                    found = await work(connection)
            except (Unavailable, Overloaded, asyncpg.PostgresError):  # also a recovery conflict
                self._reached_at = None  # until it has answered again
            else:
                self.reads += 1
                return found
        if self._open is not None:
            self.fallbacks += 1
        async with self._primary.acquire() as connection:
            return await work(connection)

    async def look(self) -> None:
        """Ask both servers once; a standby that does not answer counts as far behind."""
        if self._open is None:
            return
        try:
            if self._replica is None:
                self._replica = await self._open()
            await self._compare(self._replica)
        except (Unavailable, Overloaded, StartRefused, asyncpg.PostgresError) as error:
            self._reached_at = None
            if not self._is_away:
                log.warning("the standby cannot be read, so the primary is: %s", error)
            self._is_away = True
        else:
            self._is_away = False
        if self.is_fresh != self._was_fresh:
            self._was_fresh = self.is_fresh
            log.warning("reading from the standby %s", "begins" if self._was_fresh else "has ended")

    async def close(self) -> None:
        """Close the connections to the standby, if there are any."""
        if self._replica is not None:
            await self._replica.close()

    async def _compare(self, replica: Database) -> None:
        asked_at = self._now()
        async with self._primary.acquire() as connection:
            written = await connection.fetchrow(SQL["written"])
        async with replica.acquire() as connection:
            replayed = await connection.fetchrow(SQL["replayed"])
        assert written is not None
        assert replayed is not None
        if replayed["cluster"] != written["cluster"] or not replayed["is_standby"]:
            raise StartRefused("it is no standby of this primary")
        self._marks.append((asked_at, written["position"]))
        reached = [at for at, position in self._marks if position <= replayed["position"]]
        if reached:
            self._reached_at = reached[-1]
