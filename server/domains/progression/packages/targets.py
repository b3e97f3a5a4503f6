"""What packages are called in the signed metadata, and where clients of it find them. Pure."""

import re
from typing import Final

from persistence.packages.store import PackageTrack, StoredPackage
from protocol.packages import CHANNEL_PATTERN, LOCALE_PATTERN, NAME_PATTERN

_FETCHED: Final = re.compile(
    f"(?P<name>{NAME_PATTERN})/(?P<channel>{CHANNEL_PATTERN})/(?P<locale>{LOCALE_PATTERN})/"
    r"(?P<hash>[0-9a-f]{64})\.(?P<version>[0-9A-Za-z.-]{5,64})\.pkg"
)
_METADATA: Final = re.compile(
    r"(?:(?P<version>[1-9][0-9]{0,8})\.)?(?P<role>root|targets|snapshot|timestamp)\.json"
)


def target_path(package: StoredPackage) -> str:
    """Write the path of a package in the signed metadata."""
    return f"{package.name}/{package.channel}/{package.locale}/{package.version}.pkg"


def read_target(path: str) -> tuple[PackageTrack, str, str] | None:
    """Read the place, version and checksum of a path with a hash, as clients fetch it."""
    found = _FETCHED.fullmatch(path)
    if found is None:
        return None
    place = PackageTrack(found["name"], found["channel"], found["locale"])
    return place, found["version"], f"sha256:{found['hash']}"


def read_metadata_name(name: str) -> tuple[str, int | None] | None:
    """Read the role and the version in a name such as `3.root.json` or `timestamp.json`."""
    found = _METADATA.fullmatch(name)
    if found is None:
        return None
    return found["role"], int(found["version"]) if found["version"] else None
