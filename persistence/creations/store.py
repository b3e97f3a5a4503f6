"""Creations as they are stored. Whoever asks is who the database takes it for."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from persistence.database import Connection, Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.creations import (
    CreationIncomplete,
    CreationNotFound,
    CreationTaken,
    RemixRefused,
    TooManyCreations,
)
from protocol.errors import Forbidden, InvalidField
from protocol.files import FileMissing
from protocol.ids import CreationId, UserId

SQL = load_queries("creations/store")

JSON_COLUMNS: Final = ("generation_params", "metadata")
_LAST: Final = CreationId("ffffffff-ffff-ffff-ffff-ffffffffffff")


class CreationDraft(NamedTuple):
    """What a new creation is written with."""

    creation_id: CreationId
    user_id: UserId
    title: str
    description: str | None
    type: str
    ai_tool: str | None
    prompt: str | None
    model: str | None
    generation_params: bytes
    seed: int | None
    metadata: bytes
    is_nsfw: bool
    license: str
    allow_remix: bool
    allow_commercial: bool
    tags: Sequence[str]
    categories: Sequence[str]
    remix_of: CreationId | None = None


class CreationState(NamedTuple):
    """What may be changed of a creation, and what decides about it."""

    title: str
    description: str | None
    type: str
    ai_tool: str | None
    prompt: str | None
    model: str | None
    generation_params: bytes
    seed: int | None
    metadata: bytes
    is_public: bool
    is_nsfw: bool
    license: str
    allow_remix: bool
    allow_commercial: bool
    tags: Sequence[str]
    categories: Sequence[str]
    remix_of: CreationId | None
    status: str
    file_url: str | None
    published_at: datetime | None


class RemixTerms(NamedTuple):
    """What the original of a remix allows."""

    user_id: UserId
    license: str
    allow_commercial: bool


class CreationPlace(NamedTuple):
    """Where a page of creations begins: after the one of this time and id."""

    at: datetime
    creation_id: CreationId


NEWEST: Final = CreationPlace(datetime.max.replace(tzinfo=UTC), _LAST)
Change = Callable[[CreationState], CreationState]


class CreationStore:
    """Creations in PostgreSQL, under row level security."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    async def add(self, who: Requester, draft: CreationDraft, *, at_most: int) -> asyncpg.Record:
        """Add a draft.

        Raises `CreationTaken`, `RemixRefused`, `CreationNotFound` for an original that may not be
        seen, or `TooManyCreations` for more than about `at_most` of one account.
        """
        async with self._rls.as_user(who) as connection:
            with _refused():
                added = await connection.fetchval(SQL["add_creation"], *draft, at_most)
            if added is None:
                raise TooManyCreations
            return await _one(connection, draft.creation_id, who)

    async def read(self, who: Requester | None, creation_id: CreationId) -> asyncpg.Record:
        """Read a creation that may be seen; raise `CreationNotFound`."""
        async with self._rls.as_user(who) as connection:
            return await _one(connection, creation_id, who)

    async def read_terms(self, creation_id: CreationId) -> RemixTerms | None:
        """Read what an original allows; None if it was deleted."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["read_terms"], creation_id)
        return None if row is None else RemixTerms(*row)

    async def list_own(
        self, who: Requester, *, status: str | None, after: CreationPlace, limit: int
    ) -> list[asyncpg.Record]:
        """List somebody's own creations, newest first."""
        async with self._rls.as_user(who) as connection:
            values = (who.user_id, status, *after, limit)
            return list(await connection.fetch(SQL["list_own"], *values))

    async def change(
        self, who: Requester, creation_id: CreationId, change: Change
    ) -> asyncpg.Record:
        """Change one's own creation, or a draft that one edits.

        Raises `CreationNotFound` or `Forbidden`, also for what only the owner may change.
        """
        async with self._rls.as_user(who) as connection:
            state = change(await _lock_editable(connection, creation_id, who))
            values = state._asdict()
            for fixed in ("type", "remix_of", "status", "file_url", "published_at"):
                del values[fixed]
            with _refused():
                await connection.execute(SQL["update_creation"], creation_id, *values.values())
            return await _one(connection, creation_id, who)

    async def publish(
        self, who: Requester, creation_id: CreationId, require: Callable[[CreationState], None]
    ) -> tuple[asyncpg.Record, bool]:
        """Publish one's own creation, and say whether it is published for the first time.

        It waits for its image, if that is not processed yet. `require` raises if it is not
        ready; so does this, with `CreationIncomplete`, if its image failed.
        """
        async with self._rls.as_user(who) as connection:
            state = await _lock(connection, creation_id, who)
            require(state)
            with _refused():
                await connection.execute(SQL["publish"], creation_id, who.user_id)
            record = await _one(connection, creation_id, who)
            is_published = record["published_at"] is not None
            return record, is_published and state.published_at is None

    async def archive(self, who: Requester, creation_id: CreationId) -> asyncpg.Record:
        """Archive one's own creation."""
        async with self._rls.as_user(who) as connection:
            await _lock(connection, creation_id, who)
            await connection.execute(SQL["archive"], creation_id, who.user_id)
            return await _one(connection, creation_id, who)

    async def read_own(self, who: Requester, creation_id: CreationId) -> CreationState:
        """Read one's own creation as it may be changed; raise `CreationNotFound` or `Forbidden`."""
        async with self._rls.as_user(who) as connection:
            return await _lock(connection, creation_id, who)

    async def read_editable(self, who: Requester, creation_id: CreationId) -> CreationState:
        """Read a creation as whoever asks may change it; raise as `change` does."""
        async with self._rls.as_user(who) as connection:
            return await _lock_editable(connection, creation_id, who)

    async def begin_processing(self, who: Requester, creation_id: CreationId) -> None:
        """Note that a file of a draft is being uploaded."""
        async with self._rls.as_user(who) as connection:
            await connection.execute(SQL["begin_processing"], creation_id, who.user_id)

    async def attach_files(self, who: Requester, creation_id: CreationId) -> asyncpg.Record:
        """Link what was uploaded for a creation; raise `FileMissing` if nothing was."""
        async with self._rls.as_user(who) as connection:
            await connection.execute(SQL["lock_own_to_delete"], creation_id, who.user_id)
            state = await _lock(connection, creation_id, who)
            stems = _stems(who.user_id, creation_id, state.type)
            found = {
                row["bucket"]: row
                for row in await connection.fetch(SQL["find_files"], who.user_id, *stems)
            }
            if not found:
                raise FileMissing("No file of this creation was uploaded yet.")
            file, thumbnail = found.get("creations"), found.get("thumbnails")
            await connection.execute(
                SQL["attach_files"],
                creation_id,
                who.user_id,
                file and f"/files/creations/{file['path']}",
                file and file["size"],
                file and file["path"].rpartition(".")[2],
                thumbnail and f"/files/thumbnails/{thumbnail['path']}",
            )
            return await _one(connection, creation_id, who)

    async def delete(self, who: Requester, creation_id: CreationId) -> str:
        """Delete one's own creation and its files; gives the status that it had."""
        async with self._rls.as_user(who) as connection:
            await connection.execute(SQL["lock_own_to_delete"], creation_id, who.user_id)
            state = await _lock(connection, creation_id, who)
            stems = _stems(who.user_id, creation_id, state.type)
            await connection.execute(SQL["delete_creation"], creation_id, who.user_id)
            await connection.execute(SQL["delete_files"], who.user_id, *stems)
            return state.status

    async def count_view(self, who: Requester, creation_id: CreationId) -> bool:
        """Count a view; False if it does not count. Raises `CreationNotFound`."""
        async with self._rls.as_user(who) as connection:
            await _one(connection, creation_id, who)
            with _still_there():
                counted: bool = await connection.fetchval(SQL["count_view"], creation_id)
            return counted

    async def count_anonymous_view(self, network: str, creation_id: CreationId) -> bool:
        """Count a view of nobody known, once per network and day. Raises `CreationNotFound`."""
        async with self._rls.as_user(None) as connection:
            await _one(connection, creation_id, None)
        async with self._database.acquire() as connection:
            with _still_there():
                counted: bool = await connection.fetchval(
                    SQL["count_anonymous_view"], creation_id, network
                )
            return counted

    async def list_days(
        self, who: Requester, creation_id: CreationId | None, *, first: date, last: date
    ) -> list[asyncpg.Record]:
        """Count each day of one's own creation, or of all; raise as `read_own`."""
        async with self._rls.as_user(who) as connection:
            if creation_id is not None:
                await _lock(connection, creation_id, who)
            values = (who.user_id, creation_id, first, last)
            return list(await connection.fetch(SQL["list_days"], *values))

    # ------------------------------------------------------------------ maintenance

    async def flush_views(self, *, limit: int) -> int:
        """Add views that were not counted yet to their creations; gives how many."""
        async with self._database.acquire() as connection:
            flushed: int = await connection.fetchval(SQL["flush_views"], limit)
            return flushed

    async def delete_views(self, *, limit: int) -> int:
        """Delete some views that were counted, of days that are over."""
        async with self._database.acquire() as connection:
            return len(await connection.fetch(SQL["delete_views"], limit))

    async def delete_salts(self, *, limit: int) -> int:
        """Delete some secrets with which networks were hashed on days that are over."""
        async with self._database.acquire() as connection:
            return len(await connection.fetch(SQL["delete_salts"], limit))


@contextmanager
def _still_there() -> Iterator[None]:
    """Raise `CreationNotFound` where a creation, or its viewer, was deleted meanwhile."""
    try:
        yield
    except asyncpg.ForeignKeyViolationError as error:
        raise CreationNotFound from error


def file_stem(user_id: UserId, creation_id: CreationId, type_: str) -> str:
    """Give the path of a creation's file, without its ending."""
    return f"{user_id}/{type_}/{creation_id}"


def thumbnail_stem(user_id: UserId, creation_id: CreationId) -> str:
    """Give the path of a creation's thumbnail, without its ending."""
    return f"{user_id}/{creation_id}-thumb"


def _stems(user_id: UserId, creation_id: CreationId, type_: str) -> tuple[str, str]:
    stems = file_stem(user_id, creation_id, type_), thumbnail_stem(user_id, creation_id)
    return f"{stems[0]}.", f"{stems[1]}."


async def _one(
    connection: Connection, creation_id: CreationId, who: Requester | None
) -> asyncpg.Record:
    viewer = None if who is None else who.user_id
    record = await connection.fetchrow(SQL["read_creation"], creation_id, viewer)
    if record is None:
        raise CreationNotFound
    return record


async def _lock(connection: Connection, creation_id: CreationId, who: Requester) -> CreationState:
    row = await connection.fetchrow(SQL["lock_own"], creation_id, who.user_id)
    if row is None:
        await _one(connection, creation_id, who)
        raise Forbidden("This creation belongs to another account.")
    return CreationState(*row)


async def _lock_editable(
    connection: Connection, creation_id: CreationId, who: Requester
) -> CreationState:
    row = await connection.fetchrow(SQL["lock_editable"], creation_id)
    if row is None:
        await _one(connection, creation_id, who)
        raise Forbidden("You can only change creations of your own, and drafts that you edit.")
    return CreationState(*row)


_FIELDS: Final = {f"creations_{name}_check": name for name in JSON_COLUMNS}


@contextmanager
def _refused() -> Iterator[None]:
    """Turn what the database refuses of a creation into errors of the protocol."""
    try:
        yield
    except asyncpg.InsufficientPrivilegeError:
        raise Forbidden(
            "Only the owner changes a creation's files, its licence and who sees it."
        ) from None
    except asyncpg.UniqueViolationError:
        raise CreationTaken from None
    except asyncpg.ForeignKeyViolationError:
        raise CreationNotFound("The creation that you remix no longer exists.") from None
    except asyncpg.DataError:
        problem = "generation_params, metadata: remove NUL characters and numbers without end."
        raise InvalidField(problem, field="metadata") from None
    except asyncpg.CheckViolationError as error:
        name = str(error.constraint_name)
        if name == "creations_remix_visible":
            raise CreationNotFound from None
        if name == "creations_image_failed":
            raise CreationIncomplete(f"{_sentence(str(error))}.") from None
        if name.startswith("creations_remix_"):
            raise RemixRefused(f"{_sentence(str(error))}.") from None
        if name in _FIELDS:
            field = _FIELDS[name]
            raise InvalidField(f"{field}: keep it within 16 KiB of JSON.", field=field) from None
        raise


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def decoded_json(record: asyncpg.Record) -> dict[str, Any]:
    """Give a row's fields with its JSON columns decoded."""
    fields = dict(record)
    for name in JSON_COLUMNS:
        fields[name] = orjson.loads(fields[name])
    return fields
