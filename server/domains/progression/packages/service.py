"""What editors do with packages, and what clients are told."""

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Final, NamedTuple

import orjson

from persistence.objects import ObjectStorage, reporting_full_disk
from persistence.packages.store import (
    PackageStore,
    ReleaseTransaction,
    SignedMetadata,
    SignedRole,
    SigningKey,
    StoredPackage,
)
from persistence.private_files import make_folder
from persistence.rls import Requester
from persistence.sealing import Seal
from protocol.errors import Overloaded, RequestTimeout
from protocol.ids import new_id
from protocol.packages import (
    ContentManifest,
    ManifestQuery,
    NewPackage,
    PackageChange,
    PackageRefused,
    PackageStatus,
    Rollback,
    SavesWouldBreak,
    TooManyPackages,
    VersionTooLow,
    WrongPackageStatus,
)
from server.core.clock import Clock
from server.core.settings import split_names
from server.core.subscriptions import AnnouncedSweep, Subscriptions
from server.domains.interfaces import SaveCompatibility, UnloadableSaves
from server.domains.progression.packages import rules, views
from server.domains.progression.packages.archives import check_archive
from server.domains.progression.packages.lifetimes import is_due, key_seal_context, lifetimes_s
from server.domains.progression.packages.rules import ManifestRequest, PackageCatalog
from server.domains.progression.packages.settings import PackageSettings
from server.domains.services import InterfaceNotProvided, Services

log = logging.getLogger(__name__)

RECEIVED_AT_ONCE: Final = 4
RECEIVE_S: Final = 1800.0
CHECKED_AT_ONCE: Final = 1
ANSWERS_MAX: Final = 2048

# Where saves say whether they load; None if no domain of this node has saves.
FindSaves = Callable[[], SaveCompatibility | None]


class ManifestAnswer(NamedTuple):
    """A manifest as it is sent, and the tag that names it."""

    tag: str
    body: bytes


class ManifestService:
    """What clients are told, out of memory.

    The catalog is read again when another node announces a change, and when the number of changes
    in the database is another one. Equal questions get the same bytes.
    """

    def __init__(self, store: PackageStore, subscriptions: Subscriptions) -> None:
        self._store = store
        self._generation = -1
        self._looking = asyncio.Lock()
        self._answers: OrderedDict[tuple[ManifestRequest, frozenset[str]], ManifestAnswer] = (
            OrderedDict()
        )
        self._changed = AnnouncedSweep(subscriptions, "content", self.refresh_catalog)
        self.catalog = PackageCatalog((), ())
        self.answered = 0

    async def refresh_catalog(self) -> None:
        """Read what is released, if anything has changed.

        One look after the other: an older one that takes longer must not undo a newer one.
        """
        async with self._looking:
            generation = await self._store.read_generation()
            if generation != self._generation:
                # What changes meanwhile is read as well, and once more at the next look.
                self.catalog = PackageCatalog(*await self._store.read_catalog())
                self._generation = generation
                self._answers.clear()

    async def announce(self) -> None:
        """Serve what was just changed, here and on the other nodes."""
        await self.refresh_catalog()
        self._changed.announce_sweep()

    def make_manifest(self, query: ManifestQuery, subject: str) -> ManifestAnswer:
        """Tell a client what to fetch; `subject` is what a staged rollout goes by."""
        self.answered += 1
        asked, left_out = rules.parse_manifest_query(query), self.catalog.list_excluded(subject)
        key = (asked, left_out)
        if (known := self._answers.get(key)) is not None:
            self._answers.move_to_end(key)
            return known
        manifest: ContentManifest = views.manifest_view(
            self.catalog, self.catalog.choose_packages(*key)
        )
        body = orjson.dumps(manifest.model_dump())
        answer = ManifestAnswer(hashlib.blake2b(body, digest_size=16).hexdigest(), body)
        self._answers[key] = answer
        if len(self._answers) > ANSWERS_MAX:
            self._answers.popitem(last=False)
        return answer


class MetadataSigner:
    """Signs what is released; the library is imported when it is first needed."""

    def __init__(self, *, seal: Seal, clock: Clock, timestamp_s: int) -> None:
        self._seal = seal
        self._clock = clock
        self._lifetimes_s = lifetimes_s(timestamp_s)

    def is_due(self, newest: SignedMetadata, now: datetime) -> bool:
        """Say whether metadata is to be signed anew."""
        return is_due(newest, self._lifetimes_s[newest.role], now)

    async def sign(
        self,
        work: ReleaseTransaction,
        *,
        released: Sequence[StoredPackage] | None,
        rotate: SignedRole | None = None,
    ) -> bool:
        """Sign what has changed and what is due, in a transaction; says whether there was any."""
        keys, newest = await work.read_keys(), await work.read_newest_metadata()
        signed = await asyncio.to_thread(
            self._signed, keys, newest, self._clock.now(), released, rotate
        )
        for old, new in signed.keys:
            await work.replace_key(old, new)
        await work.publish(signed.metadata)
        return bool(signed.metadata)

    def _signed(
        self,
        keys: dict[SignedRole, SigningKey],
        newest: dict[SignedRole, SignedMetadata],
        now: datetime,
        released: Sequence[StoredPackage] | None,
        rotate: SignedRole | None,
    ) -> Any:
        # It takes up to seconds where the libraries of cloud providers are installed as well.
        signing = import_module("server.domains.progression.packages.signing")
        repository = signing.SigningRound(
            seal=self._seal, keys=keys, newest=newest, now=now, lifetimes_s=self._lifetimes_s
        )
        return repository.sign(released, rotate=rotate)


class PackageService:
    """The use cases of editors; `folder` is for uploads under way."""

    def __init__(
        self,
        *,
        store: PackageStore,
        objects: ObjectStorage,
        signer: MetadataSigner,
        find_saves: FindSaves,
        settings: PackageSettings,
        folder: Path,
        changed: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._objects = objects
        self._signer = signer
        self._find_saves = find_saves
        self._settings = settings
        self._folder = folder
        self._changed = changed
        self._exposed = split_names(settings.content_mod_reads)
        self._receiving = 0
        self._checks = asyncio.Semaphore(CHECKED_AT_ONCE)

    # ------------------------------------------------------------------ drafts

    async def add(self, who: Requester, new: NewPackage) -> StoredPackage:
        """Make a draft; raise `VersionTaken`, `VersionTooLow`, `TooManyPackages`."""
        rules.check_new(new, exposed=self._exposed)
        bytes_max, packages_max = (
            self._settings.content_package_bytes_max,
            self._settings.content_packages_max,
        )
        if new.size > bytes_max:
            raise PackageRefused(
                f"size: a package can have at most {bytes_max} bytes.", field="size"
            )
        if await self._store.count(packages_max) >= packages_max:
            raise TooManyPackages
        draft = views.draft_package(new_id(), new)
        _require_above(draft.version, await self._store.list_versions(views.package_track(new)))
        return await self._store.add(who, draft)

    async def change(self, who: Requester, package_id: str, change: PackageChange) -> StoredPackage:
        """Change notes and rollout."""
        changed = await self._store.change(
            who, package_id, notes=change.release_notes, percent=change.rollout_percent
        )
        await self._changed()
        return changed

    async def delete(self, who: Requester, package_id: str) -> None:
        """Delete a draft with its bytes."""
        if not await self._store.delete(who, package_id):
            raise WrongPackageStatus("Only drafts can be deleted; withdraw a released package.")

    async def receive(
        self, who: Requester, package_id: str, chunks: AsyncIterator[bytes]
    ) -> StoredPackage:
        """Take in a draft's bytes: streamed to disk, verified, stored, recorded.

        Raises `PackageRefused`, `WrongPackageStatus`, and `Overloaded` where too many are sent.
        """
        draft = await self._store.find(who, package_id)
        if draft.status != "draft":
            raise WrongPackageStatus("The bytes of a released package never change.")
        if self._receiving >= RECEIVED_AT_ONCE:
            raise Overloaded("Too many packages are being uploaded; try again in a moment.")
        self._receiving += 1
        try:
            with reporting_full_disk(), self._open() as file:
                async with asyncio.timeout(RECEIVE_S):
                    await _write(draft, chunks, file)
                await self._check(file)
                return await self._keep(draft, file, actor=who.user_id)
        except TimeoutError:
            raise RequestTimeout(
                f"The package did not arrive within {RECEIVE_S:.0f} seconds; send it again."
            ) from None
        finally:
            self._receiving -= 1

    def _open(self) -> IO[bytes]:
        make_folder(self._folder)
        return TemporaryFile(dir=self._folder)

    async def _check(self, file: IO[bytes]) -> None:
        async with self._checks:
            await asyncio.to_thread(
                check_archive, file, unpacked_bytes_max=self._settings.content_unpacked_bytes_max
            )

    async def _keep(self, draft: StoredPackage, file: IO[bytes], *, actor: str) -> StoredPackage:
        """Store the bytes. The row names the object before it is there, so that none is lost."""
        gone = WrongPackageStatus("The draft was released or deleted meanwhile.")
        key = f"content/{draft.name}/{draft.package_id}/{new_id()}"
        if not await self._store.begin_upload(draft.package_id, key):
            raise gone
        file.seek(0)
        await self._objects.put(key, file)
        stored = await self._store.finish_upload(draft.package_id, key, actor=actor)
        if stored is None:
            await self._objects.delete(key)
            raise gone
        return stored

    # ------------------------------------------------------------------ releases

    async def release(self, package_id: str, *, actor: str) -> StoredPackage:
        """Release a draft, and sign for it.

        Raises `WrongPackageStatus`, `VersionTooLow` and `SavesWouldBreak`.
        """
        draft = await self._store.read(package_id)
        await self.require_saves_load(draft)
        async with self._store.begin_release() as work:
            draft = await work.lock(package_id)
            _require(draft, "draft")
            if draft.uploaded_at is None:
                raise WrongPackageStatus("Send the bytes first: PUT them to the package's `url`.")
            versions = await work.list_versions(draft.track)
            _require_above(draft.version, versions)
            parent = rules.find_newest(versions)
            parent_id = None if parent is None else parent.package_id
            released = await work.release(package_id, parent_id=parent_id, actor=actor)
            await self._signer.sign(work, released=await work.list_released())
        await self._changed()
        return released

    async def withdraw(self, package_id: str, reason: str, *, actor: str) -> StoredPackage:
        """Withdraw a released package; clients are offered the one before it."""
        async with self._store.begin_release() as work:
            _require(await work.lock(package_id), "released")
            withdrawn = await work.withdraw(package_id, reason=reason, actor=actor)
            await self._signer.sign(work, released=await work.list_released())
        await self._changed()
        return withdrawn

    async def roll_back(self, rollback: Rollback, *, actor: str) -> list[StoredPackage]:
        """Withdraw what is released above a version, at once."""
        async with self._store.begin_release() as work:
            versions = await work.list_versions(views.package_track(rollback))
            target = next((each for each in versions if each.version == rollback.version), None)
            if target is None or target.status != "released":
                raise WrongPackageStatus(
                    "version: name a version that is released here.", field="version"
                )
            withdrawn = [
                await work.withdraw(each.package_id, reason=rollback.reason, actor=actor)
                for each in rules.list_released_above(versions, rollback.version)
            ]
            if withdrawn:
                await self._signer.sign(work, released=await work.list_released())
        await self._changed()
        return withdrawn

    async def drafts(self) -> list[StoredPackage]:
        """Read every draft."""
        return await self._store.list_drafts()

    async def read(self, package_id: str) -> StoredPackage:
        """Read a package, whatever its status; raise `PackageNotFound`."""
        return await self._store.read(package_id)

    async def require_saves_load(self, package: StoredPackage) -> None:
        """Refuse a package under which stored saves would not load; raise `SavesWouldBreak`."""
        broken = await self.find_unloadable_saves(package)
        if broken:
            worst = max(broken, key=lambda each: each.saves)
            raise SavesWouldBreak(
                f"saves: {sum(each.saves for each in broken)} stored saves would not load, "
                f"{worst.saves} of them of schema version {worst.schema_version}: {worst.reason}",
                field="saves",
            )

    async def find_unloadable_saves(self, package: StoredPackage) -> Sequence[UnloadableSaves]:
        """Find the stored saves that a package would break."""
        support, saves = views.save_support(package), self._find_saves()
        if support is None or saves is None:
            return ()
        return await saves.find_unloadable(
            support.title, oldest=support.oldest, newest=support.newest
        )

    # ------------------------------------------------------------------ signatures

    async def rotate_key(self, role: SignedRole, *, actor: str) -> str:
        """Give a role another key; says its id."""
        async with self._store.begin_release() as work:
            if not await work.read_keys():
                await self._signer.sign(work, released=await work.list_released())
            await self._signer.sign(work, released=None, rotate=role)
            key_id = (await work.read_keys())[role].key_id
            await work.record_rotation(role, key_id, actor=actor)
        await self._changed()
        return key_id

    async def read_root(self) -> bytes:
        """Give the first root, which clients ship with; keys are made if there are none."""
        async with self._store.begin_release() as work:
            if not await work.read_keys():
                await self._signer.sign(work, released=await work.list_released())
        first = await self._store.read_metadata("root", 1)
        assert first is not None, "roots stay for ever"
        return first


async def _write(draft: StoredPackage, chunks: AsyncIterator[bytes], file: IO[bytes]) -> None:
    """Write to disk what comes, never more than was announced, and compare the checksum."""
    digest, size = sha256(), 0
    async for chunk in chunks:
        size += len(chunk)
        if size > draft.size:
            raise PackageRefused(f"size: more than the {draft.size} bytes announced.", field="size")
        await asyncio.to_thread(_add, chunk, file, digest)
    if size < draft.size:
        raise PackageRefused(f"size: {size} bytes, not the {draft.size} announced.", field="size")
    checksum = f"sha256:{digest.hexdigest()}"
    if checksum != draft.checksum:
        raise PackageRefused(
            f"checksum: the bytes have {checksum}, not {draft.checksum} as announced.",
            field="checksum",
        )


def _add(chunk: bytes, file: IO[bytes], digest: Any) -> None:
    digest.update(chunk)
    file.write(chunk)


def _require(package: StoredPackage, status: PackageStatus) -> None:
    if package.status != status:
        raise WrongPackageStatus(f"The package is {package.status}, not {status}.")


def _require_above(version: str, versions: Sequence[StoredPackage]) -> None:
    newest = rules.find_newest(versions)
    if not rules.is_above(version, newest):
        assert newest is not None
        raise VersionTooLow(
            f"version: {newest.version} is released, and {version} is not higher.", field="version"
        )


def make_signer(services: Services, settings: PackageSettings) -> MetadataSigner:
    """Make what signs at a node."""
    return MetadataSigner(
        seal=services.interfaces.get(Seal),
        clock=services.clock,
        timestamp_s=settings.content_timestamp_s,
    )


def make_service(
    services: Services,
    settings: PackageSettings,
    *,
    changed: Callable[[], Awaitable[None]],
) -> PackageService:
    """Make the service of a node; `changed` has it serve what was just changed."""

    def find_saves() -> SaveCompatibility | None:
        try:
            return services.interfaces.get(SaveCompatibility)
        except InterfaceNotProvided:
            return None

    return PackageService(
        store=PackageStore(services.database, services.rls),
        objects=services.objects,
        signer=make_signer(services, settings),
        find_saves=find_saves,
        settings=settings,
        folder=services.config.data_dir / "uploads",
        changed=changed,
    )


async def reseal_signing_keys(store: PackageStore, seal: Seal) -> int:
    """Seal with the newest key what older ones sealed; says how many keys that concerned.

    Raises `Unsealable` where a key is missing.
    """
    old = [key for key in await store.list_signing_keys() if not seal.is_newest(key.sealed)]
    for key in old:
        about = key_seal_context(key.key_id)
        await store.reseal_key(key, seal.seal(seal.open(key.sealed, about=about), about=about))
    return len(old)
