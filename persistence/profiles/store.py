"""Profiles as their owners change them and as others see them: row level security decides."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg
import orjson

from persistence.database import Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.errors import InvalidField, UsernameTaken, UsernameTooSoon
from protocol.ids import UUID_PATTERN, PlayerId, UserId

SQL = load_queries("profiles/store")


class StoredProfile(NamedTuple):
    """The public profile of an account."""

    user_id: UserId
    player_id: PlayerId
    username: str
    display_name: str
    avatar_seed: str
    color: str
    xp_total: int
    created_at: datetime
    arcanean_id: str
    tier: str
    avatar_url: str | None
    bio: str | None
    creation_count: int
    follower_count: int
    following_count: int
    is_verified: bool


class ListedPlace(NamedTuple):
    """Where a page of people begins: after the one with this id, and these followers or time."""

    value: int | datetime
    user_id: UserId


class StoredPerson(NamedTuple):
    """A person on a list; `is_similar`: the names are only nearly what was looked for."""

    user_id: UserId
    username: str
    display_name: str | None
    avatar_url: str | None
    bio: str | None
    arcanean_id: str
    tier: str
    is_verified: bool
    creation_count: int
    follower_count: int
    following_count: int
    created_at: datetime
    is_similar: bool


class ProfileStore:
    """Profiles in PostgreSQL, as whoever asks."""

    def __init__(self, rls: RlsDatabase, database: Database) -> None:
        self._rls = rls
        self._database = database

    async def find(self, name: str, requester: Requester | None) -> StoredProfile | None:
        """Read a profile by its account's id, its player's or its username."""
        user_id = name if re.match(UUID_PATTERN, name) else None
        async with self._rls.as_user(requester) as connection:
            record = await connection.fetchrow(SQL["find_profile"], user_id, name)
        return None if record is None else StoredProfile(*record)

    async def is_taken(self, username: str) -> bool:
        """Say whether somebody has a username."""
        async with self._database.acquire() as connection:
            return bool(await connection.fetchval(SQL["is_username_taken"], username))

    async def list_people(
        self,
        who: Requester | None,
        *,
        query: str | None,
        sort: str,
        after: ListedPlace | None,
        limit: int,
    ) -> list[StoredPerson]:
        """List people whom somebody may see, by followers or newest first."""
        below = after.value if after is not None and isinstance(after.value, int) else None
        before = after.value if after is not None and isinstance(after.value, datetime) else None
        place = (below, before, None if after is None else after.user_id)
        async with self._rls.as_user(who) as connection:
            rows = await connection.fetch(SQL["list_people"], query, sort, limit, *place)
        return [StoredPerson(*row) for row in rows]

    async def update_profile(
        self,
        who: Requester,
        *,
        display_name: str | None,
        username: str | None,
        color: str | None,
        avatar_seed: str | None,
        preferences: dict[str, Any] | None,
        avatar_url: str | None = None,
        bio: str | None = None,
        onboarding_completed: bool | None = None,
        onboarding_step: int | None = None,
    ) -> None:
        """Change what is given, all of it or nothing; raise `UsernameTaken`, `UsernameTooSoon`."""
        with _refusals():
            async with self._rls.as_user(who) as connection:
                if username is not None:
                    await connection.execute(SQL["set_username"], who.user_id, username)
                if display_name is not None:
                    await connection.execute(SQL["set_display_name"], who.user_id, display_name)
                if color is not None or avatar_seed is not None:
                    await connection.execute(SQL["set_look"], who.user_id, color, avatar_seed)
                if avatar_url is not None or bio is not None:
                    await connection.execute(SQL["set_about"], who.user_id, avatar_url, bio)
                # Each alone: whoever writes these may not read them, so none can stay as it is.
                if onboarding_completed is not None:
                    query = SQL["set_onboarding_completed"]
                    await connection.execute(query, who.user_id, onboarding_completed)
                if onboarding_step is not None:
                    query = SQL["set_onboarding_step"]
                    await connection.execute(query, who.user_id, onboarding_step)
                if preferences is not None:
                    written = orjson.dumps(preferences)
                    await connection.execute(SQL["set_preferences"], who.user_id, written)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        raise UsernameTaken(field="username") from error
    except asyncpg.CheckViolationError as error:
        constraint = error.constraint_name or ""
        if constraint.endswith("_not_reserved"):
            raise InvalidField("This name is reserved for the operators of the server.") from error
        if constraint != "profiles_username_seldom":
            raise
        raise UsernameTooSoon(error.detail) from error
