"""Files: which there may be, how much may be uploaded, and within what time."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from server.core.settings import Settings
from server.domains.content.files.model import InvalidBuckets, parse_buckets


def _buckets(text: str) -> str:
    try:
        parse_buckets(text)
    except InvalidBuckets as why:
        raise PydanticCustomError("buckets", "{why}", {"why": str(why)}) from None
    return text


class FileSettings(Settings):
    """Buckets, quotas and the lifetime of upload URLs."""

    files_buckets: Annotated[str, AfterValidator(_buckets)] = Field(
        default="", description="JSON: buckets that differ from those that there are."
    )
    files_bytes_per_user: Annotated[int, Field(ge=0)] = 268_435_456
    uploads_per_minute: Annotated[int, Field(ge=1)] = 120
    upload_url_s: Annotated[float, Field(ge=10, le=3600)] = 600.0
