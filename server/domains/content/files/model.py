"""Buckets of files: what each may contain, and how a setting changes the list. Pure.

It is imported with the settings by every command, so it imports no models of the wire.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, NamedTuple, TypeAlias

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from protocol.ids import UUID_PATTERN
from protocol.limits import FILE_BYTES_MAX

MIB: Final = 1024 * 1024
BUCKETS_MAX: Final = 64
REPLAYS: Final = "replays"
REPLAY_NAME: Final = "full_session.json.gz"
REPLAY_TYPE: Final = "application/gzip"

_UUID: Final = UUID_PATTERN.strip("^$")
_NAME: Final = "[A-Za-z0-9_-]{1,64}"
_ENDING: Final = r"(?:\.[a-z0-9]+)+"  # which of them is checked with the type


class FileType(NamedTuple):
    """A type of file: its ending, and how its bytes begin (at an offset)."""

    content_type: str
    ending: str
    magic: bytes
    magic_at: int = 0


class BucketRules(NamedTuple):
    """What a bucket may contain. `path` shows what paths look like, `pattern` checks them.

    `is_settled`: a path never gets other content, so it may be cached for ever.
    """

    path: str
    pattern: re.Pattern[str]
    bytes_max: int
    kinds: tuple[FileType, ...]
    is_public: bool = True
    is_settled: bool = True


Buckets: TypeAlias = Mapping[str, BucketRules]

PNG: Final = FileType("image/png", "png", b"\x89PNG\r\n\x1a\n")
JPEG: Final = FileType("image/jpeg", "jpg", b"\xff\xd8\xff")
WEBP: Final = FileType("image/webp", "webp", b"WEBP", 8)
GIF: Final = FileType("image/gif", "gif", b"GIF8")
GLB: Final = FileType("model/gltf-binary", "glb", b"glTF")
GZIP: Final = FileType(REPLAY_TYPE, "json.gz", b"\x1f\x8b\x08")
MP4: Final = FileType("video/mp4", "mp4", b"ftyp", 4)
WEBM: Final = FileType("video/webm", "webm", b"\x1a\x45\xdf\xa3")
OGG: Final = FileType("audio/ogg", "ogg", b"OggS")
WAV: Final = FileType("audio/wav", "wav", b"WAVE", 8)
FLAC: Final = FileType("audio/flac", "flac", b"fLaC")
MP3: Final = FileType("audio/mpeg", "mp3", b"ID3")
PDF: Final = FileType("application/pdf", "pdf", b"%PDF-")

# All that can be recognised by their first bytes; nothing else is ever taken in.
KINDS: Final = (PNG, JPEG, WEBP, GIF, GLB, GZIP, MP4, WEBM, OGG, WAV, FLAC, MP3, PDF)
_KINDS: Final = {kind.ending: kind for kind in KINDS}

# What there is if nothing is set.
BUCKETS: Final[Buckets] = {
    "user-assets": BucketRules(
        "<user id>/<blueprint id>/model.glb",
        re.compile(rf"{_UUID}/{_UUID}/{_NAME}\.[a-z]+"),
        32 * MIB,
        (GLB, PNG),
    ),
    REPLAYS: BucketRules(
        f"<match id>/{REPLAY_NAME}",
        re.compile(rf"{_UUID}/full_session\.json\.gz"),
        4 * MIB,
        (GZIP,),
    ),
    "avatars": BucketRules(
        "<user id>/avatar.png",
        re.compile(rf"{_UUID}/avatar\.[a-z]+"),
        5 * MIB,
        (PNG, JPEG, WEBP, GIF),
        is_settled=False,
    ),
    "creations": BucketRules(
        "<user id>/<type>/<creation id>.png",
        re.compile(rf"{_UUID}/[a-z]{{1,32}}/{_UUID}\.[a-z0-9]+"),
        100 * MIB,
        (PNG, JPEG, WEBP, GIF, MP4, WEBM, OGG, WAV, FLAC, MP3, PDF),
        is_public=False,
    ),
    "thumbnails": BucketRules(
        "<user id>/<creation id>-thumb.png",
        re.compile(rf"{_UUID}/{_UUID}-thumb\.[a-z]+"),
        2 * MIB,
        (PNG, JPEG, WEBP),
        is_public=False,
        is_settled=False,
    ),
}


# ------------------------------------------------------------------ the setting

_PLACES: Final = {"<user id>": _UUID, "<id>": _UUID, "<name>": _NAME}
_PLACE: Final = re.compile("|".join(_PLACES))
# A person writes into the folder that has their id as its name: the policies have it, too.
_PATH: Final = re.compile(r"<user id>(?:/(?:<id>|<name>|[a-z0-9_-])+)+")
_BUCKET: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")


class InvalidBuckets(Exception):
    """Why a list of buckets cannot be used; it reads as a sentence without a full stop."""


class _Change(BaseModel):
    """What is set of a bucket; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    path: str | None = None
    bytes_max: Annotated[int, Field(ge=1, le=FILE_BYTES_MAX)] | None = None
    types: Annotated[list[str], Field(min_length=1)] | None = None
    is_public: bool | None = None
    is_settled: bool | None = None


def parse_buckets(text: str) -> Buckets:
    """Read the list of buckets: those that there are, changed as a JSON object says.

    It has a name and what is different about the bucket, or null for one that is not wanted.
    Raises `InvalidBuckets`.
    """
    if not text.strip():
        return BUCKETS
    try:
        changes = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidBuckets(f"this is not JSON: {error}") from None
    if not isinstance(changes, dict):
        raise InvalidBuckets('write a JSON object, such as {"avatars": {"bytes_max": 1048576}}')
    buckets = dict(BUCKETS)
    for name, change in changes.items():
        if not _BUCKET.fullmatch(name):
            raise InvalidBuckets(f"name {name!r} with a to z, digits and dashes, 32 at most")
        if change is None and name != REPLAYS:
            buckets.pop(name, None)
        else:
            buckets[name] = _bucket(name, _read(name, change), buckets.get(name))
    if len(buckets) > BUCKETS_MAX:
        raise InvalidBuckets(f"list at most {BUCKETS_MAX} buckets")
    return buckets


def _read(name: str, change: Any) -> _Change:
    if not isinstance(change, dict):
        raise InvalidBuckets(f"{name}: write an object with what is different about it")
    try:
        return _Change.model_validate(change)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidBuckets(f"{name}: {first['loc'][0]}: {first['msg']}") from None


def _bucket(name: str, change: _Change, before: BucketRules | None) -> BucketRules:
    changed = change.model_dump(exclude_none=True)
    if name == REPLAYS and changed.keys() - {"bytes_max"}:
        raise InvalidBuckets(
            f"{name}: only bytes_max can be set, since the server writes these files"
        )
    kinds = tuple(_kind(name, ending) for ending in changed.pop("types", ()))
    if kinds:
        changed["kinds"] = kinds
    path = changed.pop("path", None)
    if before is not None:
        if path is not None:
            raise InvalidBuckets(f"{name}: leave out path, which only a bucket of your own has")
        return before._replace(**changed)
    if path is None or not kinds or "bytes_max" not in changed:
        raise InvalidBuckets(f"{name}: a bucket of your own needs path, bytes_max and types")
    if not _PATH.fullmatch(path):
        raise InvalidBuckets(
            f"{name}: write path as <user id>/ and then <id>, <name>, or a to z, digits, - and _, "
            "without an ending: <user id>/maps/<name>"
        )
    # A literal has none of the characters that mean something in a pattern.
    pattern = re.compile(_PLACE.sub(lambda place: _PLACES[place[0]], path) + _ENDING)
    return BucketRules(path=f"{path}.{kinds[0].ending}", pattern=pattern, **changed)


def _kind(name: str, ending: str) -> FileType:
    try:
        return _KINDS[ending]
    except KeyError:
        known = ", ".join(_KINDS)
        raise InvalidBuckets(f"{name}: there is no type {ending!r}; there are {known}") from None
