"""Slots, revisions and conflicts in PostgreSQL.

What a person reads, names and pins is decided by row level security. States are written as the
server, in one transaction that holds the slot's row: see `SaveStore.lock_and_change`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from persistence.database import Connection, Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from persistence.saves.changes import CHANGES_KEPT, ChangeRow, ProgressStore
from protocol.errors import BadToken
from protocol.ids import UserId
from protocol.saves import (
    ConflictNotFound,
    Reason,
    RevisionNotFound,
    SaveSlotNotFound,
    TooManyPins,
    TooManySaves,
)

SQL: Final = load_queries("saves/store")
REVISION_MAX: Final = 2**53 - 1


class StoredSlot(NamedTuple):
    """A slot; `narrative_state` is JSON, None where it was not asked for."""

    slot_id: str
    account_id: UserId
    title: str
    name: str
    progression_version: int
    last_revision: int
    schema_version: int
    package: str | None
    thumbnail: str | None
    device: str
    play_time_s: int
    size: int
    checksum: str
    is_modded: bool
    created_at: datetime
    updated_at: datetime
    narrative_state: bytes | None
    conflicts: int


class StoredRevision(NamedTuple):
    """A revision; `state` is JSON, None if it was pruned or not asked for."""

    slot_id: str
    revision: int
    parents: list[int]
    reason: Reason
    source: int | None
    schema_version: int
    device: str
    play_time_s: int
    size: int
    checksum: str
    is_modded: bool
    is_pinned: bool
    is_pruned: bool
    created_at: datetime
    state: bytes | None


class StoredConflict(NamedTuple):
    """A conflict of a slot."""

    conflict_id: str
    base: int | None
    branch: int
    paths: list[str]
    status: str
    resolution: int | None
    opened_at: datetime
    resolved_at: datetime | None


class ConflictPlace(NamedTuple):
    """Where a page of conflicts ended; without values, before all."""

    status: str = ""
    opened_at: datetime = datetime.min.replace(tzinfo=UTC)
    conflict_id: str = "00000000-0000-0000-0000-000000000000"


class RevisionRow(NamedTuple):
    """A revision to be stored."""

    revision: int
    parents: Sequence[int]
    reason: Reason
    source: int | None
    state: bytes
    schema_version: int
    device: str
    play_time_s: int
    checksum: str
    is_modded: bool


class MutationRow(NamedTuple):
    """The mutation that makes a revision, and what is answered to it."""

    mutation_id: str
    mutation_hash: str
    outcome: str
    head: int | None = None
    conflict_id: str | None = None


class FoundMutation(NamedTuple):
    """A mutation that was carried out before."""

    revision: int
    mutation_hash: str
    outcome: str
    head: int | None
    conflict_id: str | None


class NewSlot(NamedTuple):
    """A slot to be made, with its first revision; `state` is JSON."""

    slot_id: str
    state: bytes
    title: str
    name: str
    schema_version: int
    package: str | None
    device: str
    play_time_s: int
    checksum: str
    is_modded: bool
    reason: Reason
    mutation_id: str | None
    mutation_hash: str | None


class SlotPosition(NamedTuple):
    """Where in a list of slots a page begins."""

    created_at: datetime = datetime.min.replace(tzinfo=UTC)
    slot_id: str = "00000000-0000-0000-0000-000000000000"


class SlotAlreadyCreated(Exception):
    """A mutation has made a slot before; nothing was made now."""

    def __init__(self, slot_id: str, mutation_hash: str) -> None:
        super().__init__(slot_id)
        self.slot_id = slot_id
        self.mutation_hash = mutation_hash


class MutationRaced(Exception):
    """Another request with the same mutation was quicker."""


class SaveStore:
    """Saves in PostgreSQL."""

    def __init__(self, database: Database, rls: RlsDatabase, changes: ProgressStore) -> None:
        self._database = database
        self._rls = rls
        self._changes = changes

    # ------------------------------------------------------------------ as the person

    async def list_slots(
        self, who: Requester, *, title: str | None, after: SlotPosition, limit: int
    ) -> list[StoredSlot]:
        """List somebody's own slots, oldest first."""
        async with self._rls.as_user(who) as connection:
            rows = await connection.fetch(SQL["list_slots"], who.user_id, title, *after, limit)
        return [StoredSlot(*row) for row in rows]

    async def read(self, who: Requester, slot_id: str) -> StoredSlot:
        """Read a slot with its state; raise `SaveSlotNotFound`."""
        async with self._rls.as_user(who) as connection:
            return await _read(connection, "read_slot", who.user_id, slot_id)

    async def rename_slot(
        self, who: Requester, slot_id: str, *, name: str | None, thumbnail: str | None
    ) -> StoredSlot:
        """Rename a slot, or give it another thumbnail."""
        async with self._rls.as_user(who) as connection:
            await connection.execute(SQL["change_slot"], slot_id, name, thumbnail)
            return await _read(connection, "read_slot", who.user_id, slot_id)

    async def list_revisions(
        self, who: Requester, slot_id: str, *, below: int, limit: int
    ) -> list[StoredRevision]:
        """List a slot's revisions of all branches, newest first."""
        async with self._rls.as_user(who) as connection:
            rows = await connection.fetch(SQL["list_revisions"], who.user_id, slot_id, below, limit)
            if not rows:
                await _read(connection, "read_slot", who.user_id, slot_id)
        return [StoredRevision(*row) for row in rows]

    async def read_revision(self, who: Requester, slot_id: str, revision: int) -> StoredRevision:
        """Read one revision; raise `RevisionNotFound`."""
        async with self._rls.as_user(who) as connection:
            return await _revision(connection, who.user_id, slot_id, revision)

    async def pin(
        self, who: Requester, slot_id: str, revision: int, *, is_pinned: bool, pins_max: int
    ) -> StoredRevision:
        """Pin a revision, or let it go; raise `RevisionNotFound` or `TooManyPins`."""
        async with self._rls.as_user(who) as connection:
            pinned = await connection.fetchval(
                SQL["pin_revision"], who.user_id, slot_id, revision, is_pinned, pins_max
            )
            stored = await _revision(connection, who.user_id, slot_id, revision)
            if pinned is None:
                raise RevisionNotFound if stored.is_pruned else TooManyPins
            return stored

    async def list_conflicts(
        self, who: Requester, slot_id: str, *, after: ConflictPlace, limit: int
    ) -> list[StoredConflict]:
        """List a slot's conflicts, open ones first."""
        async with self._rls.as_user(who) as connection:
            rows = await connection.fetch(SQL["list_conflicts"], slot_id, *after, limit)
            if not rows:
                await _read(connection, "read_slot", who.user_id, slot_id)
        return [StoredConflict(*row) for row in rows]

    # ------------------------------------------------------------------ as the server

    async def create_slot(
        self, account_id: UserId, new: NewSlot, *, slots_max: int, said: Mapping[str, object]
    ) -> ChangeRow:
        """Make a slot; raise `TooManySaves`, or `SlotAlreadyCreated` if the mutation has made one.

        `said` is published to the account's devices.
        """
        async with self._database.transaction() as connection:
            # First, since it holds the account's stream: slots are counted by one at a time.
            change = await self._changes.append(
                connection, account_id, "save.revision", new.slot_id, said
            )
            if new.mutation_id is not None:
                found = await connection.fetchrow(SQL["find_created"], account_id, new.mutation_id)
                if found is not None:
                    raise SlotAlreadyCreated(found["slot_id"], found["mutation_hash"])
            made = await connection.fetchval(
                SQL["add_slot"],
                account_id,
                new.slot_id,
                new.state,
                new.title,
                new.name,
                new.schema_version,
                new.package,
                new.device,
                new.play_time_s,
                len(new.state),
                new.checksum,
                new.is_modded,
                slots_max,
                new.reason,
                new.mutation_id,
                new.mutation_hash,
            )
            if made is None:
                raise TooManySaves(f"You have {slots_max} save slots already; delete one first.")
        return change

    async def current(self, account_id: UserId, slot_id: str) -> StoredSlot:
        """Read a slot that others may change meanwhile; raise `SaveSlotNotFound`."""
        async with self._database.acquire() as connection:
            return await _read(connection, "read_current", account_id, slot_id)

    async def advance(
        self,
        slot: StoredSlot,
        row: RevisionRow,
        mutation: MutationRow,
        said: Mapping[str, object],
        *,
        package: str | None,
    ) -> ChangeRow | None:
        """Store a revision as the current one; None if there is a newer one than `slot` has.

        Raises `MutationRaced` if the mutation was carried out before.
        """
        async with self._database.acquire() as connection:
            work = SaveTransaction(connection, slot, self._changes)
            try:
                return await work.advance_unless_newer(row, mutation, said, package=package)
            except asyncpg.UniqueViolationError as error:
                raise MutationRaced from error

    @asynccontextmanager
    async def lock_and_change(
        self, account_id: UserId, slot_id: str, mutation_id: str
    ) -> AsyncIterator["SaveTransaction"]:
        """Change a slot in one transaction, alone; raise `SaveSlotNotFound`.

        Raises `BadToken` if the account was merged into another one while this waited: the slot
        has moved there, and devices that sign in again can send the write again. Raises
        `MutationRaced` if the same mutation was committed by another request while this one
        waited: do it again, and it is found.
        """
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(
                SQL["lock_for_mutation"], slot_id, account_id, mutation_id
            )
            if row is None:
                if await connection.fetchval(SQL["is_merged"], account_id):
                    raise BadToken
                raise SaveSlotNotFound
            values = tuple(row)
            before = values[len(StoredSlot._fields) :]
            found = FoundMutation(*before) if before[0] is not None else None
            slot = StoredSlot(*values[: len(StoredSlot._fields)])
            try:
                yield SaveTransaction(connection, slot, self._changes, found)
            except asyncpg.UniqueViolationError as error:
                raise MutationRaced from error

    async def delete(
        self,
        account_id: UserId,
        slot_id: str,
        require_empty: Callable[[Connection, UserId, str], Awaitable[None]] | None,
    ) -> ChangeRow:
        """Delete a slot, if `require_empty` lets it; raise `SaveSlotNotFound`.

        What it holds is taken away by a transaction of the ledger, which the database adds.
        """
        async with self._database.transaction() as connection:
            await lock_slot(connection, account_id, slot_id)
            if require_empty is not None:
                await require_empty(connection, account_id, slot_id)
            if await connection.fetchval(SQL["delete_slot"], slot_id, account_id) is None:
                raise SaveSlotNotFound
            return await self._changes.append(connection, account_id, "save.deleted", slot_id, {})

    async def count_by_schema_version(self, title: str) -> list[tuple[int, int]]:
        """Count a title's slots by the schema version of their states."""
        async with self._database.acquire() as connection:
            return [tuple(row) for row in await connection.fetch(SQL["list_classes"], title)]

    async def read_states(
        self, title: str, schema_version: int, *, after: str, limit: int
    ) -> list[tuple[str, bytes]]:
        """Read some states of a title and a schema version, after a slot."""
        async with self._database.acquire() as connection:
            values = (title, schema_version, after, limit)
            return [tuple(row) for row in await connection.fetch(SQL["read_class"], *values)]


class SaveTransaction:
    """A transaction that holds one slot."""

    def __init__(
        self,
        connection: Connection,
        slot: StoredSlot,
        changes: ProgressStore,
        found: FoundMutation | None = None,
    ) -> None:
        """`found` is what the mutation of this work made before."""
        self.connection = connection
        self.slot = slot
        self.found = found
        self._changes = changes

    @property
    def _key(self) -> tuple[UserId, str]:
        return self.slot.account_id, self.slot.slot_id

    async def read_parents(self) -> dict[int, list[int]]:
        """Read the history: what each revision was made of."""
        rows = await self.connection.fetch(SQL["read_parents"], *self._key)
        return {row["revision"]: row["parents"] for row in rows}

    async def read_revision(self, revision: int) -> StoredRevision:
        """Read a revision with its state; raise `RevisionNotFound`."""
        return await _revision(self.connection, *self._key, revision)

    async def add_branch_revision(self, row: RevisionRow, mutation: MutationRow) -> None:
        """Store a revision beside the current one."""
        await self.connection.execute(SQL["add_branch"], *self._values(row, mutation))

    async def add_current_revision(
        self,
        row: RevisionRow,
        mutation: MutationRow | None,
        said: Mapping[str, object],
        *,
        package: str | None = None,
    ) -> ChangeRow:
        """Store a revision as the current one, and append the change to the account's stream."""
        change = await self.advance_unless_newer(row, mutation, said, package=package)
        assert change is not None, "the slot is held"
        return change

    async def advance_unless_newer(
        self,
        row: RevisionRow,
        mutation: MutationRow | None,
        said: Mapping[str, object],
        *,
        package: str | None,
    ) -> ChangeRow | None:
        """Do the same where the slot is not held: None if it has gone on, and nothing was done."""
        json, kind = orjson.dumps(said), "save.revision"
        values = (*self._values(row, mutation), package, kind, json, CHANGES_KEPT)
        appended = await self.connection.fetchrow(SQL["advance"], *values)
        if appended is None:
            return None
        slot = self.slot
        return ChangeRow(
            slot.account_id, appended["number"], kind, slot.slot_id, json, appended["at"]
        )

    def _values(self, row: RevisionRow, mutation: MutationRow | None) -> tuple[object, ...]:
        return (
            self.slot.slot_id,
            self.slot.account_id,
            row.revision,
            list(row.parents),
            row.reason,
            row.source,
            row.state,
            row.schema_version,
            row.device,
            row.play_time_s,
            len(row.state),
            row.checksum,
            row.is_modded,
            *(mutation or (None, None, "written", None, None)),
        )

    async def append_change(self, kind: str, data: Mapping[str, object]) -> ChangeRow:
        """Append a change to the account's stream."""
        slot = self.slot
        return await self._changes.append(
            self.connection, slot.account_id, kind, slot.slot_id, data
        )

    # ------------------------------------------------------------------ conflicts

    async def list_open_branches(self) -> list[tuple[str, int | None, int]]:
        """List the open conflicts: id, base, branch."""
        rows = await self.connection.fetch(SQL["open_branches"], self.slot.slot_id)
        return [tuple(row) for row in rows]

    async def read_conflict(self, conflict_id: str) -> StoredConflict:
        """Read a conflict; raise `ConflictNotFound`."""
        row = await self.connection.fetchrow(SQL["find_conflict"], self.slot.slot_id, conflict_id)
        if row is None:
            raise ConflictNotFound
        return StoredConflict(*row)

    async def open_conflict(
        self, conflict_id: str, *, base: int | None, branch: int, paths: Sequence[str]
    ) -> None:
        """Put a branch that could not be merged on record."""
        slot = self.slot
        values = (conflict_id, slot.slot_id, slot.account_id, base, branch, list(paths))
        await self.connection.execute(SQL["open_conflict"], *values)

    async def extend_conflict(self, conflict_id: str, branch: int, paths: Sequence[str]) -> None:
        """Note that the branch of a conflict went on."""
        await self.connection.execute(SQL["extend_conflict"], conflict_id, branch, list(paths))

    async def close_conflict(self, conflict_id: str, resolution: int) -> None:
        """Note which revision resolved a conflict."""
        await self.connection.execute(SQL["close_conflict"], conflict_id, resolution)

    async def reopen_conflict(self, conflict_id: str) -> None:
        """Open a conflict again."""
        await self.connection.execute(SQL["reopen_conflict"], conflict_id)

    # ------------------------------------------------------------------ pruning

    async def list_kept_revisions(self) -> list[tuple[int, int, str, bool]]:
        """List the revisions that have their states: number, size, device, whether pinned."""
        rows = await self.connection.fetch(SQL["kept_revisions"], *self._key)
        return [tuple(row) for row in rows]

    async def prune_revisions(self, revisions: Sequence[int], *, rows_max: int) -> None:
        """Forget states, and rows without one beyond a bound."""
        if revisions:
            await self.connection.execute(SQL["prune_revisions"], *self._key, list(revisions))
        await self.connection.execute(SQL["forget_revisions"], *self._key, rows_max)


async def lock_slot(connection: Connection, account_id: UserId, slot_id: str) -> StoredSlot:
    """Hold an account's slot in the caller's transaction; raise `SaveSlotNotFound`."""
    return await _read(connection, "lock_slot", account_id, slot_id)


async def read_slot(connection: Connection, account_id: UserId, slot_id: str) -> StoredSlot:
    """Read an account's slot; raise `SaveSlotNotFound`."""
    return await _read(connection, "read_slot", account_id, slot_id)


async def slot_titles(connection: Connection, account_id: UserId) -> dict[str, str]:
    """Read which title each slot of an account is of."""
    rows = await connection.fetch(SQL["list_titles"], account_id)
    return {row["slot_id"]: row["title"] for row in rows}


async def _read(connection: Connection, query: str, account_id: UserId, slot_id: str) -> StoredSlot:
    row = await connection.fetchrow(SQL[query], slot_id, account_id)
    if row is None:
        raise SaveSlotNotFound
    return StoredSlot(*row)


async def _revision(
    connection: Connection, account_id: UserId, slot_id: str, revision: int
) -> StoredRevision:
    row = await connection.fetchrow(SQL["read_revision"], account_id, slot_id, revision)
    if row is None:
        raise RevisionNotFound
    return StoredRevision(*row)


def parse_state(json: bytes) -> dict[str, Any]:
    """Read a state from its column."""
    state: dict[str, Any] = orjson.loads(json)
    return state
