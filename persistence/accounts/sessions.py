"""Sessions as their owners see them, as other nodes hear of their end, and their clearing up."""

from datetime import datetime
from typing import Final, NamedTuple

from persistence.database import Database
from persistence.queries import load_queries
from protocol.ids import SessionId, UserId

SQL = load_queries("accounts/sessions")

LISTED_MAX: Final = 100  # the longest unused sessions of somebody who has more are not listed
ENDED_MAX: Final = 10_000  # of a look; what is over is closed when its token expires


class OwnSession(NamedTuple):
    """A session that can be used; `used_at` is when its tokens were refreshed last."""

    session_id: SessionId
    method: str
    created_at: datetime
    used_at: datetime


class RecentlyEnded(NamedTuple):
    """What ended lately: sessions, by id; who was banned or deactivated, by account."""

    sessions: frozenset[SessionId]
    banned: frozenset[UserId]
    deactivated: frozenset[UserId]


class SessionStore:
    """Sessions in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_sessions(self, user_id: UserId) -> list[OwnSession]:
        """List somebody's sessions, the latest used first."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["list_sessions"], user_id, LISTED_MAX)
        return [OwnSession(*row) for row in rows]

    async def end_session(self, session_id: SessionId, user_id: UserId) -> bool:
        """End a session of somebody's own; False if they have none of this id."""
        async with self._database.acquire() as connection:
            return (
                await connection.fetchrow(SQL["end_own_session"], session_id, user_id) is not None
            )

    async def end_sessions(
        self, user_id: UserId, *, but: SessionId | None = None
    ) -> list[SessionId]:
        """End every session of somebody, or every other; says which."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["end_all_sessions"], user_id, but)
        return [session_id for (session_id,) in rows]

    async def read_recently_ended(self, within_s: float) -> RecentlyEnded:
        """Read what ended within some seconds, by the database's clock."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["ended_lately"], within_s, ENDED_MAX)
        of_kind = {
            kind: frozenset(row["id"] for row in rows if row["kind"] == kind)
            for kind in ("session", "ban", "deactivation")
        }
        return RecentlyEnded(of_kind["session"], of_kind["ban"], of_kind["deactivation"])

    async def forget_tokens(self, *, limit: int) -> int:
        """Delete some refresh tokens that have expired, and the sessions that end with them."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["forget_expired_tokens"], limit))

    async def forget_codes(self, *, limit: int) -> int:
        """Delete some codes that have expired; says how many."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["forget_expired_codes"], limit))
