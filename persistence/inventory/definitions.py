"""What there is to hold and to make, in PostgreSQL: items, currencies, recipes.

Each change is put on record, and made to the revision that its editor has seen.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import asyncpg
import orjson

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from persistence.rls import RlsDatabase
from protocol.errors import InvalidField
from protocol.ids import UserId
from protocol.inventory import (
    AssetNotFound,
    DefinitionChanged,
    DefinitionInUse,
    RecipeNotFound,
    TooManyDefinitions,
)

SQL: Final = load_queries("inventory/definitions")

DefinitionKind: TypeAlias = Literal["item", "currency", "recipe"]
# `add`: there must be none yet; `any`: whatever is there; or the revision that was read.
RevisionMatch: TypeAlias = Literal["add", "any"] | int

_LISTS: Final[Mapping[DefinitionKind, str]] = {
    "item": SQL["list_items"],
    "currency": SQL["list_currencies"],
    "recipe": SQL["list_recipes"],
}
_READS: Final[Mapping[DefinitionKind, str]] = {
    "item": SQL["read_item"],
    "currency": SQL["read_currency"],
    "recipe": SQL["read_recipe"],
}
_ADDS: Final[Mapping[DefinitionKind, str]] = {
    "item": SQL["add_item"],
    "currency": SQL["add_currency"],
    "recipe": SQL["add_recipe"],
}
_CHANGES: Final[Mapping[DefinitionKind, str]] = {
    "item": SQL["change_item"],
    "currency": SQL["change_currency"],
    "recipe": SQL["change_recipe"],
}
_DELETES: Final[Mapping[DefinitionKind, str]] = {
    "item": SQL["delete_item"],
    "currency": SQL["delete_currency"],
    "recipe": SQL["delete_recipe"],
}


class StoredDefinition(NamedTuple):
    """A definition: its content as its model has it."""

    id: str
    revision: int
    updated_at: datetime
    content: dict[str, Any]


class DefinitionStore:
    """Items, currencies and recipes; `counts_max` says how many there may be of each."""

    def __init__(
        self, database: Database, rls: RlsDatabase, counts_max: Mapping[DefinitionKind, int]
    ) -> None:
        self._database = database
        self._anybody = rls.anonymous
        self._counts_max = counts_max

    async def list_all(
        self, kind: DefinitionKind, *, after: str, limit: int
    ) -> list[StoredDefinition]:
        """List definitions by id, as everybody sees them."""
        async with self._anybody.acquire() as connection:
            rows = await connection.fetch(_LISTS[kind], after, limit)
        return [_stored(row) for row in rows]

    async def read(
        self, kind: DefinitionKind, definition_id: str, *, connection: Connection | None = None
    ) -> StoredDefinition | None:
        """Read a definition as editors see it; `connection` is the caller's, if there is one."""
        if connection is None:
            async with self._database.acquire() as acquired:
                return await self.read(kind, definition_id, connection=acquired)
        row = await connection.fetchrow(_READS[kind], definition_id)
        return None if row is None else _stored(row)

    async def put(
        self,
        kind: DefinitionKind,
        definition_id: str,
        content: Mapping[str, Any],
        *,
        match: RevisionMatch,
        items: Mapping[str, str],
        currencies: Mapping[str, str],
        actor: UserId,
    ) -> StoredDefinition:
        """Add or change a definition; `items` and `currencies` say in which field it names each.

        Raise `DefinitionChanged`, `AssetNotFound`, `TooManyDefinitions`, `InvalidField`, or
        `DefinitionInUse` for what is retired while a reward has it.
        """
        try:
            return await self._put(kind, definition_id, content, match, items, currencies, actor)
        except asyncpg.ForeignKeyViolationError as error:
            raise _in_use(error) from error

    async def _put(
        self,
        kind: DefinitionKind,
        definition_id: str,
        content: Mapping[str, Any],
        match: RevisionMatch,
        items: Mapping[str, str],
        currencies: Mapping[str, str],
        actor: UserId,
    ) -> StoredDefinition:
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_definitions"])
            before = await self.read(kind, definition_id, connection=connection)
            _require(match, before)
            values = (definition_id, orjson.dumps(content))
            if before is None:
                count_max = self._counts_max[kind]
                if await connection.fetchval(_ADDS[kind], *values, count_max) is None:
                    raise TooManyDefinitions
            elif await connection.fetchval(_CHANGES[kind], *values, before.revision) is None:
                raise InvalidField(
                    "scope: it is fixed, since this currency was used.", field="scope"
                )
            missing = await connection.fetchrow(
                SQL["missing_assets"], list(items), list(currencies)
            )
            if missing is not None:
                asset_kind, asset_id = missing
                field = (items if asset_kind == "item" else currencies)[asset_id]
                raise AssetNotFound(
                    f"{field}: there is no {asset_kind} {asset_id}; define it first.", field=field
                )
            after = await self.read(kind, definition_id, connection=connection)
            assert after is not None
            await record_entry(
                connection,
                actor=actor,
                action=f"{kind}_defined",
                target=definition_id,
                before=None if before is None else before.content,
                after=after.content,
            )
        return after

    async def delete(
        self, kind: DefinitionKind, definition_id: str, *, match: RevisionMatch, actor: UserId
    ) -> None:
        """Delete a definition that nothing refers to; raise `DefinitionInUse` for others."""
        try:
            async with self._database.transaction() as connection:
                await connection.execute(SQL["lock_definitions"])
                before = await self.read(kind, definition_id, connection=connection)
                if before is None:
                    raise RecipeNotFound if kind == "recipe" else AssetNotFound
                _require(match, before)
                gone = await connection.fetchval(_DELETES[kind], definition_id, before.revision)
                if gone is None:
                    raise DefinitionInUse
                await record_entry(
                    connection,
                    actor=actor,
                    action=f"{kind}_deleted",
                    target=definition_id,
                    before=before.content,
                )
        except asyncpg.ForeignKeyViolationError as error:
            raise _in_use(error) from error


def _in_use(error: asyncpg.ForeignKeyViolationError) -> DefinitionInUse:
    """Say what refers to a definition, where it is a reward."""
    if error.table_name == "reward_assets":
        return DefinitionInUse(
            "A reward has this; change the quest or the game rewards that give it first."
        )
    return DefinitionInUse()


def _require(match: RevisionMatch, before: StoredDefinition | None) -> None:
    is_met = {
        "add": before is None,
        "any": True,
    }.get(str(match), before is not None and before.revision == match)
    if not is_met:
        raise DefinitionChanged(field="If-Match")


def _stored(row: asyncpg.Record) -> StoredDefinition:
    definition_id, revision, updated_at, content = row
    return StoredDefinition(definition_id, revision, updated_at, orjson.loads(content))
