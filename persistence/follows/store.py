"""Follows, blocks and mutes as they are stored. Whoever asks is who the database takes it for."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple

import asyncpg

from persistence.database import Connection
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.errors import InvalidField
from protocol.follows import FOLLOWS_MAX, PersonNotFound, TooManyTies
from protocol.ids import PlayerId, UserId

SQL = load_queries("follows/store")
_CHANGES: Final = {
    ("block", True): SQL["block"],
    ("block", False): SQL["unblock"],
    ("mute", True): SQL["mute"],
    ("mute", False): SQL["unmute"],
}
_COUNTS: Final = {"block": SQL["count_blocks"], "mute": SQL["count_mutes"]}
_LISTS: Final = {
    "followers": SQL["list_followers"],
    "following": SQL["list_following"],
    "blocks": SQL["list_blocks"],
    "mutes": SQL["list_mutes"],
}


class TiePlace(NamedTuple):
    """Where a page of people begins: after the one with this time and id."""

    at: datetime
    user_id: UserId


class StoredTies(NamedTuple):
    """What there is between two people, as the first one may know."""

    user_id: UserId
    is_following: bool
    notify_creations: bool
    is_followed_by: bool
    is_blocked: bool
    is_muted: bool


NEWEST: Final = TiePlace(
    datetime.max.replace(tzinfo=UTC), UserId("ffffffff-ffff-ffff-ffff-ffffffffffff")
)


class FollowStore:
    """Follows, blocks and mutes in PostgreSQL, under row level security."""

    def __init__(self, rls: RlsDatabase) -> None:
        self._rls = rls

    async def follow(self, who: Requester, person: UserId, *, notify: bool) -> StoredTies:
        """Follow a person; raise `PersonNotFound` or `TooManyTies`."""
        pair = (who.user_id, person)
        async with self._rls.as_user(who) as connection:
            with _refused():
                if await connection.fetchval(SQL["follow"], *pair):
                    count = await connection.fetchval(SQL["count_follows"], who.user_id)
                    if count > FOLLOWS_MAX:
                        raise TooManyTies
            await connection.execute(SQL["set_notify"], *pair, notify)
            return await _ties(connection, *pair)

    async def unfollow(self, who: Requester, person: UserId) -> StoredTies:
        """Stop following a person."""
        pair = (who.user_id, person)
        async with self._rls.as_user(who) as connection:
            await connection.fetchval(SQL["unfollow"], *pair)
            return await _ties(connection, *pair)

    async def set_tie(
        self, who: Requester, person: UserId, kind: Literal["block", "mute"], *, is_set: bool
    ) -> StoredTies:
        """Block or mute a person, or stop that; raise `PersonNotFound` or `TooManyTies`."""
        pair = (who.user_id, person)
        async with self._rls.as_user(who) as connection:
            with _refused():
                await connection.execute(_CHANGES[kind, is_set], *pair)
            if is_set:
                count = await connection.fetchval(_COUNTS[kind], who.user_id)
                if count > FOLLOWS_MAX:
                    raise TooManyTies
            return await _ties(connection, *pair)

    async def read_ties(self, who: Requester, person: UserId) -> StoredTies:
        """Read what there is between somebody and a person; raise `PersonNotFound`."""
        async with self._rls.as_user(who) as connection:
            ties = await _ties(connection, who.user_id, person)
            if not ties.is_blocked and not await connection.fetchval(SQL["may_see"], person):
                raise PersonNotFound
            return ties

    async def list_people(
        self,
        who: Requester | None,
        person: UserId,
        which: Literal["followers", "following"],
        *,
        after: TiePlace,
        limit: int,
    ) -> list[asyncpg.Record]:
        """List who follows a person, or whom they follow; raise `PersonNotFound`."""
        async with self._rls.as_user(who) as connection:
            if not await connection.fetchval(SQL["may_see"], person):
                raise PersonNotFound
            return list(await connection.fetch(_LISTS[which], person, *after, limit))

    async def list_followed_players(self, who: Requester, *, limit: int) -> list[PlayerId]:
        """List the players whom somebody follows, the newest first."""
        async with self._rls.as_user(who) as connection:
            rows = await connection.fetch(SQL["followed_players"], who.user_id, limit)
        return [row["id"] for row in rows]

    async def list_own(
        self, who: Requester, which: Literal["blocks", "mutes"], *, after: TiePlace, limit: int
    ) -> list[asyncpg.Record]:
        """List whom somebody blocks or mutes."""
        async with self._rls.as_user(who) as connection:
            return list(await connection.fetch(_LISTS[which], who.user_id, *after, limit))


async def _ties(connection: Connection, user_id: UserId, person: UserId) -> StoredTies:
    row = await connection.fetchrow(SQL["read_ties"], user_id, person)
    assert row is not None
    return StoredTies(*row)


@contextmanager
def _refused() -> Iterator[None]:
    """Turn what the database refuses of a tie into errors of the protocol."""
    try:
        yield
    except asyncpg.ForeignKeyViolationError:
        raise PersonNotFound from None
    except asyncpg.CheckViolationError as error:
        if str(error.constraint_name).endswith("_another"):
            raise InvalidField("user_id: name another person.", field="user_id") from None
        raise
