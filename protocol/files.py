"""Files: the buckets with their limits, and uploads on the wire."""

import re
from collections.abc import Mapping
from typing import Annotated, Final, NamedTuple

from pydantic import AfterValidator, Field, StringConstraints

from protocol.blueprints import WireUserId
from protocol.envelope import WireModel
from protocol.ids import UUID_PATTERN, FileId
from protocol.lobbies import shaped

PATH_CHARS_MAX: Final = 200
REPLAY_NAME: Final = "full_session.json.gz"
REPLAY_TYPE: Final = "application/gzip"
REPLAY_JSON_BYTES_MAX: Final = 8 * 1024 * 1024  # after it is unpacked
TYPE_CHARS_MAX: Final = 200  # with its parameters, which count for nothing
MIB: Final = 1024 * 1024

_UUID: Final = UUID_PATTERN.strip("^$")
_NAME: Final = "[A-Za-z0-9_-]{1,64}"


class Kind(NamedTuple):
    """A type of file: its ending, and how its bytes begin (at an offset)."""

    content_type: str
    ending: str
    magic: bytes
    magic_at: int = 0


class Bucket(NamedTuple):
    """What a bucket may contain. `path` shows what paths look like, `pattern` checks them.

    `is_settled`: a path never gets other content, so it may be cached for ever.
    """

    path: str
    pattern: re.Pattern[str]
    bytes_max: int
    kinds: tuple[Kind, ...]
    is_public: bool = True
    is_settled: bool = True


PNG: Final = Kind("image/png", "png", b"\x89PNG\r\n\x1a\n")
JPEG: Final = Kind("image/jpeg", "jpg", b"\xff\xd8\xff")
WEBP: Final = Kind("image/webp", "webp", b"WEBP", 8)
GIF: Final = Kind("image/gif", "gif", b"GIF8")
GLB: Final = Kind("model/gltf-binary", "glb", b"glTF")
GZIP: Final = Kind(REPLAY_TYPE, "json.gz", b"\x1f\x8b\x08")
MP4: Final = Kind("video/mp4", "mp4", b"ftyp", 4)
WEBM: Final = Kind("video/webm", "webm", b"\x1a\x45\xdf\xa3")
OGG: Final = Kind("audio/ogg", "ogg", b"OggS")
WAV: Final = Kind("audio/wav", "wav", b"WAVE", 8)
FLAC: Final = Kind("audio/flac", "flac", b"fLaC")
MP3: Final = Kind("audio/mpeg", "mp3", b"ID3")
PDF: Final = Kind("application/pdf", "pdf", b"%PDF-")

BUCKETS: Final[Mapping[str, Bucket]] = {
    "user-assets": Bucket(
        "<user id>/<blueprint id>/model.glb",
        re.compile(rf"{_UUID}/{_UUID}/{_NAME}\.[a-z]+"),
        32 * MIB,
        (GLB, PNG),
    ),
    "replays": Bucket(
        f"<match id>/{REPLAY_NAME}",
        re.compile(rf"{_UUID}/full_session\.json\.gz"),
        4 * MIB,
        (GZIP,),
    ),
    "avatars": Bucket(
        "<user id>/avatar.png",
        re.compile(rf"{_UUID}/avatar\.[a-z]+"),
        5 * MIB,
        (PNG, JPEG, WEBP, GIF),
        is_settled=False,
    ),
    "creations": Bucket(
        "<user id>/<type>/<creation id>.png",
        re.compile(rf"{_UUID}/[a-z]{{1,32}}/{_UUID}\.[a-z0-9]+"),
        100 * MIB,
        (PNG, JPEG, WEBP, GIF, MP4, WEBM, OGG, WAV, FLAC, MP3, PDF),
        is_public=False,
    ),
    "thumbnails": Bucket(
        "<user id>/<creation id>-thumb.png",
        re.compile(rf"{_UUID}/{_UUID}-thumb\.[a-z]+"),
        2 * MIB,
        (PNG, JPEG, WEBP),
    ),
}


def media_type(content_type: str) -> str:
    """Give the type and subtype alone, in lowercase, as types are compared (RFC 9110, 8.3.1)."""
    return content_type.partition(";")[0].strip().lower()


BucketName = Annotated[
    str,
    StringConstraints(max_length=32),
    shaped("|".join(BUCKETS), f"There are the buckets {', '.join(BUCKETS)}"),
]
Path = Annotated[str, StringConstraints(min_length=1, max_length=PATH_CHARS_MAX)]
WireFileId = Annotated[FileId, StringConstraints(pattern=UUID_PATTERN)]


class NewUpload(WireModel):
    """An announced file; its size and type must match exactly."""

    bucket: BucketName
    path: Path
    size: Annotated[int, Field(ge=1, le=1024 * MIB, description="In bytes.")]
    content_type: Annotated[
        str, StringConstraints(max_length=TYPE_CHARS_MAX), AfterValidator(media_type)
    ]


class NewReplay(WireModel):
    """An announced replay of a peer match, gzipped."""

    size: Annotated[int, Field(ge=1, le=1024 * MIB, description="In bytes.")]


class Upload(WireModel):
    """Where to PUT the bytes, with the announced `Content-Type`; valid once."""

    upload_url: str
    expires_at: str
    url: str = Field(description="Where the file will be.")


class File(WireModel):
    """A stored file."""

    file_id: WireFileId
    owner_id: WireUserId | None
    url: str
    bucket: str
    path: str
    size: int
    content_type: str
    sha256: str
    is_public: bool
    created_at: str


class FileDeleted(WireModel):
    """The file was deleted; caches may keep copies for a while."""

    url: str


class UploadClaim(WireModel):
    """What an upload's token says."""

    upload_id: Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
