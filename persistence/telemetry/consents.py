"""What people decide about each purpose. Whoever decides is who the database takes it for."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple

from persistence.database import Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.ids import UserId
from protocol.telemetry import Purpose

SQL = load_queries("telemetry/consents")


class DecisionPosition(NamedTuple):
    """Where a page of decisions ended."""

    recorded_at: datetime
    purpose: str


class ConsentDecision(NamedTuple):
    """What somebody decided about a purpose, and when."""

    purpose: Purpose
    version: int
    is_granted: bool
    source: Literal["person", "gpc", "merge"]
    policy_version: str
    recorded_at: datetime

    @property
    def position(self) -> DecisionPosition:
        """Where it is in the history."""
        return DecisionPosition(self.recorded_at, self.purpose)


class ConsentStore:
    """Decisions, each a row. A trigger deletes what one of them no longer covers."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    async def read_current(self, requester: Requester) -> dict[Purpose, ConsentDecision]:
        """Read what somebody decided last about each purpose."""
        async with self._rls.as_user(requester) as connection:
            rows = await connection.fetch(SQL["current"], requester.user_id)
        decisions = [ConsentDecision(*row) for row in rows]
        return {each.purpose: each for each in decisions}

    async def record_decisions(
        self, requester: Requester, decided: Mapping[Purpose, bool], *, policy_version: str
    ) -> None:
        """Record decisions, all or none; one that changes nothing is not recorded again."""
        async with self._rls.as_user(requester) as connection:
            for purpose, is_granted in sorted(decided.items()):
                values = (requester.user_id, purpose, is_granted, policy_version)
                await connection.execute(SQL["decide"], *values)

    async def list_decisions(
        self, requester: Requester, *, before: DecisionPosition, limit: int
    ) -> list[ConsentDecision]:
        """Read decisions from before a place, newest first."""
        async with self._rls.as_user(requester) as connection:
            rows = await connection.fetch(SQL["history"], requester.user_id, *before, limit)
        return [ConsentDecision(*row) for row in rows]

    async def record_sharing_refusal(self, account_id: UserId) -> None:
        """Record that somebody's browser says not to share, unless that was decided already."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["refuse_sharing"], account_id)
