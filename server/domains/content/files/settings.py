"""Files: how much may be uploaded, and within what time."""

from typing import Annotated

from pydantic import Field

from server.core.settings import Settings


class FileSettings(Settings):
    """Quotas and the lifetime of upload URLs."""

    files_bytes_per_user: Annotated[int, Field(ge=0)] = 268_435_456
    upload_url_s: Annotated[float, Field(ge=10, le=3600)] = 600.0
