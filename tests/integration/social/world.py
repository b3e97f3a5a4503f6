"""A database with people who know, follow and block each other, and how to act as one of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

import asyncpg

ADA: Final = UUID("00000000-0000-4000-8000-0000000000a1")
BOB: Final = UUID("00000000-0000-4000-8000-0000000000b1")
EVE: Final = UUID("00000000-0000-4000-8000-0000000000e1")  # blocked by Ada
OLD: Final = UUID("00000000-0000-4000-8000-0000000000f1")  # not active
LUMINA: Final = UUID("00000000-0000-4000-8000-0000000000c1")


class World:
    """A migrated database; `owner` is its superuser's connection."""

    def __init__(self, dsn: str, owner: asyncpg.Connection) -> None:
        self.dsn = dsn
        self.owner = owner

    async def add_person(self, person: UUID, name: str) -> None:
        await self.owner.execute("INSERT INTO auth.users (id) VALUES ($1)", person)
        await self.owner.execute(
            "INSERT INTO profiles (id, username, display_name) VALUES ($1, $2, initcap($2))",
            person,
            name,
        )
        await self.owner.execute(
            "INSERT INTO players (user_id, display_name, avatar_seed, color)"
            " VALUES ($1::uuid::text, initcap($2), '', '')",
            person,
            name,
        )

    async def add_creation(self, person: UUID, title: str = "A lake", **columns: object) -> UUID:
        """Add a creation, published unless `columns` say otherwise."""
        row = {"user_id": person, "title": title, "type": "image"} | columns
        row = {"status": "published", "is_public": True} | row
        names = ", ".join(row)
        places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
        return await self.owner.fetchval(
            f"INSERT INTO creations ({names}) VALUES ({places}) RETURNING id", *row.values()
        )

    async def add_comment(self, person: UUID, creation: UUID, parent: UUID | None = None) -> UUID:
        return await self.owner.fetchval(
            "INSERT INTO comments (user_id, creation_id, content, parent_comment_id)"
            " VALUES ($1, $2, 'Well done', $3) RETURNING id",
            person,
            creation,
            parent,
        )

    @asynccontextmanager
    async def speak_for(
        self,
        person: UUID | None,
        *,
        role: str | None = None,
        connection: asyncpg.Connection | None = None,
        keep: bool = False,
    ) -> AsyncIterator[asyncpg.Connection]:
        """Be somebody in a transaction, which is rolled back unless it is to be kept."""
        connection = connection or self.owner
        transaction = connection.transaction()
        await transaction.start()
        try:
            claims = f'{{"sub": "{person}"}}' if person else ""
            await connection.execute("SELECT set_config('request.jwt.claims', $1, true)", claims)
            role = role or ("authenticated" if person else "anon")
            await connection.execute(f"SET LOCAL ROLE {role}")
            yield connection
        except BaseException:
            await transaction.rollback()
            raise
        if keep:
            await transaction.commit()
        else:
            await transaction.rollback()


async def populate(world: World) -> None:
    """Add four people: Ada blocks Eve, and one is not active."""
    for person, name in ((ADA, "ada"), (BOB, "bob"), (EVE, "eve"), (OLD, "old")):
        await world.add_person(person, name)
    await world.owner.execute(
        "INSERT INTO blocks (blocker_id, blocked_id) VALUES ($1, $2)", ADA, EVE
    )
    await world.owner.execute("UPDATE profiles SET is_active = false WHERE id = $1", OLD)


# Counters and what they have to be: none of these finds a row.
WRONG_COUNTERS: Final = """
    SELECT 'creations' AS name, id::text FROM creations c WHERE
        like_count <> (SELECT count(*) FROM likes l WHERE l.creation_id = c.id)
        OR comment_count <> (SELECT count(*) FROM comments k WHERE k.creation_id = c.id
            AND deleted_at IS NULL AND removed_at IS NULL)
        OR remix_count <> (SELECT count(*) FROM creations r WHERE r.remix_of = c.id
            AND r.status = 'published')
        OR view_count <> (SELECT coalesce(sum(d.view_count), 0) FROM creation_days d
            WHERE d.creation_id = c.id)
    UNION ALL SELECT 'comments', id::text FROM comments c WHERE
        like_count <> (SELECT count(*) FROM comment_likes l WHERE l.comment_id = c.id)
    UNION ALL SELECT 'profiles', id::text FROM profiles p WHERE
        creation_count <> (SELECT count(*) FROM creations c WHERE c.user_id = p.id
            AND c.status = 'published')
        OR follower_count <> (SELECT count(*) FROM follows f WHERE f.following_id = p.id)
        OR following_count <> (SELECT count(*) FROM follows f WHERE f.follower_id = p.id)
    UNION ALL SELECT 'luminors', l.id::text FROM luminors l WHERE
        user_count <> (SELECT count(*) FROM luminor_relationships r WHERE r.luminor_id = l.id)
        OR (rating_count, rating_sum) <> (
            SELECT count(m.user_rating), coalesce(sum(m.user_rating), 0)
            FROM luminor_messages m JOIN luminor_conversations c ON c.id = m.conversation_id
            WHERE c.luminor_id = l.id)
    UNION ALL SELECT 'luminor_conversations', id::text FROM luminor_conversations c WHERE
        message_count <> (SELECT count(*) FROM luminor_messages m WHERE m.conversation_id = c.id)
    UNION ALL SELECT 'published_creations', c.id::text FROM creations c
        JOIN profiles p ON p.id = c.user_id
        LEFT JOIN published_creations o ON o.creation_id = c.id
        WHERE (c.status = 'published' AND c.is_public AND c.removed_at IS NULL AND p.is_active)
            <> (o.creation_id IS NOT NULL)
    UNION ALL SELECT 'creation_days', c.id::text FROM creations c WHERE EXISTS (
        SELECT FROM count_creation_days(ARRAY[c.id]) n
        FULL JOIN (SELECT * FROM creation_days s WHERE s.creation_id = c.id) s ON s.day = n.day
        WHERE (coalesce(n.like_count, 0), coalesce(n.comment_count, 0), coalesce(n.remix_count, 0))
            <> (coalesce(s.like_count, 0), coalesce(s.comment_count, 0),
                coalesce(s.remix_count, 0)))
"""
