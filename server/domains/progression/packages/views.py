"""Packages as they are written and shown."""

from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from persistence.packages.store import DraftPackage, PackageTrack, StoredDelta, StoredPackage
from protocol import packages as wire
from protocol.codec import validate
from server.core.clock import wire_fields
from server.core.cursors import CursorCodec
from server.domains.progression.packages.rules import ManifestChoices, PackageCatalog, PackageChoice
from server.domains.progression.packages.targets import target_path


class PackagePosition(NamedTuple):
    """Where a list of packages ended: they are sorted by these two, newest first."""

    created_at: datetime
    package_id: str


ONE: Final = "/v1/content/packages/{package_id}"
FILE: Final = f"{ONE}/file"
DELTA: Final = f"{ONE}/deltas/{{parent_id}}"
CURSOR: Final = CursorCodec("packages", PackagePosition, datetime, UUID)


def draft_package(package_id: str, new: wire.NewPackage) -> DraftPackage:
    """Turn what an editor sent into a package to be kept."""
    metadata = new.model_dump(include={"mod", "saves"}, exclude_none=True)
    return DraftPackage(
        package_id=package_id,
        name=new.name,
        version=new.version,
        kind=new.kind,
        channel=new.channel,
        locale=new.locale,
        release_notes=new.release_notes,
        checksum=new.checksum,
        required_client_version=new.required_client_version,
        rollout_percent=new.rollout_percent,
        size=new.size,
        metadata=orjson.dumps(metadata),
    )


def package_track(named: wire.NewPackage | wire.Rollback) -> PackageTrack:
    """Say where a version is one."""
    return PackageTrack(named.name, named.channel, named.locale)


def save_support(stored: StoredPackage) -> wire.SaveSupport | None:
    """Read which saves load under a package; None where it does not say."""
    found = _metadata(stored).get("saves")
    return None if found is None else validate(wire.SaveSupport, found)


def package_view(stored: StoredPackage) -> wire.Package:
    """Show a package."""
    fields = wire_fields(stored)
    for kept_back in ("metadata", "parent_id", "key"):
        del fields[kept_back]
    url = FILE.format(package_id=stored.package_id)
    return wire.Package(**fields, mod=_mod(stored), saves=save_support(stored), url=url)


def package_page(found: list[StoredPackage], limit: int) -> wire.Packages:
    """Show a page of packages."""
    older = CURSOR.after_page(
        found, limit, lambda last: PackagePosition(last.created_at, last.package_id)
    )
    return wire.Packages(packages=[package_view(each) for each in found], next=older)


def manifest_view(catalog: PackageCatalog, chosen: ManifestChoices) -> wire.ContentManifest:
    """Show what a client fetches, keeps and removes."""
    return wire.ContentManifest(
        fetch=[_fetch(catalog, each) for each in chosen.fetch],
        current=chosen.current,
        remove=chosen.remove,
        needs_client=[
            wire.NeedsClient(
                name=each.name,
                version=each.version,
                required_client_version=each.required_client_version,
            )
            for each in chosen.needs_client
        ],
    )


def _fetch(catalog: PackageCatalog, choice: PackageChoice) -> wire.Fetch:
    chosen = choice.package
    names = ("package_id", "name", "version", "kind", "channel", "locale", "checksum", "size")
    return wire.Fetch(
        **{name: getattr(chosen, name) for name in (*names, "release_notes")},
        url=FILE.format(package_id=chosen.package_id),
        target=target_path(chosen),
        mod=_mod(chosen),
        delta=None if choice.delta is None else _delta(catalog, choice.delta),
    )


def _delta(catalog: PackageCatalog, delta: StoredDelta) -> wire.PackageDelta:
    return wire.PackageDelta(
        from_package_id=delta.parent_id,
        from_version=catalog.packages[delta.parent_id].version,
        url=DELTA.format(package_id=delta.package_id, parent_id=delta.parent_id),
        size=delta.size,
        checksum=delta.checksum,
    )


def _mod(stored: StoredPackage) -> wire.ModManifest | None:
    found = _metadata(stored).get("mod")
    return None if found is None else validate(wire.ModManifest, found)


def _metadata(stored: StoredPackage) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(stored.metadata)
    return found
