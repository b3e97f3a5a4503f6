"""Collaborators as they are stored. Whoever asks is who the database takes it for."""

from collections.abc import Collection
from typing import Final, Literal, NamedTuple

import asyncpg

from persistence.database import Connection, Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.collaborations import (
    COLLABORATIONS_MAX,
    COLLABORATORS_MAX,
    CollaboratorNotFound,
    CollaboratorTaken,
    TooManyCollaborators,
)
from protocol.creations import CreationNotFound
from protocol.errors import Forbidden
from protocol.follows import PersonNotFound
from protocol.ids import CreationId, UserId

SQL = load_queries("collaborations/store")
_TOO_MANY: Final = "creation_collaborators_count"


class MayBePresent(NamedTuple):
    """Somebody who may be in a creation, and as what."""

    creation_id: CreationId
    user_id: UserId
    username: str | None
    role: Literal["owner", "editor", "viewer"]
    hidden: frozenset[UserId] = frozenset()
    """Collaborators whom they block, or who block them."""


class CollaborationStore:
    """Collaborators in PostgreSQL: under row level security, apart from presence."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    async def invite(
        self, who: Requester, creation_id: CreationId, username: str, role: str
    ) -> asyncpg.Record:
        """Invite a person.

        Raises `CreationNotFound`, `Forbidden`, `PersonNotFound` for somebody who does not see the
        owner either, `CollaboratorTaken` or `TooManyCollaborators`.
        """
        async with self._rls.as_user(who) as connection:
            await _require_owner(connection, who, creation_id)
            person = await connection.fetchval(SQL["find_person"], username)
            if person is None:
                raise PersonNotFound
            try:
                await connection.execute(SQL["invite"], creation_id, person, role)
            except asyncpg.UniqueViolationError:
                raise CollaboratorTaken from None
            except asyncpg.CheckViolationError as error:
                if error.constraint_name == _TOO_MANY:
                    raise TooManyCollaborators(
                        f"A creation has at most {COLLABORATORS_MAX} collaborators, and a person "
                        f"{COLLABORATIONS_MAX} collaborations."
                    ) from None
                raise PersonNotFound("This person cannot be invited.") from None
            return await _one(connection, creation_id, person)

    async def list_collaborators(
        self, who: Requester, creation_id: CreationId
    ) -> list[asyncpg.Record]:
        """List collaborators, as far as whoever asks may see them; raise `CreationNotFound`."""
        async with self._rls.as_user(who) as connection:
            if await connection.fetchval(SQL["owner_of"], creation_id) is None:
                raise CreationNotFound
            return list(await connection.fetch(SQL["list_collaborators"], creation_id, None))

    async def change_role(
        self, who: Requester, creation_id: CreationId, person: UserId, role: str
    ) -> asyncpg.Record:
        """Give a collaborator another role; raise as `invite`, or `CollaboratorNotFound`."""
        async with self._rls.as_user(who) as connection:
            await _require_owner(connection, who, creation_id)
            values = (creation_id, person, role)
            if await connection.fetchval(SQL["change_role"], *values) is None:
                raise CollaboratorNotFound
            return await _one(connection, creation_id, person)

    async def accept(self, who: Requester, creation_id: CreationId) -> asyncpg.Record:
        """Accept an invitation; raise `CollaboratorNotFound`."""
        async with self._rls.as_user(who) as connection:
            if await connection.fetchval(SQL["accept"], creation_id, who.user_id) is None:
                raise CollaboratorNotFound
            return await _one(connection, creation_id, who.user_id)

    async def remove(self, who: Requester, creation_id: CreationId, person: UserId) -> None:
        """Remove a collaborator, as the owner, or leave; raise `CollaboratorNotFound`."""
        async with self._rls.as_user(who) as connection:
            if await connection.fetchval(SQL["remove"], creation_id, person) is None:
                raise CollaboratorNotFound

    async def list_own(self, who: Requester) -> list[asyncpg.Record]:
        """List the creations to which a person is invited, or on which they collaborate."""
        async with self._rls.as_user(who) as connection:
            return list(await connection.fetch(SQL["list_own"], who.user_id))

    async def list_present(
        self, pairs: Collection[tuple[CreationId, UserId]]
    ) -> list[MayBePresent]:
        """Say which of these people may be in these creations, as what, and unseen by whom."""
        creations, people = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["list_present"], creations, people)
        return [MayBePresent(**{**row, "hidden": frozenset(row["hidden"])}) for row in rows]


async def _require_owner(connection: Connection, who: Requester, creation_id: CreationId) -> None:
    owner = await connection.fetchval(SQL["owner_of"], creation_id)
    if owner is None:
        raise CreationNotFound
    if owner != who.user_id:
        raise Forbidden("This creation belongs to another account.")


async def _one(connection: Connection, creation_id: CreationId, person: UserId) -> asyncpg.Record:
    record = await connection.fetchrow(SQL["list_collaborators"], creation_id, person)
    assert record is not None
    return record
