"""Blueprints as they are stored. Whoever asks is who the database takes it for."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, TypeAlias

import asyncpg
import orjson

from persistence.database import Connection, Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.blueprints import (
    BlueprintNotFound,
    BlueprintTaken,
    NameOnMarket,
    Sort,
    TooManyBlueprints,
)
from protocol.errors import Forbidden
from protocol.ids import BlueprintId, UserId

SQL = load_queries("blueprints/store")
NUMBER_MAX: Final = 2**31 - 1

Key: TypeAlias = datetime | int | str


class NamePatternMismatch(Exception):
    """The database has a rule for names, and this one does not fit."""


class BlueprintDraft(NamedTuple):
    """What a new blueprint is written with; `data` is JSON."""

    blueprint_id: BlueprintId
    owner_id: UserId
    name: str
    version: int
    data: bytes
    assets: dict[str, str]
    description: str
    parent_id: BlueprintId | None = None


class StoredBlueprint(NamedTuple):
    """A blueprint; `data` is JSON, `owner` is how its owner is called."""

    blueprint_id: BlueprintId
    owner_id: UserId
    owner: str | None
    name: str
    version: int
    data: bytes
    assets: dict[str, str]
    description: str
    is_public: bool
    parent_id: BlueprintId | None
    parent_name: str | None
    forks: int
    created_at: datetime


class PagePosition(NamedTuple):
    """Where in a list a page begins: after the row with this key and id."""

    key: Key
    blueprint_id: BlueprintId


class SearchWord(NamedTuple):
    """What to look for: letters and digits; and its parts, if it was typed with dashes."""

    whole: str
    parts: tuple[str, ...] = ()


class BlueprintPage(NamedTuple):
    """A page; `last` is its end where another may follow."""

    blueprints: Sequence[StoredBlueprint]
    last: PagePosition | None


_NOBODY: Final = BlueprintId("00000000-0000-0000-0000-000000000000")
NEWEST: Final = PagePosition(datetime.max.replace(tzinfo=UTC), _NOBODY)
STARTS: Final[Mapping[Sort, PagePosition]] = {
    "newest": NEWEST,
    "name": PagePosition("", _NOBODY),
    "version": PagePosition(NUMBER_MAX, _NOBODY),
    "forks": PagePosition(NUMBER_MAX, _NOBODY),
}
_MARKET: Final[Mapping[Sort, str]] = {
    "newest": SQL["market_by_newest"],
    "name": SQL["market_by_name"],
    "version": SQL["market_by_version"],
    "forks": SQL["market_by_forks"],
}
_COLUMN: Final[Mapping[Sort, str]] = {
    "newest": "created_at",
    "name": "name",
    "version": "version",
    "forks": "forks",
}


class BlueprintStore:
    """Blueprints in PostgreSQL, under row level security."""

    def __init__(self, rls: RlsDatabase) -> None:
        self._rls = rls

    async def add(self, who: Requester, draft: BlueprintDraft, *, at_most: int) -> StoredBlueprint:
        """Add a blueprint.

        Raises `NamePatternMismatch`, `BlueprintTaken`, `BlueprintNotFound`, or `TooManyBlueprints`
        for more than `at_most` of one account; about so many, when it makes several at once.
        """
        values = draft._replace(assets=orjson.dumps(draft.assets))  # type: ignore[arg-type]  # as jsonb
        async with self._rls.as_user(who) as connection:
            try:
                added = await connection.fetchval(SQL["add_blueprint"], *values, at_most)
            except asyncpg.CheckViolationError as error:
                if error.constraint_name != "blueprints_name_fits":
                    raise
                raise NamePatternMismatch from None
            except asyncpg.UniqueViolationError as error:
                raise _taken(error) from None
            except asyncpg.ForeignKeyViolationError as error:
                raise BlueprintNotFound("The blueprint that you fork no longer exists.") from error
            if added is None:
                raise TooManyBlueprints
            return await _one(connection, draft.blueprint_id)

    async def read(self, who: Requester | None, blueprint_id: BlueprintId) -> StoredBlueprint:
        """Read a blueprint that may be seen; raise `BlueprintNotFound`."""
        async with self._rls.as_user(who) as connection:
            return await _one(connection, blueprint_id)

    async def list_own(self, who: Requester, *, after: PagePosition, limit: int) -> BlueprintPage:
        """List somebody's own blueprints, newest first."""
        async with self._rls.as_user(who) as connection:
            places = await connection.fetch(SQL["own_blueprints"], who.user_id, *after, limit)
            return await _page(
                connection, [PagePosition(row["key"], row["id"]) for row in places], limit
            )

    async def list_market(
        self,
        who: Requester | None,
        *,
        sort: Sort,
        words: Sequence[SearchWord] | None,
        after: PagePosition,
        limit: int,
    ) -> BlueprintPage:
        """List what is on the market; `words`: only what has words that begin like all of these."""
        async with self._rls.as_user(who) as connection:
            if words is None:
                rows = await connection.fetch(_MARKET[sort], *after, limit)
                places = [PagePosition(row["key"], row["id"]) for row in rows]
            else:
                found = await _search(connection, sort, words)
                places = [place for place in found if _order(place) > _order(after)][:limit]
            return await _page(connection, places, limit)

    async def set_public(
        self, who: Requester, blueprint_id: BlueprintId, *, is_public: bool
    ) -> StoredBlueprint:
        """Put a blueprint on the market or take it off; raise `NameOnMarket`."""
        async with self._rls.as_user(who) as connection:
            try:
                values = (blueprint_id, is_public, who.user_id)
                changed = await connection.fetchval(SQL["show_blueprint"], *values)
            except asyncpg.UniqueViolationError:
                raise NameOnMarket from None
            blueprint = await _one(connection, blueprint_id)
            if changed is None:
                raise Forbidden("This blueprint belongs to another account.")
            return blueprint

    async def delete(self, who: Requester, blueprint_id: BlueprintId) -> None:
        """Delete somebody's own blueprint."""
        async with self._rls.as_user(who) as connection:
            if await connection.fetchval(SQL["delete_blueprint"], blueprint_id) is None:
                await _one(connection, blueprint_id)
                raise Forbidden("This blueprint belongs to another account.")


class InvalidNamePattern(Exception):
    """Why a pattern cannot be used; it reads on after the pattern's name."""


class BlueprintRuleStore:
    """The one row of rules, which the database holds every new blueprint to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set_name_pattern(self, pattern: str, *, example: str) -> None:
        """Make this the rule for new names.

        Raises `InvalidNamePattern` if it does not accept the example.
        """
        async with self._database.transaction() as connection:
            try:
                fits = await connection.fetchval(SQL["name_fits"], example, pattern)
            except asyncpg.InvalidRegularExpressionError as error:
                raise InvalidNamePattern(
                    f"is not a regular expression of PostgreSQL: {error}"
                ) from None
            if not fits:
                raise InvalidNamePattern(f"does not accept {example}")
            await connection.execute(SQL["put_name_pattern"], pattern)


async def _one(connection: Connection, blueprint_id: BlueprintId) -> StoredBlueprint:
    record = await connection.fetchrow(SQL["read_blueprints"], [blueprint_id])
    if record is None:
        raise BlueprintNotFound
    return _stored(record)


async def _page(
    connection: Connection, places: Sequence[PagePosition], limit: int
) -> BlueprintPage:
    records = await connection.fetch(SQL["read_blueprints"], [place[1] for place in places])
    last = places[-1] if len(places) == limit else None
    return BlueprintPage([_stored(record) for record in records], last)


async def _search(
    connection: Connection, sort: Sort, words: Sequence[SearchWord]
) -> list[PagePosition]:
    """Find by words, in order; the function that searches bounds how many."""
    if not words:
        return []
    query = " & ".join(map(_sought, words))
    rows = await connection.fetch(SQL["search_market"], query)
    return sorted((PagePosition(row[_COLUMN[sort]], row["id"]) for row in rows), key=_order)


def _sought(word: SearchWord) -> str:
    """Write what finds a word, or the parts of a word that may have been written with dashes."""
    parts = " & ".join(f"'{part}':*" for part in word.parts)
    return f"('{word.whole}':* | ({parts}))" if parts else f"'{word.whole}':*"


def _order(place: PagePosition) -> tuple[Any, BlueprintId]:
    """Give what a list is sorted by: names upwards, times and numbers downwards."""
    key = place.key
    if isinstance(key, datetime):
        return (NEWEST.key - key, place.blueprint_id)  # type: ignore[operator]  # both are times
    return (-key if isinstance(key, int) else key, place.blueprint_id)


def _stored(record: asyncpg.Record) -> StoredBlueprint:
    return StoredBlueprint(**{**record, "assets": orjson.loads(record["assets"])})


def _taken(error: asyncpg.UniqueViolationError) -> BlueprintTaken:
    if error.constraint_name == "blueprints_pkey":
        return BlueprintTaken("A blueprint with this id already exists; choose another.")
    return BlueprintTaken()
