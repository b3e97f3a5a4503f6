"""Content packages in PostgreSQL.

Editors make, change and delete drafts under row level security, and the database puts that on
record. Releasing, withdrawing and signing are the server's: the row of `content_state` is locked
first, so that of several nodes one at a time does it, and what is released and what is signed
change together.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, Literal, NamedTuple

import asyncpg

from persistence.accounts.audit_log import record_entry
from persistence.database import Connection, Database
from persistence.queries import load_queries
from persistence.rls import Requester, RlsDatabase
from protocol.errors import Forbidden
from protocol.packages import PackageKind, PackageNotFound, PackageStatus, VersionTaken

SQL = load_queries("packages/store")

DELTA_ATTEMPTS_MAX: Final = 3
# Versions of signed metadata that stay, for clients that began to read before the newest.
METADATA_KEPT: Final = 16

SignedRole = Literal["root", "targets", "snapshot", "timestamp"]
DeltaState = Literal["due", "made", "useless", "failed"]


class PackageTrack(NamedTuple):
    """Where versions follow each other: a package in a channel and a locale."""

    name: str
    channel: str
    locale: str


class DraftPackage(NamedTuple):
    """What a new package is written with; `metadata` is JSON."""

    package_id: str
    name: str
    version: str
    kind: PackageKind
    channel: str
    locale: str
    release_notes: str
    checksum: str
    required_client_version: str
    rollout_percent: int
    size: int
    metadata: bytes


class StoredPackage(NamedTuple):
    """A package; `metadata` is JSON. The bytes are there once `uploaded_at` is set."""

    package_id: str
    name: str
    version: str
    kind: PackageKind
    channel: str
    locale: str
    release_notes: str
    checksum: str
    required_client_version: str
    rollout_percent: int
    size: int
    metadata: bytes
    parent_id: str | None
    status: PackageStatus
    key: str | None
    created_at: datetime
    uploaded_at: datetime | None
    released_at: datetime | None
    withdrawn_at: datetime | None
    withdrawn_reason: str | None

    @property
    def track(self) -> PackageTrack:
        """Where it is a version."""
        return PackageTrack(self.name, self.channel, self.locale)


class StoredDelta(NamedTuple):
    """A delta that is there."""

    package_id: str
    parent_id: str
    key: str
    size: int
    checksum: str


class DueDelta(NamedTuple):
    """A delta that this node may make now."""

    package_id: str
    parent_id: str
    attempts: int
    state: DeltaState


class SigningKey(NamedTuple):
    """A key that signs; `sealed` is its private half."""

    role: SignedRole
    key_id: str
    sealed: bytes


class SignedMetadata(NamedTuple):
    """Metadata as it is served."""

    role: SignedRole
    version: int
    body: bytes
    expires_at: datetime


class PackageStore:
    """Packages; `who` is whom the database takes a request for."""

    def __init__(self, database: Database, rls: RlsDatabase) -> None:
        self._database = database
        self._rls = rls

    # ------------------------------------------------------------------ under row level security

    async def add(self, who: Requester, draft: DraftPackage) -> StoredPackage:
        """Add a draft; raise `VersionTaken`, or `Forbidden` for whoever is no editor."""
        async with self._rls.as_user(who) as connection:
            try:
                await connection.execute(SQL["add_package"], *draft)
            except asyncpg.UniqueViolationError:
                raise VersionTaken(field="version") from None
            return await _found(connection, draft.package_id)

    async def find(self, who: Requester | None, package_id: str) -> StoredPackage:
        """Read a package that somebody may see; raise `PackageNotFound`."""
        async with self._rls.as_user(who) as connection:
            return await _found(connection, package_id)

    async def list_packages(
        self,
        who: Requester | None,
        *,
        name: str | None,
        status: PackageStatus | None,
        after: tuple[datetime, str] | None,
        limit: int,
    ) -> list[StoredPackage]:
        """Read packages that somebody may see, newest first."""
        values = (name, status, *(after or (None, None)), limit)
        async with self._rls.as_user(who) as connection:
            return [
                StoredPackage(*row) for row in await connection.fetch(SQL["list_packages"], *values)
            ]

    async def change(
        self, who: Requester, package_id: str, *, notes: str | None, percent: int | None
    ) -> StoredPackage:
        """Change notes and rollout; raise `PackageNotFound`, or `Forbidden`."""
        async with self._rls.as_user(who) as connection:
            await _found(connection, package_id)
            values = (package_id, notes, percent)
            if await connection.fetchval(SQL["change_package"], *values) is None:
                raise Forbidden
            return await _found(connection, package_id)

    async def delete(self, who: Requester, package_id: str) -> bool:
        """Delete a draft; False where the package is none (any more)."""
        async with self._rls.as_user(who) as connection:
            await _found(connection, package_id)
            return await connection.fetchval(SQL["delete_package"], package_id) is not None

    # ------------------------------------------------------------------ as the server

    async def count(self, most: int) -> int:
        """Count the packages, up to a bound."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["count_packages"], most))

    async def list_versions(self, place: PackageTrack) -> Sequence[StoredPackage]:
        """Read every version in a place."""
        async with self._database.acquire() as connection:
            return await _versions(connection, place)

    async def read(self, package_id: str) -> StoredPackage:
        """Read a package; raise `PackageNotFound`."""
        async with self._database.acquire() as connection:
            return await _found(connection, package_id)

    async def list_drafts(self) -> list[StoredPackage]:
        """Read every draft, oldest first."""
        async with self._database.acquire() as connection:
            return [StoredPackage(*row) for row in await connection.fetch(SQL["drafts"])]

    async def begin_upload(self, package_id: str, key: str) -> bool:
        """Say where a draft's bytes are about to be; False if it is no draft."""
        async with self._database.acquire() as connection:
            return await connection.fetchval(SQL["begin_upload"], package_id, key) is not None

    async def finish_upload(self, package_id: str, key: str, *, actor: str) -> StoredPackage | None:
        """Record that a draft's bytes are there; None if another upload took its place."""
        async with self._database.transaction() as connection:
            if await connection.fetchval(SQL["finish_upload"], package_id, key) is None:
                return None
            stored = await _found(connection, package_id)
            after = {"checksum": stored.checksum, "size": stored.size}
            await record_entry(
                connection, actor=actor, action="content_upload", target=package_id, after=after
            )
            return stored

    async def read_generation(self) -> int:
        """Read a number that rises with every change."""
        async with self._database.acquire() as connection:
            return int(await connection.fetchval(SQL["generation"]))

    async def read_catalog(self) -> tuple[list[StoredPackage], list[StoredDelta]]:
        """Read every package that is or was released, and every delta that is there."""
        async with self._database.acquire() as connection:
            packages = [StoredPackage(*row) for row in await connection.fetch(SQL["catalog"])]
            deltas = [StoredDelta(*row) for row in await connection.fetch(SQL["made_deltas"])]
        return packages, deltas

    async def read_metadata(self, role: SignedRole, version: int | None) -> bytes | None:
        """Read signed metadata; the newest where no version is named."""
        async with self._database.acquire() as connection:
            body: bytes | None = await connection.fetchval(SQL["read_metadata"], role, version)
        return body

    async def read_newest_metadata(self) -> dict[SignedRole, SignedMetadata]:
        """Read the newest signed metadata of each role."""
        async with self._database.acquire() as connection:
            return await _newest(connection)

    @asynccontextmanager
    async def begin_release(self) -> AsyncIterator["ReleaseTransaction"]:
        """Release or sign in a transaction, one node at a time."""
        async with self._database.transaction() as connection:
            await connection.execute(SQL["lock_state"])
            yield ReleaseTransaction(connection)

    # ------------------------------------------------------------------ deltas

    async def take_due_delta(self, *, lease_s: float) -> DueDelta | None:
        """Take a delta that is due; its state says if it has failed too often."""
        async with self._database.acquire() as connection:
            row = await connection.fetchrow(SQL["take_delta"], lease_s, DELTA_ATTEMPTS_MAX)
        return None if row is None else DueDelta(*row)

    async def set_delta_key(self, due: DueDelta, key: str) -> bool:
        """Say where a delta is about to be; False if another node took it over."""
        values = (due.package_id, due.parent_id, due.attempts, key)
        async with self._database.acquire() as connection:
            return await connection.fetchval(SQL["place_delta"], *values) is not None

    async def finish_delta(
        self,
        due: DueDelta,
        state: DeltaState,
        *,
        size: int | None = None,
        checksum: str | None = None,
    ) -> bool:
        """Record how making a delta went; False if another node took it over."""
        values = (due.package_id, due.parent_id, due.attempts, state, size, checksum)
        async with self._database.acquire() as connection:
            return await connection.fetchval(SQL["settle_delta"], *values) is not None

    # ------------------------------------------------------------------ keys

    async def list_signing_keys(self) -> Sequence[SigningKey]:
        """Read every key that is kept."""
        async with self._database.acquire() as connection:
            rows = await connection.fetch(SQL["every_signing_key"])
        return [SigningKey(*row) for row in rows]

    async def reseal_key(self, key: SigningKey, sealed: bytes) -> None:
        """Store a key under another seal; nothing happens if it has changed meanwhile."""
        async with self._database.acquire() as connection:
            await connection.execute(SQL["reseal_signing_key"], key.key_id, key.sealed, sealed)


class ReleaseTransaction:
    """What may be done while nobody else releases or signs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lock(self, package_id: str) -> StoredPackage:
        """Read a package that is about to change; raise `PackageNotFound`."""
        row = await self._connection.fetchrow(SQL["lock_package"], package_id)
        if row is None:
            raise PackageNotFound
        return StoredPackage(*row)

    async def list_versions(self, place: PackageTrack) -> list[StoredPackage]:
        """Read every version in a place."""
        return await _versions(self._connection, place)

    async def list_released(self) -> list[StoredPackage]:
        """Read what is released."""
        rows = await self._connection.fetch(SQL["catalog"])
        return [stored for row in rows if (stored := StoredPackage(*row)).status == "released"]

    async def release(self, package_id: str, *, parent_id: str | None, actor: str) -> StoredPackage:
        """Release a draft, and queue its delta."""
        await self._connection.execute(SQL["release_package"], package_id, parent_id)
        if parent_id is not None:
            await self._connection.execute(SQL["queue_delta"], package_id, parent_id)
        return await self._moved(package_id, "release", actor=actor)

    async def withdraw(self, package_id: str, *, reason: str, actor: str) -> StoredPackage:
        """Withdraw a released package."""
        await self._connection.execute(SQL["withdraw_package"], package_id, reason)
        return await self._moved(package_id, "withdraw", actor=actor, reason=reason)

    async def _moved(self, package_id: str, act: str, *, actor: str, **more: str) -> StoredPackage:
        stored = await self.lock(package_id)
        before = "draft" if act == "release" else "released"
        named = {"name": stored.name, "version": stored.version}
        await record_entry(
            self._connection,
            actor=actor,
            action=f"content_{act}",
            target=package_id,
            before={"status": before},
            after={"status": stored.status, **named, **more},
        )
        return stored

    async def read_keys(self) -> dict[SignedRole, SigningKey]:
        """Read the keys that sign."""
        rows = await self._connection.fetch(SQL["signing_keys"])
        return {row["role"]: SigningKey(*row) for row in rows}

    async def read_newest_metadata(self) -> dict[SignedRole, SignedMetadata]:
        """Read the newest signed metadata of each role."""
        return await _newest(self._connection)

    async def replace_key(self, old: SigningKey | None, new: SigningKey) -> None:
        """Sign with another key from now on."""
        if old is not None:
            await self._connection.execute(SQL["retire_signing_key"], old.key_id)
        await self._connection.execute(SQL["add_signing_key"], *new)

    async def publish(self, metadata: Sequence[SignedMetadata]) -> None:
        """Publish signed metadata, and forget what no client reads any more."""
        for each in metadata:
            await self._connection.execute(SQL["add_metadata"], *each)
            values = (each.role, each.version, METADATA_KEPT)
            await self._connection.execute(SQL["clear_metadata"], *values)

    async def record_rotation(self, role: SignedRole, key_id: str, *, actor: str) -> None:
        """Put on record that a role has another key."""
        await record_entry(
            self._connection,
            actor=actor,
            action="content_rotate_key",
            target=role,
            after={"key_id": key_id},
        )


async def _found(connection: Connection, package_id: str) -> StoredPackage:
    row = await connection.fetchrow(SQL["find_package"], package_id)
    if row is None:
        raise PackageNotFound
    return StoredPackage(*row)


async def _versions(connection: Connection, place: PackageTrack) -> list[StoredPackage]:
    return [StoredPackage(*row) for row in await connection.fetch(SQL["versions_of"], *place)]


async def _newest(connection: Connection) -> dict[SignedRole, SignedMetadata]:
    rows = await connection.fetch(SQL["newest_metadata"])
    return {row["role"]: SignedMetadata(*row) for row in rows}
