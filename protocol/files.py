"""Files and uploads on the wire."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints

from protocol.blueprints import WireUserId
from protocol.envelope import WireModel
from protocol.errors import PlayhallError
from protocol.ids import UUID_PATTERN, FileId
from protocol.limits import FILE_BYTES_MAX

PATH_CHARS_MAX: Final = 200
REPLAY_JSON_BYTES_MAX: Final = 8 * 1024 * 1024  # after it is unpacked
TYPE_CHARS_MAX: Final = 200  # with its parameters, which count for nothing


def media_type(content_type: str) -> str:
    """Give the type and subtype alone, in lowercase, as types are compared (RFC 9110, 8.3.1)."""
    return content_type.partition(";")[0].strip().lower()


BucketName = Annotated[
    str,
    StringConstraints(max_length=32),
    Field(description="Which buckets there are is up to the server; see the page on files."),
]
Path = Annotated[str, StringConstraints(min_length=1, max_length=PATH_CHARS_MAX)]
WireFileId = Annotated[FileId, StringConstraints(pattern=UUID_PATTERN)]


class NewUpload(WireModel):
    """An announced file; its size and type must match exactly."""

    bucket: BucketName
    path: Path
    size: Annotated[int, Field(ge=1, le=FILE_BYTES_MAX, description="In bytes.")]
    content_type: Annotated[
        str, StringConstraints(max_length=TYPE_CHARS_MAX), AfterValidator(media_type)
    ]


class NewReplay(WireModel):
    """An announced replay of a peer match, gzipped."""

    size: Annotated[int, Field(ge=1, le=FILE_BYTES_MAX, description="In bytes.")]


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


class FileMissing(PlayhallError):
    """There is no such file, or you may not see it."""

    code, status = "file_not_found", 404


class FileTaken(PlayhallError):
    """A file or an upload already exists at this path; delete it or choose another path."""

    code, status = "file_taken", 409


class FileInUse(PlayhallError):
    """A published creation of yours shows this file; archive or delete the creation first."""

    code, status = "file_in_use", 409


class FileRefused(PlayhallError):
    """The file does not match its announcement, or this bucket does not accept it."""

    code, status = "file_refused", 422


class BadUpload(PlayhallError):
    """This upload URL is invalid, expired, or already used; request a new one."""

    code, status = "bad_upload", 403


class QuotaExceeded(PlayhallError):
    """Your storage quota is used up; delete some files first."""

    code, status = "quota_exceeded", 409


class BadRange(PlayhallError):
    """The requested range is beyond the end of the file."""

    code, status = "bad_range", 416
