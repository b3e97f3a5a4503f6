"""What may be uploaded where, and what bytes look like. Pure."""

import re
from typing import Final

from protocol.errors import InvalidField
from protocol.files import (
    PATH_CHARS_MAX,
    FileRefused,
    NewReplay,
    NewUpload,
    QuotaExceeded,
)
from protocol.ids import UUID_PATTERN, MatchId, UserId
from server.domains.content.files.model import (
    KINDS,
    REPLAY_NAME,
    REPLAY_TYPE,
    REPLAYS,
    BucketRules,
    Buckets,
    FileType,
)

# What clients send for bytes whose type nobody has given.
_SAYS_NOTHING: Final = frozenset(
    ["", "application/octet-stream", "application/x-www-form-urlencoded", "text/plain"]
)
HEAD_BYTES: Final = 16  # enough to recognise any type

# The form of all addresses, also of buckets that there are no more: their files stay.
_BUCKET: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
_UUID: Final = re.compile(UUID_PATTERN)
_PATH: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


def check_upload(new: NewUpload, owner: UserId, buckets: Buckets) -> None:
    """Refuse what a bucket does not take; raise `InvalidField`."""
    bucket = buckets.get(new.bucket)
    if bucket is None:
        raise _wrong("bucket", f"There are the buckets {', '.join(buckets)}")
    if new.bucket == REPLAYS:
        raise _wrong("bucket", "send replays by POST /v1/matches/{match_id}/replay")
    if len(new.path) > PATH_CHARS_MAX or not bucket.pattern.fullmatch(new.path):
        raise _wrong("path", f"in {new.bucket} it reads {bucket.path}")
    if new.path.partition("/")[0] != owner:
        raise _wrong("path", f"it must begin with your own folder, {owner}/")
    kind = _kind_of(bucket, new.bucket, new.content_type)
    if not new.path.endswith(f".{kind.ending}"):
        raise _wrong("path", f"a file of type {kind.content_type} ends with .{kind.ending}")
    _check_size(new.size, new.bucket, bucket)


def ending_of(bucket: str, content_type: str, buckets: Buckets) -> str:
    """Give the ending of a type in a bucket; raise `InvalidField`."""
    found = buckets.get(bucket)
    if found is None:
        raise _wrong("bucket", f"There are the buckets {', '.join(buckets)}")
    return _kind_of(found, bucket, content_type).ending


def parse_replay_upload(match_id: MatchId, new: NewReplay, buckets: Buckets) -> NewUpload:
    """Say what upload a replay is; raise `InvalidField`."""
    _check_size(new.size, REPLAYS, buckets[REPLAYS])
    path = f"{match_id}/{REPLAY_NAME}"
    return NewUpload(bucket=REPLAYS, path=path, size=new.size, content_type=REPLAY_TYPE)


def is_upload_id(text: str) -> bool:
    """Say whether an upload can have this id."""
    return _UUID.fullmatch(text) is not None


def is_file_address(bucket: str, path: str) -> bool:
    """Say whether a file can have this bucket and path."""
    fits = _BUCKET.fullmatch(bucket) and _PATH.fullmatch(path)
    return fits is not None and len(path) <= PATH_CHARS_MAX


def assumed_type(bucket: BucketRules, path: str, content_type: str) -> str:
    """Give the type of a file: what it is sent as, or, where that says nothing, by its ending.

    Whichever it is, the file's first bytes have to be of it.
    """
    if content_type in _SAYS_NOTHING:
        for kind in bucket.kinds:
            if path.endswith(f".{kind.ending}"):
                return kind.content_type
    return content_type


def check_first_bytes(head: bytes, content_type: str) -> None:
    """Refuse bytes that are of another type than was announced; raise `FileRefused`."""
    magics = [each for each in KINDS if each.content_type == content_type]
    if not any(head[each.magic_at :].startswith(each.magic) for each in magics):
        raise FileRefused(f"The file's content is not {content_type}.")


def require_quota(used: int, *, size: int, bytes_max: int) -> None:
    """Refuse a file for which an account has no room left."""
    if used + size > bytes_max:
        raise QuotaExceeded(f"Your files take {used} of {bytes_max} bytes; delete some first.")


def _kind_of(bucket: BucketRules, name: str, content_type: str) -> FileType:
    for kind in bucket.kinds:
        if kind.content_type == content_type:
            return kind
    types = ", ".join(kind.content_type for kind in bucket.kinds)
    raise _wrong("content_type", f"{name} takes {types}")


def _check_size(size: int, name: str, bucket: BucketRules) -> None:
    if size > bucket.bytes_max:
        raise _wrong("size", f"a file in {name} can have at most {bucket.bytes_max} bytes")


def _wrong(field: str, remedy: str) -> InvalidField:
    return InvalidField(f"{field}: {remedy}.", field=field)
