"""HTTP bodies of content packages: what editors upload and release, and what clients fetch."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError
from semver import Version

from protocol.envelope import WireModel
from protocol.errors import PlayhallError
from protocol.history import Cursor, Limit
from protocol.ids import UUID_PATTERN
from protocol.lobbies import pattern_with_message
from protocol.text import NAME, SOME_LINES

VERSION_CHARS_MAX: Final = 64
NOTES_CHARS_MAX: Final = 4000
REASON_CHARS_MAX: Final = 500
PATHS_MAX: Final = 64
PATH_CHARS_MAX: Final = 200
REQUIREMENTS_MAX: Final = 16
HAVE_MAX: Final = 200
HAVE_CHARS_MAX: Final = 7000
CHANNELS_MAX: Final = 8
MODS_MAX: Final = 32
SCHEMA_VERSION_MAX: Final = 2**31 - 1
PACKAGE_BYTES_MAX: Final = 2**40

NAME_PATTERN: Final = "[a-z0-9][a-z0-9_-]{0,63}"
CHANNEL_PATTERN: Final = "[a-z0-9][a-z0-9_-]{0,31}"
LOCALE_PATTERN: Final = "[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?"
EVERY_LOCALE: Final = "und"
DEFAULT_CHANNEL: Final = "stable"


def _version(text: str) -> str:
    if not Version.is_valid(text) or "+" in text or not text.isascii():
        raise PydanticCustomError(
            "version", "Write a semantic version such as 1.4.0 or 2.0.0-beta.1, without +build"
        )
    return text


PackageName = Annotated[
    str,
    StringConstraints(max_length=64),
    pattern_with_message(
        NAME_PATTERN, "Use a to z, digits, - and _, beginning with a letter or digit"
    ),
]
PackageVersion = Annotated[
    str, StringConstraints(max_length=VERSION_CHARS_MAX), AfterValidator(_version)
]
Channel = Annotated[
    str,
    StringConstraints(max_length=32),
    pattern_with_message(
        CHANNEL_PATTERN, "Use a to z, digits, - and _, beginning with a letter or digit"
    ),
]
Locale = Annotated[
    str,
    StringConstraints(max_length=12),
    pattern_with_message(
        LOCALE_PATTERN, "Write a language tag such as de, pt-BR or zh-Hant; und is for all"
    ),
]
Checksum = Annotated[
    str,
    StringConstraints(max_length=71),
    pattern_with_message(
        "sha256:[0-9a-f]{64}", "Write sha256: and the hash of the bytes in hexadecimal"
    ),
]
StatePath = Annotated[
    str,
    StringConstraints(max_length=PATH_CHARS_MAX),
    pattern_with_message(
        r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*",
        "Write names of a save's fields with dots between them, such as flags.chapter",
    ),
]
Notes = Annotated[str, StringConstraints(max_length=NOTES_CHARS_MAX), SOME_LINES]
Percent = Annotated[int, Field(ge=0, le=100)]
PackageStatus = Literal["draft", "released", "withdrawn"]
PackageKind = Literal["content", "mod"]
SchemaVersion = Annotated[int, Field(ge=0, le=SCHEMA_VERSION_MAX)]
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=REASON_CHARS_MAX),
    SOME_LINES,
]


class ModRequirement(WireModel):
    """A package that a mod needs, from a version on."""

    name: PackageName
    version: PackageVersion


class ModManifest(WireModel):
    """What a mod may see and write of a save.

    It writes below `mods.<its name>` alone. It reads that, and what the server exposes to mods.
    """

    title: Annotated[str, StringConstraints(min_length=1, max_length=64), NAME]
    reads: Annotated[list[StatePath], Field(max_length=PATHS_MAX)]
    writes: Annotated[list[StatePath], Field(max_length=PATHS_MAX)]
    requires: Annotated[list[ModRequirement], Field(max_length=REQUIREMENTS_MAX)]


class SaveSupport(WireModel):
    """Which saves load under a package: those of a title whose schema has such a version.

    Older ones load as well if upgrade steps bring them there.
    """

    title: PackageName = Field(description="As the save slots name it.")
    oldest: SchemaVersion
    newest: SchemaVersion


class NewPackage(WireModel):
    """A version of a package, to be uploaded next."""

    name: PackageName
    version: PackageVersion
    kind: PackageKind = "content"
    channel: Channel = DEFAULT_CHANNEL
    locale: Locale = Field(default=EVERY_LOCALE, description="`und` is for every language.")
    release_notes: Notes = ""
    checksum: Checksum = Field(description="Of the bytes that will be sent.")
    size: Annotated[int, Field(ge=1, le=PACKAGE_BYTES_MAX, description="In bytes.")]
    required_client_version: PackageVersion = Field(
        default="0.0.0", description="The lowest version of a client that can use it."
    )
    rollout_percent: Percent = Field(default=100, description="Share of the accounts that get it.")
    mod: ModManifest | None = Field(default=None, description="Of a mod, and required for it.")
    saves: SaveSupport | None = Field(
        default=None, description="If set, a release is refused while stored saves would not load."
    )


class PackageChange(WireModel):
    """Change a package; what is left out stays."""

    release_notes: Notes | None = None
    rollout_percent: Percent | None = None


class Withdrawal(WireModel):
    """Why a package is withdrawn."""

    reason: Reason


class Rollback(WireModel):
    """Go back to an earlier version: what is released above it is withdrawn."""

    name: PackageName
    channel: Channel = DEFAULT_CHANNEL
    locale: Locale = EVERY_LOCALE
    version: PackageVersion
    reason: Reason


class PackageDelta(WireModel):
    """The difference to an earlier version: a zstd frame with those bytes as its prefix."""

    from_package_id: str
    from_version: str
    url: str
    size: int
    checksum: str
    format: Literal["zstd-patch"] = "zstd-patch"


class Package(WireModel):
    """A version of a package."""

    package_id: str
    name: str
    version: str
    kind: PackageKind
    channel: str
    locale: str
    release_notes: str
    checksum: str
    size: int
    required_client_version: str
    rollout_percent: int
    mod: ModManifest | None
    saves: SaveSupport | None
    status: PackageStatus
    url: str = Field(description="Where the bytes are; editors PUT those of a draft there.")
    created_at: str
    uploaded_at: str | None
    released_at: str | None
    withdrawn_at: str | None
    withdrawn_reason: str | None


class Packages(WireModel):
    """Packages, newest first; `next` is the cursor of older ones."""

    packages: list[Package]
    next: str | None


class PackageDeleted(WireModel):
    """The draft and its bytes are gone."""

    package_id: str


class RolledBack(WireModel):
    """What was withdrawn; clients are offered the version that was asked for."""

    withdrawn: list[Package]


class PackagesQuery(WireModel):
    """Which packages; those that are not released are for editors."""

    name: PackageName | None = None
    status: PackageStatus | None = None
    cursor: Cursor | None = None
    limit: Limit = 20


class PackagePath(WireModel):
    """The package in an address."""

    package_id: Annotated[str, StringConstraints(pattern=UUID_PATTERN)]


class DeltaPath(WireModel):
    """The delta in an address."""

    package_id: Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
    parent_id: Annotated[str, StringConstraints(pattern=UUID_PATTERN)]


class ManifestQuery(WireModel):
    """What a client is, and what it has."""

    client: Annotated[str, StringConstraints(min_length=1, max_length=VERSION_CHARS_MAX)] = Field(
        description="The client's semantic version."
    )
    locale: Annotated[str, StringConstraints(max_length=12)] = Field(
        default=EVERY_LOCALE, description="Such as `de-AT`, which falls back to `de` and `und`."
    )
    channel: Annotated[str, StringConstraints(max_length=300)] = Field(
        default=DEFAULT_CHANNEL, description="Comma separated, the most important first."
    )
    have: Annotated[str, StringConstraints(max_length=HAVE_CHARS_MAX)] = Field(
        default="",
        description="The `package_id`s of the packages that the client has, comma separated.",
    )
    mods: Annotated[str, StringConstraints(max_length=2200)] = Field(
        default="", description="Names of the mods that the player chose, comma separated."
    )
    installation: Annotated[str, StringConstraints(max_length=64)] = Field(
        default="", description="Without an account, what a staged rollout goes by."
    )


class Fetch(WireModel):
    """A package that the client does not have; `delta` if one starts from what it has."""

    package_id: str
    name: str
    version: str
    kind: PackageKind
    channel: str
    locale: str
    checksum: str
    size: int
    url: str
    target: str = Field(description="Its path in the signed metadata.")
    release_notes: str
    mod: ModManifest | None
    delta: PackageDelta | None


class NeedsClient(WireModel):
    """A newer version that this client is too old for."""

    name: str
    version: str
    required_client_version: str


class ContentManifest(WireModel):
    """What to fetch, what is up to date, and what to remove."""

    fetch: list[Fetch]
    current: list[str] = Field(description="`package_id`s to keep.")
    remove: list[str] = Field(description="`package_id`s that were withdrawn or replaced.")
    needs_client: list[NeedsClient]


class PackageNotFound(PlayhallError):
    """There is no such package, or it is not released."""

    code, status = "package_not_found", 404


class PackageWithdrawn(PlayhallError):
    """This package was withdrawn; ask /v1/content/manifest what to use instead."""

    code, status = "package_withdrawn", 410


class VersionTaken(PlayhallError):
    """version: this package already has this version here; choose a higher one."""

    code, status = "version_taken", 409


class VersionTooLow(PlayhallError):
    """version: a higher or equal version is released; choose a higher one, or roll back."""

    code, status = "version_too_low", 409


class PackageRefused(PlayhallError):
    """The bytes are not what was announced, or not safe to unpack."""

    code, status = "package_refused", 422


class WrongPackageStatus(PlayhallError):
    """The package is not in the right status for this; read it again."""

    code, status = "wrong_package_status", 409


class SavesWouldBreak(PlayhallError):
    """saves: stored saves would not load under this package; nothing was released."""

    code, status = "saves_would_break", 409


class TooManyPackages(PlayhallError):
    """There is the maximum number of packages; delete drafts that are not needed."""

    code, status = "too_many_packages", 409


HAVE_ITEM: Final = re.compile(UUID_PATTERN)
