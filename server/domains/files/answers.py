"""From what is stored to what is sent. Pure."""

from persistence.files import StoredFile
from protocol.files import File
from server.kernel.clock import wire_time


def file(stored: StoredFile) -> File:
    """Write a stored file."""
    return File(
        file_id=stored.file_id,
        owner_id=stored.owner_id,
        url=url_of(stored.bucket, stored.path),
        bucket=stored.bucket,
        path=stored.path,
        size=stored.size,
        content_type=stored.content_type,
        sha256=stored.sha256.hex(),
        is_public=stored.is_public,
        created_at=wire_time(stored.created_at),
    )


def url_of(bucket: str, path: str) -> str:
    """Say where a file is served."""
    return f"/files/{bucket}/{path}"
